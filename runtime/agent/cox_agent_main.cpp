#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include "runtime/agent/agent.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

namespace {

constexpr int kOptionsDescriptor = 3;

int usage(bool asked) {
  std::fprintf(
      asked ? stdout : stderr,
      "usage: cox-agent\n"
      "The agent of one node: dials the head of its cluster and runs its jobs. Started by a\n"
      "node provider, with its options as JSON on descriptor 3.\n");
  return asked ? 0 : 2;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return usage(std::strcmp(argv[1], "--help") == 0);
  ::signal(SIGPIPE, SIG_IGN);
  const auto text = cox::os::read_file("/proc/self/fd/" + std::to_string(kOptionsDescriptor));
  if (!text) return usage(false);
  ::close(kOptionsDescriptor);
  auto options = cox::agent::parse_options(*text);
  if (!options) {
    cox::os::log_error("{}", options.error().message);
    return 2;
  }
  cox::os::EventLoop loop;
  const auto agent = cox::agent::make_agent(loop, std::move(*options));
  if (const auto started = agent->start(); !started) {
    cox::os::log_error("{}", started.error().message);
    return 1;
  }
  loop.run();
  return 0;
}
