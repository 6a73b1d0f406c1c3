#pragma once

#include <cstdint>

#include "runtime/agent/recent_bytes.hpp"
#include "runtime/wire/message.hpp"

namespace cox::agent {

/// Where a command runs that a process of this node asked for.
struct RemoteTarget {
  wire::PartKey from;
  int target_index = 0;
  bool here = false;
  RecentBytes moved;  ///< of its input and output
  std::int64_t input_under_way = 0;
};

}  // namespace cox::agent
