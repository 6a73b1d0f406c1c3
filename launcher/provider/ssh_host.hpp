#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launcher/provider/agent_bundle.hpp"
#include "launcher/provider/program_run.hpp"
#include "launcher/provider/ssh_plan.hpp"
#include "runtime/base/result.hpp"
#include "runtime/os/event_loop.hpp"

namespace cox::provider {

/// One thing done on a host by ssh, under way. Dropping it gives it up.
class HostTask {
 public:
  virtual ~HostTask() = default;
};

/// What is done on hosts in a cluster's name.
struct HostAccess {
  os::EventLoop& loop;
  std::string tag;
  std::shared_ptr<const AgentBundle> bundle;
};

using HostAnswer = std::function<void(Result<std::string>)>;

/// Runs the agent on the host with these words and this stdin, and answers with its stdout. The
/// agent is copied there first, once. Errors: unavailable, with what to do.
[[nodiscard]] std::unique_ptr<HostTask> run_agent_on(const HostAccess& access,
                                                     const SshTarget& target,
                                                     const std::vector<std::string>& words,
                                                     const std::string& input, HostAnswer done);

/// The same, but answers with the first line of its stdout and lets it run on; its stdin ends when
/// the task is dropped.
[[nodiscard]] std::unique_ptr<HostTask> hold_agent_on(const HostAccess& access,
                                                      const SshTarget& target,
                                                      const std::vector<std::string>& words,
                                                      HostAnswer done);

/// Runs a script on the host.
[[nodiscard]] std::unique_ptr<HostTask> run_script_on(const HostAccess& access,
                                                      const SshTarget& target,
                                                      const std::string& script, HostAnswer done);

/// A way from the host to this machine's port, through ssh; made again whenever it breaks, until
/// it is dropped. The host's end is written where the node's agent looks for it.
[[nodiscard]] std::unique_ptr<HostTask> keep_tunnel(const HostAccess& access,
                                                    const SshTarget& target, int port,
                                                    const NodeId& id);

}  // namespace cox::provider
