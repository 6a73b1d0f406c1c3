#pragma once

#include <functional>
#include <memory>
#include <string>

#include "launcher/provider/ssh_plan.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/ports/stager.hpp"

namespace cox::provider {

struct SshStagerOptions {
  SshPlan plan;
  /// Which of the plan's hosts a node is on; nothing for a node that is on none.
  std::function<std::optional<std::size_t>(const NodeId&)> host_of;
};

/// Copies by rsync, through ssh as the provider of the same plan uses it. What a job names is
/// opened beneath its directory first, through no link.
[[nodiscard]] std::unique_ptr<Stager> make_ssh_stager(os::EventLoop& loop,
                                                      SshStagerOptions options);

}  // namespace cox::provider
