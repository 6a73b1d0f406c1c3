#include "runtime/agent/step.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <deque>
#include <map>
#include <utility>

#include "runtime/agent/step_messages.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::agent {

namespace {

constexpr std::size_t kUnsentMax = 8u << 20;

class StepEnd : public Step {
 public:
  StepEnd(os::EventLoop& loop, SpareProcess process, bool adopted, StepEvents events)
      : loop_(loop), process_(std::move(process)), adopted_(adopted), events_(std::move(events)) {
    process_.control->on_readable([this] { receive(); });
  }

  [[nodiscard]] pid_t pid() const override { return process_.pid; }

  [[nodiscard]] std::optional<SpareProcess> release() override {
    if (!waits_again_ || !process_.control->is_open() || !unsent_.empty()) return std::nullopt;
    return std::move(process_);
  }

  void begin() override {
    if (!adopted_) send('B', 0, {}, {});
  }

  void launch(OutputEnds ends) override {
    std::vector<os::Fd> descriptors;
    descriptors.push_back(std::move(ends.out));
    descriptors.push_back(std::move(ends.err));
    send('L', 0, {}, std::move(descriptors));
  }

  void add_output(int rank, os::Fd out, os::Fd err) override {
    std::vector<os::Fd> descriptors;
    descriptors.push_back(std::move(out));
    descriptors.push_back(std::move(err));
    send('O', rank, {}, std::move(descriptors));
  }

  void launch_ranks(const wire::Meeting& meeting) override {
    send('D', meeting.port, meeting.secret, {});
  }

  void go() override { send('G', 0, {}, {}); }

  void stopping() override { send('T', 0, {}, {}); }

  void run_remote(std::uint64_t id, const std::string& command, os::Fd in, os::Fd out,
                  os::Fd err) override {
    std::vector<os::Fd> descriptors;
    descriptors.push_back(std::move(in));
    descriptors.push_back(std::move(out));
    descriptors.push_back(std::move(err));
    send('R', static_cast<std::int64_t>(id), command, std::move(descriptors));
  }

 private:
  void send(char kind, std::int64_t number, std::string text, std::vector<os::Fd> descriptors) {
    StepMessage message;
    message.kind = kind;
    message.number = number;
    message.text = std::move(text);
    message.descriptors = std::move(descriptors);
    unsent_bytes_ += message.text.size();
    unsent_.push_back(std::move(message));
    if (!room_) send_rest();
    // The job can stop its step, which is its user's. The agent is there for others too.
    if (unsent_bytes_ > kUnsentMax) ::kill(process_.pid, SIGKILL);
  }

  /// A step that is gone is told of by its exit.
  void send_rest() {
    while (!unsent_.empty()) {
      if (try_to_send(process_.control->get(), unsent_.front()) == Sent::no_room) {
        if (!room_) room_ = loop_.when_writable(process_.control->get(), [this] { send_rest(); });
        return;
      }
      unsent_bytes_ -= unsent_.front().text.size();
      unsent_.pop_front();
    }
    room_.reset();
  }

  void receive() {
    StepMessage message;
    if (!receive_step_message(process_.control->get(), message)) {
      process_.control->close();
      return;
    }
    const auto id = static_cast<std::uint64_t>(message.number);
    const int number = static_cast<int>(message.number);
    switch (message.kind) {
      case 'P':
        events_.prepared(wire::Meeting{number, message.text});
        break;
      case 'F':
        events_.prepared(fail(Errc::internal, "{}", message.text));
        break;
      case 'S':
        events_.started();
        break;
      case 'E':
        events_.not_started(number, message.text);
        break;
      case 'X':
        hear_what_is_left(message.flag);
        events_.command_ended(number, (message.flag & kNothingLeft) != 0);
        break;
      case 'r':
        events_.remote_ended(id, static_cast<int>(message.flag));
        break;
      case 'Y':
        events_.rank_ended(rank_end_of(message));
        break;
      case 'D':
        events_.ranks_over(number, message.text);
        break;
      case 'p':
        events_.progress(message.text);
        break;
      case 'C':
        events_.container_made(number, static_cast<std::uint32_t>(message.flag));
        break;
      case 'm':
        events_.entering(number);
        break;
      case 'Z':
        hear_what_is_left(message.flag);
        events_.emptied();
        break;
      default:
        break;
    }
  }

  void hear_what_is_left(std::int64_t flags) {
    waits_again_ = adopted_ && (flags & kWaitsAgain) != 0;
  }

  os::EventLoop& loop_;
  SpareProcess process_;
  bool adopted_;
  StepEvents events_;
  bool waits_again_ = false;  ///< by its own word
  std::deque<StepMessage> unsent_;
  std::size_t unsent_bytes_ = 0;  ///< of their texts
  os::SubscriptionPtr room_;
};

std::optional<pid_t> parent_of(pid_t pid) {
  const auto stat = os::read_file(fmt::format("/proc/{}/stat", pid), 4096);
  if (!stat) return std::nullopt;
  // The name in brackets may hold anything: what counts comes after the last one.
  const auto end = stat->rfind(')');
  if (end == std::string::npos) return std::nullopt;
  const auto fields = split(std::string_view(*stat).substr(end + 2), ' ');
  if (fields.size() < 2 || fields[0] == "Z") return std::nullopt;
  const auto parent = to_int(fields[1]);
  return parent ? std::optional(static_cast<pid_t>(*parent)) : std::nullopt;
}

}  // namespace

StepControl::StepControl(os::EventLoop& loop, os::Fd socket)
    : socket_(std::move(socket)), watch_(loop.when_readable(socket_.get(), [this] {
        const auto listener = listener_;  // it may be replaced meanwhile
        if (listener) return listener();
        watch_.reset();
      })) {}

void get_ready_for_steps() {
  // Libraries of the system's that know the groups of users. Only their being loaded counts here.
  int none = 0;
  if (::geteuid() == 0) ::getgrouplist("root", 0, nullptr, &none);
}

std::vector<pid_t> processes_below(pid_t root) {
  std::multimap<pid_t, pid_t> children;
  DIR* const proc = ::opendir("/proc");
  if (proc == nullptr) return {};
  while (const dirent* entry = ::readdir(proc)) {
    const auto pid = to_int(entry->d_name);
    if (!pid) continue;
    if (const auto parent = parent_of(static_cast<pid_t>(*pid))) {
      children.emplace(*parent, static_cast<pid_t>(*pid));
    }
  }
  ::closedir(proc);
  std::vector<pid_t> found;
  std::vector<pid_t> open{root};
  while (!open.empty()) {
    const auto at = open.back();
    open.pop_back();
    const auto [begin, end] = children.equal_range(at);
    for (auto child = begin; child != end; ++child) {
      found.push_back(child->second);
      open.push_back(child->second);
    }
  }
  return found;
}

std::vector<pid_t> left_below(pid_t step) {
  // What lost its parent is the step's own child, and it has one thread: without a child there is
  // nothing. Where the system does not tell, or something waits to be reaped, all are looked at.
  const auto path = fmt::format("/proc/{0}/task/{0}/children", step);
  const os::Fd children(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char first = 0;
  const bool has_none = children && ::read(children.get(), &first, 1) == 0;
  return has_none ? std::vector<pid_t>{} : processes_below(step);
}

Result<std::unique_ptr<Step>> Step::fork(os::EventLoop& loop, StepPlan plan, StepEvents events) {
  auto ends = step_sockets();
  if (!ends) return fail(ends.error());
  const pid_t pid = ::fork();
  if (pid == 0) be_step(plan, ends->theirs.release());
  if (pid < 0) return fail(Errc::unavailable, "no process to be had for the job");
  SpareProcess process{pid, std::make_unique<StepControl>(loop, std::move(ends->ours))};
  return std::make_unique<StepEnd>(loop, std::move(process), false, std::move(events));
}

std::unique_ptr<Step> Step::adopt(os::EventLoop& loop, SpareProcess spare, const std::string& plan,
                                  StepEvents& events, OutputEnds& ends) {
  StepMessage message;
  message.kind = 'Q';
  message.text = plan;
  if (ends.out) {
    message.descriptors.push_back(std::move(ends.out));
    message.descriptors.push_back(std::move(ends.err));
  }
  if (send_step_message(spare.control->get(), message)) {
    return std::make_unique<StepEnd>(loop, std::move(spare), true, std::move(events));
  }
  if (!message.descriptors.empty()) {
    ends = {std::move(message.descriptors[0]), std::move(message.descriptors[1])};
  }
  return nullptr;
}

}  // namespace cox::agent
