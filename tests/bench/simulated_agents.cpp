#include "tests/bench/simulated_agents.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "runtime/os/event_loop.hpp"
#include "runtime/os/files.hpp"
#include "runtime/wire/message.hpp"

namespace cox::bench {

namespace {

constexpr auto kRedial = std::chrono::milliseconds(50);
constexpr std::size_t kDialsAtOnce = 16;  // a listening socket's queue is short

void put(std::string& bytes, const std::string& text) {
  const auto size = static_cast<std::uint32_t>(text.size());
  bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
  bytes += text;
}

/// Takes a text off the front of the bytes; false while it is not all there.
bool take(std::string_view& bytes, std::string& text) {
  std::uint32_t size = 0;
  if (bytes.size() < sizeof size) return false;
  std::memcpy(&size, bytes.data(), sizeof size);
  if (bytes.size() < sizeof size + size) return false;
  text = bytes.substr(sizeof size, size);
  bytes.remove_prefix(sizeof size + size);
  return true;
}

class Agents {
 public:
  Agents(os::EventLoop& loop, const Clock& clock, int from_head, int port, Jobs jobs)
      : loop_(loop), clock_(clock), from_head_(from_head), port_(port), jobs_(jobs) {
    reading_ = loop_.when_readable(from_head_, [this] { read(); });
    turning_ = loop_.on_signal(SIGUSR1, [this] { turn(); });
  }

 private:
  struct Agent {
    os::TlsIdentity identity;
    std::unique_ptr<os::FrameLink> link;
    std::set<wire::PartKey> parts;  ///< launched, and not ended
  };

  void read() {
    char buffer[65536];
    const auto got = ::read(from_head_, buffer, sizeof buffer);
    if (got <= 0) std::_Exit(EXIT_SUCCESS);
    pending_.append(buffer, static_cast<std::size_t>(got));
    std::string_view left = pending_;
    for (;;) {
      auto rest = left;
      NodeToPlay next;
      if (!take(rest, next.node.value) || !take(rest, next.identity.certificate) ||
          !take(rest, next.identity.private_key) || !take(rest, next.identity.ca_certificate)) {
        break;
      }
      left = rest;
      agents_[next.node].identity = std::move(next.identity);
      to_dial_.push_back(next.node);
    }
    pending_.erase(0, pending_.size() - left.size());
    dial();
  }

  void dial() {
    while (!to_dial_.empty() && dialling_ < kDialsAtOnce) {
      const auto node = to_dial_.front();
      to_dial_.pop_front();
      ++dialling_;
      os::connect_frames(loop_, "127.0.0.1", port_, agents_.at(node).identity,
                         [this, node](Result<std::unique_ptr<os::FrameLink>> link) {
                           --dialling_;
                           if (link) {
                             greet(node, std::move(*link));
                           } else {
                             lost(node);
                           }
                           dial();
                         });
    }
  }

  void lost(const NodeId& node) {
    to_dial_.push_back(node);
    if (!redial_) {
      redial_ = loop_.after(kRedial, [this] {
        const auto done = std::move(redial_);
        dial();
      });
    }
  }

  void greet(const NodeId& node, std::unique_ptr<os::FrameLink> link) {
    auto& agent = agents_.at(node);
    agent.link = std::move(link);
    agent.link->on_frame([this, node](const std::string& bytes) { frame(node, bytes); });
    agent.link->on_closed([this, node](const std::string&) { lost(node); });
    wire::Hello hello;
    hello.node = node;
    hello.hardware_threads = 2;
    for (const auto& part : agent.parts) hello.parts.push_back(part);
    agent.link->send(wire::encode(hello));
  }

  void frame(const NodeId& node, const std::string& bytes) {
    auto& agent = agents_.at(node);
    const auto message = wire::decode(bytes);
    if (!message) return;
    if (const auto* prepare = std::get_if<wire::Prepare>(&*message)) {
      agent.parts.insert(prepare->part);
      if (prepare->starts_itself) return start(agent, prepare->part);
      agent.link->send(wire::encode(wire::Prepared{prepare->part}));
    } else if (const auto* launch = std::get_if<wire::Launch>(&*message)) {
      start(agent, launch->part);
    } else if (const auto* stop = std::get_if<wire::Stop>(&*message)) {
      end(agent, stop->part, 128 + SIGTERM);
    }
  }

  void start(Agent& agent, const wire::PartKey& part) {
    agent.link->send(wire::encode(wire::Started{part, clock_.now().value}));
    if (jobs_ == Jobs::end) end(agent, part, 0);
  }

  void end(Agent& agent, const wire::PartKey& part, int code) {
    agent.parts.erase(part);
    agent.link->send(wire::encode(wire::Exited{part, clock_.now().value, code, ""}));
  }

  void turn() {
    jobs_ = jobs_ == Jobs::end ? Jobs::stay : Jobs::end;
    if (jobs_ == Jobs::stay) return;
    for (auto& [node, agent] : agents_) {
      const auto parts = agent.parts;
      for (const auto& part : parts) end(agent, part, 0);
    }
  }

  os::EventLoop& loop_;
  const Clock& clock_;
  int from_head_;
  int port_;
  Jobs jobs_;
  std::string pending_;
  std::map<NodeId, Agent> agents_;
  std::deque<NodeId> to_dial_;
  std::size_t dialling_ = 0;
  os::SubscriptionPtr redial_;
  os::SubscriptionPtr reading_;
  os::SubscriptionPtr turning_;
};

}  // namespace

void tell_agents(int to_agents, const NodeToPlay& node) {
  std::string bytes;
  put(bytes, node.node.value);
  put(bytes, node.identity.certificate);
  put(bytes, node.identity.private_key);
  put(bytes, node.identity.ca_certificate);
  if (!os::write_all(to_agents, bytes)) std::_Exit(EXIT_FAILURE);
}

pid_t start_agents(int from_head, int port, Jobs jobs) {
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  os::EventLoop loop;
  const os::SystemClock clock;
  const Agents agents(loop, clock, from_head, port, jobs);
  loop.run();
  std::_Exit(EXIT_SUCCESS);
}

}  // namespace cox::bench
