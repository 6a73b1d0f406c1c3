#include <unistd.h>

#include <cstdio>
#include <string>

#include "launcher/coxd/keeper.hpp"
#include "launcher/coxd/worker.hpp"
#include "launcher/provider/local_provider.hpp"
#include "runtime/base/text.hpp"

namespace {

constexpr const char* kUsage =
    "usage: coxd --cluster-dir DIR [--ready-fd N]\n"
    "\n"
    "The daemon of one cluster. `pcluster create` starts it; there is no need to do so by hand.\n";

int misused() {
  (void)std::fputs(kUsage, stderr);
  return 2;
}

int to_pid(const char* word) { return static_cast<int>(cox::to_int(word).value_or(0)); }

}  // namespace

int main(int argc, char** argv) {
  std::string directory;
  int ready_fd = -1;
  bool head = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--share-directory" && i + 3 < argc) {
      ::_exit(cox::provider::share_directory(to_pid(argv[i + 1]), argv[i + 2], argv[i + 3]));
    }
    if (word == "--unshare-directory" && i + 2 < argc) {
      ::_exit(cox::provider::unshare_directory(to_pid(argv[i + 1]), argv[i + 2]));
    }
    if (word == "--bring-up-node") {
      const int status = cox::provider::bring_up_node();
      // It has left its process numbers behind, and with them the means to start a thread, which a
      // leak check at a usual exit would want.
      ::_exit(status);
    }
    if (word == "--help" || word == "-h") {
      (void)std::fputs(kUsage, stdout);
      return 0;
    }
    if (word == "--clear-site" && has_value) return cox::coxd::clear_site_of(argv[i + 1]);
    if (word == "--head") {
      head = true;
    } else if (word == "--cluster-dir" && has_value) {
      directory = argv[++i];
    } else if (word == "--ready-fd" && has_value) {
      const auto number = cox::to_int(argv[++i]);
      if (!number || *number < 3 || *number > 1'000'000) return misused();
      ready_fd = static_cast<int>(*number);
    } else {
      return misused();
    }
  }
  if (directory.empty() || directory.front() != '/') return misused();
  return head ? cox::coxd::run_worker(directory) : cox::coxd::run_keeper(directory, ready_fd);
}
