#include "runtime/agent/step_messages.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::agent {

namespace {

constexpr std::size_t kDescriptorsMax = 3;

struct Head {
  std::int64_t kind = 0;
  std::int64_t number = 0;
  std::int64_t flag = 0;
};

union Control {
  cmsghdr align;
  char bytes[CMSG_SPACE(sizeof(int) * kDescriptorsMax)];
};

}  // namespace

Result<StepSockets> step_sockets() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail(os::errno_error(errno, "socketpair"));
  }
  return StepSockets{os::Fd(ends[0]), os::Fd(ends[1])};
}

namespace {

Sent send_with(int socket, const StepMessage& message, int flags) {
  Head head{message.kind, message.number, message.flag};
  const auto size = message.text.size() < kStepTextMax ? message.text.size() : kStepTextMax;
  iovec parts[2] = {{&head, sizeof head}, {const_cast<char*>(message.text.data()), size}};
  msghdr envelope{};
  envelope.msg_iov = parts;
  envelope.msg_iovlen = 2;
  Control control{};
  if (!message.descriptors.empty()) {
    int numbers[kDescriptorsMax] = {};
    const auto count = message.descriptors.size();
    for (std::size_t i = 0; i < count; ++i) numbers[i] = message.descriptors[i].get();
    envelope.msg_control = control.bytes;
    envelope.msg_controllen = CMSG_SPACE(sizeof(int) * count);
    cmsghdr* header = CMSG_FIRSTHDR(&envelope);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * count);
    std::memcpy(CMSG_DATA(header), numbers, sizeof(int) * count);
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &envelope, MSG_NOSIGNAL | flags);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno == EAGAIN) return Sent::no_room;
  return sent > 0 ? Sent::yes : Sent::nobody_there;
}

}  // namespace

bool send_step_message(int socket, const StepMessage& message) {
  return send_with(socket, message, 0) == Sent::yes;
}

Sent try_to_send(int socket, const StepMessage& message) {
  return send_with(socket, message, MSG_DONTWAIT);
}

bool receive_step_message(int socket, StepMessage& message) {
  Head head;
  // Not made anew for each message: clearing it would cost more than all else of a small job's
  // turn.
  static std::array<char, kStepTextMax> text;  // one thread in each process
  iovec parts[2] = {{&head, sizeof head}, {text.data(), text.size()}};
  Control control{};
  msghdr envelope{};
  envelope.msg_iov = parts;
  envelope.msg_iovlen = 2;
  envelope.msg_control = control.bytes;
  envelope.msg_controllen = sizeof control.bytes;
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket, &envelope, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < static_cast<ssize_t>(sizeof head)) return false;
  message = StepMessage{};
  message.kind = static_cast<char>(head.kind);
  message.number = head.number;
  message.flag = head.flag;
  message.text.assign(text.data(), static_cast<std::size_t>(got) - sizeof head);
  for (cmsghdr* header = CMSG_FIRSTHDR(&envelope); header != nullptr;
       header = CMSG_NXTHDR(&envelope, header)) {
    if (header->cmsg_type != SCM_RIGHTS) continue;
    const auto count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(header) + i * sizeof(int), sizeof number);
      message.descriptors.emplace_back(number);
    }
  }
  return true;
}

StepMessage message_of(const RankEnd& end) {
  StepMessage message;
  message.kind = 'Y';
  message.number = end.rank;
  message.flag = end.exit_code;
  message.text = fmt::format("{} {} {} {} {} {}", end.at_ms, end.max_rss_kib, end.cpu_us,
                             end.signal, end.pid, end.how);
  return message;
}

RankEnd rank_end_of(const StepMessage& message) {
  RankEnd end;
  end.rank = static_cast<int>(message.number);
  end.exit_code = static_cast<int>(message.flag);
  std::string_view rest = message.text;
  for (auto* number : {&end.at_ms, &end.max_rss_kib, &end.cpu_us, &end.signal, &end.pid}) {
    const auto blank = std::min(rest.find(' '), rest.size());
    *number = to_int(rest.substr(0, blank)).value_or(0);
    rest.remove_prefix(std::min(blank + 1, rest.size()));
  }
  end.how = std::string(rest);
  return end;
}

}  // namespace cox::agent
