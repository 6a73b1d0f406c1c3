#include "runtime/agent/own_limits.hpp"

namespace cox::agent {

Limits own_limits() {
  Limits limits;
  for (unsigned i = 0; i < limits.of_resources.size(); ++i) {
    rlimit limit{};
    ::getrlimit(static_cast<__rlimit_resource>(i), &limit);
    limits.of_resources[i] = {limit.rlim_cur, limit.rlim_max};
  }
  limits.nice = ::getpriority(PRIO_PROCESS, 0);
  ::sched_getaffinity(0, sizeof limits.processors, &limits.processors);
  return limits;
}

}  // namespace cox::agent
