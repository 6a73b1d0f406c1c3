#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "launcher/coxd/keeper.hpp"
#include "launcher/coxd/worker_contract.hpp"
#include "launcher/provider/local_provider.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/os/files.hpp"

namespace {

/// A first process that tells its host name to whoever connects to port 7, or ends at the first
/// call where its instance type says so.
int serve_as_agent() {
  std::array<char, 65536> options{};
  const ssize_t got = ::read(3, options.data(), options.size() - 1);
  (void)std::printf("options: %.20s\n", got > 0 ? options.data() : "none");
  (void)std::fflush(stdout);
  const bool dies = std::strstr(options.data(), "\"instance_type\":\"dies\"") != nullptr;
  const cox::os::Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(7);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0 ||
      ::listen(listener.get(), 16) != 0) {
    std::perror("listen");
    return 8;
  }
  while (true) {
    while (::waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    const cox::os::Fd peer(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::array<char, 256> name{};
    (void)::gethostname(name.data(), name.size() - 1);
    if (dies) return 7;
    (void)::dprintf(peer.get(), "%s\n", name.data());
  }
}

/// A head that does what the byte sent to its API says: 'e' the cluster has ended, 'c' it cannot
/// start, 'd' it dies, anything else is answered with its process number. What it says when it
/// starts is in the file "ready" of the cluster's directory.
int serve_as_head(const std::string& directory) {
  const auto ready = cox::os::read_file(directory + "/ready");
  if (ready) (void)!::write(cox::coxd::kReady, ready->data(), ready->size());
  (void)::close(cox::coxd::kReady);
  if (!ready) return cox::coxd::kCannotStart;
  while (true) {
    const cox::os::Fd peer(::accept4(cox::coxd::kApiListener, nullptr, nullptr, SOCK_CLOEXEC));
    char word = 0;
    if (::read(peer.get(), &word, 1) != 1) continue;
    if (word == 'e') return cox::coxd::kClusterEnded;
    if (word == 'c') return cox::coxd::kCannotStart;
    if (word == 'd') std::abort();
    (void)::dprintf(peer.get(), "%d", ::getpid());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--bring-up-node") == 0) {
    ::_exit(cox::provider::bring_up_node());  // as coxd does
  }
  if (argc > 3 && std::strcmp(argv[1], "--head") == 0) return serve_as_head(argv[3]);
  if (argc > 4 && std::strcmp(argv[1], "--cluster-dir") == 0) {
    return cox::coxd::run_keeper(argv[2], std::atoi(argv[4]));
  }
  return serve_as_agent();
}
