#pragma once

#include <sched.h>
#include <sys/resource.h>

#include <array>

namespace cox::agent {

/// What a job's own processes can set in the one that starts them, for good.
struct Limits {
  std::array<std::array<rlim_t, 2>, RLIM_NLIMITS> of_resources{};
  int nice = 0;
  cpu_set_t processors{};

  bool operator==(const Limits& other) const {
    return of_resources == other.of_resources && nice == other.nice &&
           CPU_EQUAL(&processors, &other.processors);
  }
};

/// This process's.
[[nodiscard]] Limits own_limits();

}  // namespace cox::agent
