#include "runtime/agent/mpirun_program.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>
#include <string_view>
#include <utility>

#include "runtime/base/text.hpp"
#include "runtime/mpi/direct_plan.hpp"
#include "runtime/os/files.hpp"

namespace cox::agent {

namespace {

constexpr std::array<std::string_view, 24> kTools = {
    "hostname", "echo", "printenv", "printf", "true",   "false", "sleep",  "date",
    "uname",    "cat",  "pwd",      "id",     "whoami", "nproc", "ls",     "wc",
    "head",     "tail", "sort",     "tty",    "test",   "seq",   "md5sum", "df"};
constexpr std::array<std::string_view, 4> kToolPlaces = {"/bin/", "/usr/bin/", "/sbin/",
                                                         "/usr/sbin/"};
constexpr std::array kMpiPlaces = {"/usr/lib64/openmpi/bin/", "/usr/bin/", "/usr/local/bin/",
                                   "/opt/amazon/openmpi/bin/", "/opt/openmpi/bin/"};

bool is_program(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> search_path() {
  const char* path = std::getenv("PATH");
  return split(path != nullptr ? path : "/usr/bin:/bin", ':');
}

bool is_this_program(const std::string& path) {
  struct stat own {};
  struct stat other {};
  return ::stat("/proc/self/exe", &own) == 0 && ::stat(path.c_str(), &other) == 0 &&
         own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

bool is_tool(const std::string& path) {
  const auto slash = path.rfind('/') + 1;
  const auto place = std::string_view(path).substr(0, slash);
  const auto name = std::string_view(path).substr(slash);
  return std::find(kTools.begin(), kTools.end(), name) != kTools.end() &&
         std::find(kToolPlaces.begin(), kToolPlaces.end(), place) != kToolPlaces.end();
}

std::string real_path(const std::string& path) {
  char* const resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return path;
  std::string text(resolved);
  std::free(resolved);
  return text;
}

}  // namespace

Result<std::string> find_program(const std::string& word, const std::string& directory) {
  if (word.find('/') != std::string::npos) {
    const auto path = word.front() == '/' ? word : directory + "/" + word;
    if (is_program(path)) return path;
  } else {
    for (const auto& each : search_path()) {
      // What is searched relative to where one is has rules of its own.
      if (each.empty() || each.front() != '/') {
        return fail(Errc::invalid_argument, "PATH has '{}' in it", each);
      }
      if (is_program(each + "/" + word)) return each + "/" + word;
    }
  }
  return fail(Errc::not_found, "there is no program {}", word);
}

Result<void> is_known_to_work(const std::string& path) {
  if (is_tool(path)) return {};
  const auto bytes = os::read_file(path);
  if (!bytes) return fail(bytes.error());
  const auto linkage = mpi::linkage_of(*bytes);
  if (linkage.library == "openmpi") return {};
  if (!linkage.library.empty()) return fail(Errc::invalid_argument, "the program is MPICH's");
  return fail(Errc::invalid_argument, "{}", linkage.why_unknown);
}

std::string real_mpirun(const std::string& called) {
  const auto name = called.substr(called.rfind('/') + 1);
  if (called.find('/') == std::string::npos) {
    for (const auto& each : search_path()) {
      const auto path = (each.empty() ? "." : each) + "/" + name;
      if (is_program(path) && !is_this_program(path)) return path;
    }
  }
  for (const std::string place : kMpiPlaces) {
    for (const auto& path : {place + name + ".openmpi", place + name}) {
      if (is_program(path) && !is_this_program(path)) return path;
    }
  }
  return {};
}

bool is_open_mpi(const std::string& real) {
  return real_path(real).ends_with("/orterun");  // version 5 has none
}

int count_cores() {
  std::set<std::pair<std::string, std::string>> cores;
  const auto count = ::sysconf(_SC_NPROCESSORS_CONF);
  for (long i = 0; i < count; ++i) {
    const auto of = fmt::format("/sys/devices/system/cpu/cpu{}/topology/", i);
    const auto core = os::read_file(of + "core_id");
    const auto package = os::read_file(of + "physical_package_id");
    if (core && package) cores.emplace(*package, *core);
  }
  return cores.empty() ? static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN))
                       : static_cast<int>(cores.size());
}

}  // namespace cox::agent
