#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "runtime/agent/agent.hpp"
#include "runtime/agent/host_node.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

namespace {

constexpr int kOptionsDescriptor = 3;

int usage(bool asked) {
  std::fprintf(
      asked ? stdout : stderr,
      "usage: cox-agent\n"
      "       cox-agent --describe NONCE [DIR ...] | --reach | --start DIR | --hold DIR |\n"
      "                 --clear DIR [DIR ...]\n"
      "The agent of one node: dials the head of its cluster and runs its jobs. Started by a\n"
      "node provider, with its options as JSON on descriptor 3. On a host that is a node itself:\n"
      "--describe tells what the host is like, as JSON, and --reach what others look like from\n"
      "there; --start makes the node in DIR, detached,\n"
      "its options on stdin, and --hold the same and stays; --clear ends it with all its processes "
      "and removes all DIRs.\n");
  return asked ? 0 : 2;
}

}  // namespace

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  const std::string word = argc > 1 ? argv[1] : "";
  if (word == "--describe" && argc >= 3) {
    return cox::agent::describe_host(argv[2], {argv + 3, argv + argc});
  }
  if (word == "--reach" && argc == 2) return cox::agent::reach_hosts();
  if (word == "--start" && argc == 3) return cox::agent::start_host_node(argv[2]);
  if (word == "--hold" && argc == 3) return cox::agent::hold_host_node(argv[2]);
  if (word == "--clear" && argc >= 3)
    return cox::agent::clear_host_node(argv[2], {argv + 3, argv + argc});
  if (argc > 1) return usage(word == "--help");
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
  return agent->was_turned_away() ? cox::agent::kTurnedAway : 0;
}
