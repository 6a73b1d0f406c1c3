#include "runtime/agent/open_mpi.hpp"

#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace cox::agent {

namespace {

/// Where distributions keep Open MPI's components.
constexpr std::array kComponents = {
    "/usr/lib/*-linux-gnu/openmpi/lib/openmpi3/mca_pmix_flux.so",  // Debian, Ubuntu
    "/usr/lib64/openmpi/lib/openmpi/mca_pmix_flux.so",             // Fedora and its like
    "/usr/lib64/openmpi4/lib/openmpi/mca_pmix_flux.so",
    "/opt/amazon/openmpi/lib64/openmpi/mca_pmix_flux.so",
};

bool is_there(const char* pattern) {
  glob_t found{};
  const bool any = ::glob(pattern, GLOB_NOSORT, nullptr, &found) == 0 && found.gl_pathc > 0;
  ::globfree(&found);
  return any;
}

}  // namespace

std::string pmi_library(const AgentOptions& options) { return options.bin_dir + "/libcox-pmi.so"; }

bool has_open_mpi_flux(const AgentOptions& options) {
  static const bool has = std::any_of(kComponents.begin(), kComponents.end(), is_there) &&
                          ::access(pmi_library(options).c_str(), R_OK) == 0;
  return has;
}

}  // namespace cox::agent
