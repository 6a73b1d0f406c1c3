#include "runtime/os/failpoint.hpp"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::os {

#ifdef COX_FAILPOINTS

Result<void> failpoint(std::string_view step) {
  const char* path = std::getenv("COX_FAIL_FILE");
  if (path == nullptr) return {};
  const auto text = read_file(path, 256);
  if (!text) return {};
  const auto wanted = trim(*text);
  const auto name = wanted.substr(wanted.find(':') + 1);
  // Of several processes at the step one alone removes the file.
  if (name != step || ::unlink(path) != 0) return {};
  if (wanted.starts_with("kill:")) (void)::kill(::getpid(), SIGKILL);
  return fail(Errc::unavailable, "a test has this fail at {}", step);
}

#endif

}  // namespace cox::os
