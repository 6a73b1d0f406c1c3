#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/agent/line_cutter.hpp"
#include "runtime/agent/output_pipe.hpp"
#include "runtime/agent/part.hpp"
#include "runtime/agent/remote_stream.hpp"

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

/// A command that a node of the job has asked for.
struct Part::Remote {
  Remote(RemoteStream said, bool asked_here) : stream(std::move(said)), is_here(asked_here) {}

  RemoteStream stream;
  bool is_here;          ///< this node has asked
  bool is_over = false;  ///< stays until who asked knows
  os::Fd input;
  std::string pending;  ///< of its input: for a pipe that is full
  bool input_ends = false;
  std::int64_t untold = 0;  ///< of its input: was taken
  os::SubscriptionPtr writable;
  std::unique_ptr<OutputPipe> out;
  std::unique_ptr<OutputPipe> err;
  std::int64_t on_their_way = 0;  ///< bytes of its output
};

}  // namespace cox::agent
