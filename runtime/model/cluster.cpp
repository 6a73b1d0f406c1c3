#include "runtime/model/cluster.hpp"

namespace cox {

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
