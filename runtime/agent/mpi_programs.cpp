#include "runtime/agent/mpi_programs.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "runtime/os/files.hpp"

namespace cox::agent {

namespace {

constexpr std::array kPlaces = {"/usr/lib64/openmpi/bin/", "/usr/bin/", "/usr/local/bin/",
                                "/opt/amazon/openmpi/bin/", "/opt/openmpi/bin/"};
constexpr std::array kPrograms = {"mpirun",     "mpiexec",    "mpicc",     "mpic++",
                                  "mpicxx",     "mpiCC",      "mpif77",    "mpif90",
                                  "mpifort",    "orted",      "orterun",   "ompi_info",
                                  "ompi-clean", "orte-clean", "orte-info", "opal_wrapper"};

/// Those that cox-mpirun stands in front of.
constexpr std::array<std::string_view, 3> kFrontNames = {"mpirun", "mpiexec", "orterun"};

bool is_program(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

Result<void> link(const std::string& target, const std::string& path) {
  if (::symlink(target.c_str(), path.c_str()) == 0 || errno == EEXIST) return {};
  return fail(os::errno_error(errno, path));
}

}  // namespace

std::string find_mpi_program(const std::string& name) {
  for (const std::string place : kPlaces) {
    // The name alone may be another MPI's where both are installed.
    if (is_program(place + name + ".openmpi")) return place + name + ".openmpi";
  }
  for (const std::string place : kPlaces) {
    if (is_program(place + name)) return place + name;
  }
  return {};
}

Result<std::string> link_mpi_programs(const std::string& directory) {
  const auto bin = directory + "/openmpi/bin";
  for (const auto& made : {bin, directory + "/node-bin"}) {
    if (auto there = os::make_directories(made, 0755); !there) return fail(there.error());
  }
  for (const std::string name : kPrograms) {
    const auto found = find_mpi_program(name);
    if (found.empty()) continue;
    const bool is_front =
        std::find(kFrontNames.begin(), kFrontNames.end(), name) != kFrontNames.end();
    const auto target = is_front ? directory + "/cox-mpirun" : found;
    if (auto made = link(target, bin + "/" + name); !made) return fail(made.error());
    if (!is_front) continue;
    if (auto made = link(target, directory + "/node-bin/" + name); !made) return fail(made.error());
  }
  if (auto made = link(directory + "/cox-rsh", directory + "/node-bin/ssh"); !made) {
    return fail(made.error());
  }
  return bin;
}

}  // namespace cox::agent
