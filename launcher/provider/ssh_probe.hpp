#pragma once

#include <string>
#include <vector>

#include "launcher/provider/agent_bundle.hpp"
#include "launcher/provider/preflight.hpp"
#include "launcher/provider/ssh_plan.hpp"
#include "runtime/base/result.hpp"

namespace cox::provider {

/// Looks at all hosts at once, by their agents, which are copied there: each for itself, then each
/// at all others. Blocks. One look a host, in their order.
/// Errors: internal when there is no randomness.
[[nodiscard]] Result<std::vector<HostLook>> look_at_hosts(const SshPlan& plan,
                                                          const Demands& demands,
                                                          const AgentBundle& bundle);

/// Removes all that the cluster has on its hosts, at once on all. Blocks. A sentence for each host
/// where that could not be done.
[[nodiscard]] std::vector<std::string> clear_hosts(const SshPlan& plan);

}  // namespace cox::provider
