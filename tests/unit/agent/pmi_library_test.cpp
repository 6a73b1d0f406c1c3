#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "runtime/os/fd.hpp"

// libcox-pmi.so as Open MPI uses it: loaded, and asked while it waits.

extern "C" {
extern void (*on_progress)(void);
}

namespace cox::agent {
namespace {

/// The step's end of the socket: answers by a script of {asked, answered}.
class Peer {
 public:
  Peer(os::Fd socket, std::vector<std::pair<std::string, std::string>> script)
      : thread_([socket = std::move(socket), script = std::move(script), this] {
          std::string unread;
          std::array<char, 512> piece{};
          for (const auto& [question, reply] : script) {
            while (unread.find('\n') == std::string::npos) {
              const auto got = ::read(socket.get(), piece.data(), piece.size());
              if (got <= 0) return;
              unread.append(piece.data(), static_cast<std::size_t>(got));
            }
            const auto end = unread.find('\n');
            if (unread.substr(0, end) != question) wrong_ = unread.substr(0, end);
            unread.erase(0, end + 1);
            if (::write(socket.get(), reply.data(), reply.size()) < 0) return;
          }
        }) {}
  /// A question that was not the script's; empty when all were.
  std::string end() {
    thread_.join();
    return wrong_;
  }

 private:
  std::string wrong_;
  std::thread thread_;
};

template <class Function>
Function* found(void* library, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(library, name));
}

int (*get_key)(const char*, const char*, char*, int) = nullptr;
std::string value_got;

TEST(PmiLibrary, TellsTheEndOfABarrierFromTheAnswerToWhatIsAskedWithinIt) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
  const os::Fd own(ends[0]);
  Peer peer(os::Fd(ends[1]),
            {{"cmd=init pmi_version=1 pmi_subversion=1", "cmd=response_to_init rc=0\n"},
             {"cmd=get_maxes", "cmd=maxes kvsname_max=256 keylen_max=64 vallen_max=896\n"},
             {"cmd=get_my_kvsname", "cmd=my_kvsname kvsname=job\n"},
             {"cmd=barrier_in", ""},
             // All are in the barrier by now: its end overtakes the answer.
             {"cmd=get kvsname=job key=address.5",
              "cmd=barrier_out\ncmd=get_result rc=0 msg=success value=10.0.0.12\n"}});
  ::setenv("PMI_FD", std::to_string(own.get()).c_str(), 1);
  ::setenv("PMI_RANK", "0", 1);
  ::setenv("PMI_SIZE", "6", 1);
  void* const library = ::dlopen(COX_BIN_DIR "/libcox-pmi.so", RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << ::dlerror();
  get_key = found<int(const char*, const char*, char*, int)>(library, "PMI_KVS_Get");
  int spawned = 1;
  ASSERT_EQ((found<int(int*)>(library, "PMI_Init")(&spawned)), 0);
  on_progress = [] {
    if (!value_got.empty()) return;
    std::array<char, 64> value{};
    const int code = get_key("job", "address.5", value.data(), value.size());
    value_got = code == 0 ? value.data() : "failed";
  };

  const int left = found<int()>(library, "PMI_Barrier")();

  EXPECT_EQ(left, 0);
  EXPECT_EQ(value_got, "10.0.0.12");
  EXPECT_EQ(peer.end(), "");
  on_progress = nullptr;
}

}  // namespace
}  // namespace cox::agent
