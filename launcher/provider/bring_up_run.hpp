#pragma once

#include <functional>
#include <memory>
#include <string>

#include "launcher/provider/node_description.hpp"
#include "runtime/base/result.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/fd.hpp"

namespace cox::provider {

/// One run of `coxd --bring-up-node`. Dropping it ends the run without an answer.
class BringUpRun {
 public:
  virtual ~BringUpRun() = default;
};

/// Starts it; the outcome comes on the loop, after 30 s at the latest. Whatever the outcome, the
/// process that brought the node up has ended and been waited for by then.
/// Errors: that it could not be started.
[[nodiscard]] Result<std::unique_ptr<BringUpRun>> start_bring_up(
    os::EventLoop& loop, const std::string& coxd, const NodeDescription& description,
    const os::Fd& bridge_network, std::function<void(Result<BringUpOutcome>)> done);

}  // namespace cox::provider
