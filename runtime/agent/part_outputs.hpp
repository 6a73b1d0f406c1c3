#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "runtime/agent/line_cutter.hpp"
#include "runtime/agent/output_pipe.hpp"
#include "runtime/agent/part.hpp"

namespace cox::agent {

/// What one rank of a direct launch writes.
struct Part::RankOutput {
  using Sink = std::function<void(std::uint8_t stream, LineCutter& lines, std::string_view piece)>;

  RankOutput(os::EventLoop& loop, const Sink& sink, const std::function<void()>& end);

  OutputPipe out;
  OutputPipe err;
  LineCutter out_lines;
  LineCutter err_lines;
};

}  // namespace cox::agent
