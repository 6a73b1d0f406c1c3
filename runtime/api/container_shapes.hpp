#pragma once

#include "runtime/api/shape_rules.hpp"
#include "runtime/model/job.hpp"

/// What job definitions and submissions share: containers, their overrides, retries and timeouts.
/// Only files of this room include it.
namespace cox::api {

[[nodiscard]] const Shape& container_shape();
[[nodiscard]] const Shape& container_override_shape();
[[nodiscard]] const Shape& retry_shape();
[[nodiscard]] const Shape& timeout_shape();

inline constexpr std::int64_t kVcpusMax = 100'000;
inline constexpr std::int64_t kMemoryMax = std::numeric_limits<std::int32_t>::max();  // MiB

/// What a container gets.
struct Resources {
  std::optional<int> vcpus;
  std::optional<MiB> memory;
  bool listed = false;  ///< told by resourceRequirements, not by vcpus and memory
  bool gpu = false;
};

/// Of checked container properties, or of overrides. Complains of values that are none.
[[nodiscard]] Resources resources_in(const boost::json::object& container,
                                     std::optional<Error>& complaint);
/// The environment, with complaints of names that are reserved or are none.
[[nodiscard]] std::vector<EnvVar> environment_in(const boost::json::object& container,
                                                 std::optional<Error>& complaint);
/// The rules of a checked retry strategy; its actions may be in any case.
[[nodiscard]] std::vector<ExitRule> exit_rules_in(const boost::json::object& retry,
                                                  std::optional<Error>& complaint);

/// Checks what the shape alone cannot tell of a definition's container.
void check_container(const boost::json::object& container, bool in_container,
                     std::optional<Error>& complaint);

/// A range of nodes: "n", "a:b", ":b", "a:" or ":".
struct NodeSpan {
  int first = 0;
  int last = 0;           ///< included
  bool open_end = false;  ///< no upper end was given
};
/// Nothing when the text is no range of a job of so many nodes. Pure.
[[nodiscard]] std::optional<NodeSpan> read_span(std::string_view text, int nodes);

}  // namespace cox::api
