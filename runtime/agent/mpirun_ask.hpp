#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "runtime/agent/direct_run.hpp"
#include "runtime/agent/mpirun_order.hpp"
#include "runtime/wire/message.hpp"

namespace cox::agent {

/// The nodes that meet at this one in a launch of our mpirun. Each is asked to take part, through
/// the agents, as soon as there is somewhere to meet.
class AskedNodes {
 public:
  /// `refused`: that a node cannot take part, or that what was started there has ended.
  AskedNodes(wire::PartKey part, std::function<void(int node, const std::string& why)> refused)
      : part_(std::move(part)), refused_(std::move(refused)) {}

  /// Errors: unavailable, no agent to ask.
  [[nodiscard]] Result<void> ask(const MpirunOrder& own, const wire::Meeting& meeting);
  void watch(std::vector<Watch>& watches);

 private:
  struct Asked {
    int node = 0;
    std::string host;
    os::Fd agent;
    std::string incoming;
    std::string complaint;
  };
  void read(Asked& asked);
  void refused(Asked& asked, const std::string& why);

  wire::PartKey part_;
  std::function<void(int, const std::string&)> refused_;
  std::vector<Asked> asked_;
};

}  // namespace cox::agent
