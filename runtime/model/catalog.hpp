#pragma once

#include <map>
#include <string>
#include <variant>
#include <vector>

#include "runtime/base/units.hpp"
#include "runtime/model/cluster.hpp"
#include "runtime/model/job.hpp"

/// What clients of the API make besides jobs. Compute environments and queues are in cluster.hpp.
namespace cox {

/// One revision of a job definition. Never changed once made, but for its end and its tags.
struct JobDefinition {
  std::string name;
  int revision = 1;
  bool active = true;
  JobUser owner;           ///< who registered it
  Millis deregistered_at;  ///< when it became INACTIVE
  /// JSON: what was registered, as it is described, without name, revision, status and tags.
  std::string body;
  std::map<std::string, std::string> tags;

  friend bool operator==(const JobDefinition&, const JobDefinition&) = default;
};

/// A part of a queue's capacity, by the identifier that jobs carry.
struct Share {
  std::string identifier;  ///< may end in '*': every identifier that begins so
  double weight = 1.0;     ///< lower gets more

  friend bool operator==(const Share&, const Share&) = default;
};

struct SchedulingPolicy {
  std::string name;
  int decay_s = 0;      ///< 0: only what runs now counts
  int reservation = 0;  ///< computeReservation, 0..99
  std::vector<Share> shares;
  std::map<std::string, std::string> tags;

  friend bool operator==(const SchedulingPolicy&, const SchedulingPolicy&) = default;
};

using CatalogItem = std::variant<ComputeEnvironment, JobQueue, JobDefinition, SchedulingPolicy>;

/// Which item: its kind by the word that ARNs have for it, and its name, of a definition
/// "name:revision".
struct CatalogKey {
  std::string kind;
  std::string name;

  friend auto operator<=>(const CatalogKey&, const CatalogKey&) = default;
};
[[nodiscard]] CatalogKey key_of(const CatalogItem& item);

inline constexpr const char* kEnvironmentKind = "compute-environment";
inline constexpr const char* kQueueKind = "job-queue";
inline constexpr const char* kDefinitionKind = "job-definition";
inline constexpr const char* kPolicyKind = "scheduling-policy";

}  // namespace cox
