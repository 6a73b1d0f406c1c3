#pragma once

#include <string>

#include "launcher/provider/mount_plan.hpp"
#include "launcher/provider/network.hpp"
#include "runtime/base/ids.hpp"
#include "runtime/base/result.hpp"

namespace cox::provider {

/// All that `coxd --bring-up-node` is told of a node, on a descriptor (it holds a key).
struct NodeDescription {
  NodeId id;
  std::string directory;  ///< the node's own: pid, agent.log and the like are made here
  std::string hostname;
  NodeRoot root;
  NodeLink link;
  std::string agent_options;  ///< JSON for cox-agent, passed on as it is
};

/// One JSON object and back. Errors: invalid_argument.
[[nodiscard]] std::string render_description(const NodeDescription& description);
[[nodiscard]] Result<NodeDescription> parse_description(const std::string& text);

/// What cox-agent is told; see runtime/agent/agent.hpp for the members.
struct AgentDescription {
  std::string node;
  std::string cluster;
  std::string address;
  std::string hostname;
  std::string instance_type;
  std::string region;
  std::string os_user;
  std::string certificate;
  std::string private_key;
  std::string ca_certificate;
  int head_port = 0;
  int vcpus = 1;
  std::int64_t memory_mib = 0;
  bool cgroup = false;
};
[[nodiscard]] std::string render_agent_options(const AgentDescription& agent);

/// The outcome of a bring-up: the first process as seen here, and how long each step took.
struct BringUpOutcome {
  int pid = 0;
  std::string steps;  ///< "network 3.1 ms, mounts 5.0 ms", for the log

  friend bool operator==(const BringUpOutcome&, const BringUpOutcome&) = default;
};
/// "ok <pid> <steps>" or "error <sentence>", and back; an error's code is unavailable. Pure.
[[nodiscard]] std::string render_outcome(const Result<BringUpOutcome>& outcome);
[[nodiscard]] Result<BringUpOutcome> parse_outcome(const std::string& text);

}  // namespace cox::provider
