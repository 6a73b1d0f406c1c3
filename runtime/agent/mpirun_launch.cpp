#include "runtime/agent/mpirun_launch.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "runtime/agent/local_socket.hpp"
#include "runtime/agent/mpirun_ask.hpp"
#include "runtime/agent/mpirun_loop.hpp"
#include "runtime/agent/mpirun_node.hpp"
#include "runtime/agent/mpirun_output.hpp"
#include "runtime/base/text.hpp"
#include "runtime/mpi/mpirun_words.hpp"
#include "runtime/os/files.hpp"

// Frames of ours between the nodes of a launch, beside those of hub_link.hpp:
//   to the hub:  'r' ready; 'o' rank stream bytes; 'y' a rank's end; 'a' so many bytes of the input
//                were taken; 'z' all that ranks printed was sent; 'b' a line of mpirun's own;
//                'x' node why: one that was asked cannot
//   from it:     's' start; 'i' bytes of the input, none: its end; 'k' a signal for the ranks
namespace cox::agent {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kMeetTime = std::chrono::seconds(10);
constexpr auto kLastOutputTime = std::chrono::seconds(10);
constexpr std::size_t kInputOnItsWay = 256u << 10;
constexpr std::size_t kUnsentMax = 1u << 20;

/// "number number rest".
std::pair<std::array<int, 2>, std::string_view> take_numbers(std::string_view text) {
  std::array<int, 2> numbers{};
  for (auto& number : numbers) {
    const auto blank = std::min(text.find(' '), text.size());
    number = static_cast<int>(to_int(text.substr(0, blank)).value_or(-1));
    text.remove_prefix(std::min(blank + 1, text.size()));
  }
  return {numbers, text};
}

std::string text_of(const RankEnd& end) {
  const auto message = message_of(end);
  return fmt::format("{} {} {}", message.number, message.flag, message.text);
}

RankEnd rank_end_in(std::string_view text) {
  const auto [numbers, rest] = take_numbers(text);
  StepMessage message;
  message.number = numbers[0];
  message.flag = numbers[1];
  message.text = std::string(rest);
  return rank_end_of(message);
}

int least(int a, int b) { return a < 0 ? b : b < 0 ? a : std::min(a, b); }

int until(const std::optional<Clock::time_point>& moment) {
  if (!moment) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*moment - Clock::now());
  return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
}

/// mpirun's own side.
class Launch {
 public:
  explicit Launch(LaunchTask task)
      : task_(std::move(task)),
        loop_({SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}),
        output_(task_.line.tag_output, task_.line.timestamp_output),
        node_(task_.order,
              {[this](int rank, int stream, std::string_view bytes) {
                 if (task_.line.output_copied) output_.add(rank, stream, bytes);
               },
               [this](const RankEnd& end) { rank_ended(end); },
               [this](const std::string& line) { output_.say(line); }},
              loop_.mask()),
        asked_(task_.part, [this](int node, const std::string& why) { refused(node, why); }) {}

  LaunchEnd run() {
    auto meeting = node_.prepare();
    if (!meeting) return give_up(meeting.error().message);
    meeting_ = *meeting;
    node_.run().on_frame([this](int node, const HubLink::Frame& frame) { hear(node, frame); });
    others_.resize(task_.order.hosts.size() - 1);
    if (auto asked = asked_.ask(task_.order, meeting_); !asked) {
      return give_up(asked.error().message);
    }
    if (auto met = meet(); !met) return give_up(met.error().message);
    return follow();
  }

 private:
  /// Another node.
  struct Other {
    bool ready = false;
    bool dry = false;
  };
  [[nodiscard]] Other& other(int node) { return others_.at(static_cast<std::size_t>(node) - 1); }

  LaunchEnd give_up(const std::string& why) {
    node_.finish();
    return {0, why};
  }

  // Before anything is started.

  Result<void> meet() {
    const std::optional deadline = Clock::now() + kMeetTime;
    const auto all_ready = [this] {
      return std::all_of(others_.begin(), others_.end(), [](const auto& o) { return o.ready; });
    };
    while (!all_ready()) {
      turn(until(deadline));
      if (stopped_) return fail(Errc::unavailable, "mpirun was told to end");
      if (!refusal_.empty()) return fail(Errc::unavailable, "{}", refusal_);
      if (Clock::now() > *deadline) return fail(Errc::unavailable, "a node did not answer");
    }
    node_.run().tell_guests('s', "");
    return {};
  }

  /// Counts before all are ready; afterwards its link to the hub tells what becomes of a node.
  void refused(int node, const std::string& why) {
    if (!other(node).ready && refusal_.empty()) refusal_ = why;
  }

  // While ranks run.

  LaunchEnd follow() {
    const bool reads_here = task_.order.node_of_rank.front() == 0;
    input_open_ = !reads_here;
    os::Fd input(reads_here ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : -1);
    if (auto begun = node_.launch(meeting_, std::move(input)); !begun) {
      node_.run().give_up({1, begun.error().message});
    }
    std::optional<Clock::time_point> last;
    while (!is_over()) {
      if (!last && node_.run().is_over()) last = Clock::now() + kLastOutputTime;
      if (last && Clock::now() > *last) break;
      turn(until(last));
    }
    node_.finish();
    output_.finish();
    tell_end();
    while (!output_.is_empty()) {
      std::vector<Watch> watches;
      output_.watch(watches);
      loop_.turn(watches, -1, [](int) {});
    }
    return {stopped_ ? 1 : end_.exit_code, ""};
  }

  [[nodiscard]] bool is_over() const {
    if (!node_.is_dry()) return false;
    for (std::size_t i = 0; i < others_.size(); ++i) {
      if (!others_[i].dry && !node_.run().is_gone(static_cast<int>(i) + 1)) return false;
    }
    return true;
  }

  void turn(int wait) {
    watches_.clear();
    node_.run().hold_guests(output_.is_full());
    node_.watch(watches_, !output_.is_full());
    output_.watch(watches_);
    asked_.watch(watches_);
    if (input_open_ && input_on_its_way_ < kInputOnItsWay) {
      watches_.push_back({STDIN_FILENO, POLLIN, [this] { read_input(); }});
    }
    const int soonest = least(wait, least(node_.wait_ms(), output_.wait_ms()));
    loop_.turn(watches_, soonest, [this](int signal) { take(signal); });
    node_.tick();
    output_.tick();
  }

  void read_input() {
    std::array<char, 32 * 1024> piece{};
    const auto got = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    const auto size = got > 0 ? static_cast<std::size_t>(got) : 0;
    input_open_ = size > 0;
    input_on_its_way_ += size;
    node_.run().send_frame(task_.order.node_of_rank.front(), 'i', {piece.data(), size});
  }

  void hear(int node, const HubLink::Frame& frame) {
    if (node < 1 || static_cast<std::size_t>(node) > others_.size()) return;
    if (frame.kind == 'r') other(node).ready = true;
    if (frame.kind == 'z') other(node).dry = true;
    if (frame.kind == 'x') {
      const auto blank = std::min(frame.text.find(' '), frame.text.size());
      const auto who = to_int(std::string_view(frame.text).substr(0, blank)).value_or(0);
      if (who > 0 && static_cast<std::size_t>(who) <= others_.size()) {
        refused(static_cast<int>(who), frame.text.substr(std::min(blank + 1, frame.text.size())));
      }
    }
    if (frame.kind == 'b') output_.say(frame.text);
    if (frame.kind == 'y') rank_ended(rank_end_in(frame.text));
    if (frame.kind == 'a') {
      const auto taken = static_cast<std::size_t>(to_int(frame.text).value_or(0));
      input_on_its_way_ -= std::min(taken, input_on_its_way_);
    }
    if (frame.kind == 'o' && task_.line.output_copied) {
      const auto [numbers, bytes] = take_numbers(frame.text);
      if (numbers[1] == 0 || numbers[1] == 1) output_.add(numbers[0], numbers[1], bytes);
    }
  }

  void rank_ended(const RankEnd& end) {
    if (end.exit_code != 0 && !failed_) failed_ = end;
  }

  void take(int signal) {
    if (signal == SIGCHLD) return node_.reap();
    if (signal == SIGUSR1 || signal == SIGUSR2) {
      output_.say(fmt::format("{}: Forwarding signal {} to job\n", task_.called, signal));
      node_.run().signal_ranks(signal);
      return node_.run().tell_guests('k', std::to_string(signal));
    }
    stopped_ = true;
    node_.run().give_up({1, ""});
  }

  /// How the job ended, in mpirun's words.
  void tell_end() {
    end_ = node_.run().how_it_ended();
    if (stopped_ || end_.exit_code == 0 || task_.line.quiet) return;
    if (!failed_) {
      if (!end_.reason.empty()) output_.say(fmt::format("{}: {}\n", task_.called, end_.reason));
      return;
    }
    using How = mpi::FailedRank::How;
    if (failed_->how.starts_with("called MPI_Abort")) return;  // the rank said so
    const auto at = static_cast<std::size_t>(failed_->rank);
    const auto node = static_cast<std::size_t>(task_.order.node_of_rank.at(at));
    mpi::FailedRank failed;
    failed.rank = failed_->rank;
    failed.number = failed_->exit_code;
    failed.host =
        task_.order.names[node].empty() ? task_.order.hosts[node] : task_.order.names[node];
    failed.pid = node == 0 ? 0 : failed_->pid;
    if (failed_->signal != 0) {
      failed.how = How::signal;
      failed.number = static_cast<int>(failed_->signal);
    } else if (!failed_->how.empty()) {
      failed.how = How::no_finalize;
    }
    output_.say(
        mpi::failure_text(failed, task_.called, static_cast<unsigned>(::getpid()) & 0xffffU));
  }

  LaunchTask task_;
  MpirunLoop loop_;
  MpirunOutput output_;
  MpirunNode node_;
  AskedNodes asked_;
  wire::Meeting meeting_;
  std::vector<Other> others_;  ///< by node of the launch, from 1
  std::string refusal_;
  std::vector<Watch> watches_;
  bool input_open_ = false;
  std::size_t input_on_its_way_ = 0;
  std::optional<RankEnd> failed_;
  bool stopped_ = false;
  mpi::RankFailure end_;
};

/// What rank 0 reads when mpirun is on another node.
class RankInput {
 public:
  /// The rank's end.
  os::Fd open() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return {};
    to_.reset(ends[1]);
    ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
    return os::Fd(ends[0]);
  }
  void add(std::string_view bytes) {
    ends_ = ends_ || bytes.empty();
    pending_ += bytes;
    if (ends_ && pending_.empty()) to_.reset();
  }
  void watch(std::vector<Watch>& watches, const std::function<void(std::size_t)>& taken) {
    if (to_ && !pending_.empty()) {
      watches.push_back({to_.get(), POLLOUT, [this, taken] { taken(write()); }});
    }
  }

 private:
  std::size_t write() {
    const auto wrote = ::write(to_.get(), pending_.data(), pending_.size());
    if (wrote < 0 && (errno == EINTR || errno == EAGAIN)) return 0;
    const auto size = wrote > 0 ? static_cast<std::size_t>(wrote) : pending_.size();
    pending_.erase(0, size);
    if (wrote <= 0 || (ends_ && pending_.empty())) to_.reset();  // or the rank reads no more
    return size;
  }

  os::Fd to_;
  std::string pending_;
  bool ends_ = false;
};

/// Another node's side.
class NodeLaunch {
 public:
  NodeLaunch(MpirunOrder order, wire::PartKey part)
      : meeting_{order.port, order.secret},
        loop_({SIGCHLD, SIGTERM, SIGINT, SIGHUP}),
        node_(std::move(order),
              {[this](int rank, int stream, std::string_view bytes) {
                 node_.run().send_frame(0, 'o', fmt::format("{} {} {}", rank, stream, bytes));
               },
               [this](const RankEnd& end) { node_.run().send_frame(0, 'y', text_of(end)); },
               [this](const std::string& line) { node_.run().send_frame(0, 'b', line); }},
              loop_.mask()),
        asked_(std::move(part), [this](int node, const std::string& why) {
          node_.run().send_frame(0, 'x', fmt::format("{} {}", node, why));
        }) {}

  Result<void> run() {
    const auto open = node_.prepare();
    const auto asked =
        open ? asked_.ask(node_.order(), {open->port, meeting_.secret}) : Result<void>();
    if (!open || !asked) {
      node_.finish();
      return fail(open ? asked.error() : open.error());
    }
    auto& run = node_.run();
    run.on_frame([this](int, const HubLink::Frame& frame) { hear(frame); });
    run.meet(meeting_);
    run.send_frame(0, 'r', "");
    while (!started_ && !run.is_over()) turn();
    while (started_ && !node_.is_dry()) turn();
    node_.finish();
    // The hub hangs up when it has all.
    run.send_frame(0, 'z', "");
    while (started_ && run.has_hub()) turn();
    return {};
  }

 private:
  void turn() {
    watches_.clear();
    const bool is_full = node_.run().unsent() >= kUnsentMax;
    node_.run().hold_guests(is_full);
    node_.watch(watches_, !is_full);
    asked_.watch(watches_);
    input_.watch(watches_, [this](std::size_t bytes) {
      node_.run().send_frame(0, 'a', std::to_string(bytes));
    });
    loop_.turn(watches_, node_.wait_ms(), [this](int signal) {
      if (signal == SIGCHLD) return node_.reap();
      const auto& order = node_.order();
      node_.run().give_up(
          {1, fmt::format("{} was told to end its ranks",
                          order.hosts[static_cast<std::size_t>(order.node_index)])});
    });
    node_.tick();
  }

  void hear(const HubLink::Frame& frame) {
    if (frame.kind == 's' || frame.kind == 'k') node_.run().tell_guests(frame.kind, frame.text);
    if (frame.kind == 's' && !std::exchange(started_, true)) {
      const bool reads = node_.order().node_of_rank.front() == node_.order().node_index;
      auto begun = node_.launch(meeting_, reads ? input_.open() : os::Fd());
      if (!begun) node_.run().give_up({1, begun.error().message});
    }
    if (frame.kind == 'i') input_.add(frame.text);
    if (frame.kind == 'k') {
      node_.run().signal_ranks(static_cast<int>(to_int(frame.text).value_or(0)));
    }
  }

  wire::Meeting meeting_;
  MpirunLoop loop_;
  RankInput input_;
  MpirunNode node_;
  AskedNodes asked_;
  std::vector<Watch> watches_;
  bool started_ = false;
};

/// "LENGTH:BYTES" from stdin.
Result<MpirunOrder> read_order() {
  std::string bytes;
  std::array<char, 32 * 1024> piece{};
  for (;;) {
    const auto colon = bytes.find(':');
    const auto size = to_int(std::string_view(bytes).substr(0, std::min(colon, bytes.size())));
    if (colon != std::string::npos) {
      if (!size || *size < 0) break;
      const auto end = colon + 1 + static_cast<std::size_t>(*size);
      if (bytes.size() >= end) {
        return decode_order(std::string_view(bytes).substr(colon + 1, end - colon - 1));
      }
    }
    const auto got = ::read(STDIN_FILENO, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    bytes.append(piece.data(), static_cast<std::size_t>(got));
  }
  return fail(Errc::invalid_argument, "no order has come for a launch");
}

}  // namespace

LaunchEnd launch_ranks(LaunchTask task) { return Launch(std::move(task)).run(); }

int run_mpirun_node() {
  const char* variable = std::getenv(kPartVariable);
  const auto part = variable != nullptr ? parse_part(variable) : std::nullopt;
  auto order = part ? read_order() : fail(Errc::not_found, "this is no node of a job");
  auto ended =
      order ? NodeLaunch(std::move(*order), *part).run() : Result<void>(fail(order.error()));
  if (ended) return 0;
  [[maybe_unused]] const auto said = os::write_all(STDERR_FILENO, ended.error().message + "\n");
  return 1;
}

}  // namespace cox::agent
