#include "runtime/model/cluster.hpp"

#include <limits>

#include "runtime/base/text.hpp"

namespace cox {

std::optional<int> running_limit_in(const std::string& tag) {
  const auto number = to_int(tag);
  if (!number || *number < 1 || *number > std::numeric_limits<int>::max()) return std::nullopt;
  return static_cast<int>(*number);
}

int running_limit(const JobQueue& queue) {
  const auto tag = queue.tags.find(kRunningLimitTag);
  if (tag == queue.tags.end()) return queue.max_running;
  return running_limit_in(tag->second).value_or(queue.max_running);
}

const char* to_string(NodeStatus status) {
  switch (status) {
    case NodeStatus::pending:
      return "pending";
    case NodeStatus::up:
      return "up";
    case NodeStatus::silent:
      return "silent";
    case NodeStatus::terminating:
      return "terminating";
    case NodeStatus::unfit:
      return "unfit";
  }
  return "unknown";
}

}  // namespace cox
