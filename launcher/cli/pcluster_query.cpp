#include "launcher/cli/pcluster_query.hpp"

#include <array>
#include <optional>
#include <vector>

#include "runtime/base/text.hpp"
#include "runtime/os/process.hpp"

namespace cox::cli {

namespace {

// How the Python below ends.
constexpr int kNoLibrary = 11;
constexpr int kNoExpression = 12;

constexpr const char* kPython = R"(
import json, sys
try:
    import jmespath
except ImportError:
    sys.exit(11)
try:
    found = jmespath.search(sys.argv[1], json.load(sys.stdin))
except Exception as error:
    print(error)
    sys.exit(12)
if found:
    print(json.dumps(found, indent=2))
)";

// The first Python of PATH may be one without the system's libraries. Isolated (-I), so that no
// module of the working directory is taken for the library.
constexpr std::array<const char*, 2> kPythons{"python3", "/usr/bin/python3"};

/// Nothing where this Python has no such library, or is not there.
std::optional<Result<std::string>> by_python(const char* python, const std::string& expression,
                                             const std::string& text) {
  const auto ended = os::run({python, "-I", "-c", kPython, expression}, text);
  if (!ended || ended->exit_code == kNoLibrary) return std::nullopt;
  if (ended->exit_code == 0) return ended->out;
  const auto said = std::string(trim(ended->exit_code == kNoExpression ? ended->out : ended->err));
  return fail(Errc::invalid_argument, "{}", said);
}

std::optional<Result<std::string>> by_jp(const std::string& expression, const std::string& text) {
  // jp takes what begins with a dash for an option; an expression never does.
  const auto ended = os::run({"jp", expression}, text);
  if (!ended) return std::nullopt;
  if (ended->exit_code != 0) return fail(Errc::invalid_argument, "{}", trim(ended->err));
  const auto found = std::string(trim(ended->out));
  for (const auto* nothing : {"null", "false", "[]", "{}", "\"\"", "0"}) {
    if (found == nothing) return std::string();
  }
  return found + "\n";
}

}  // namespace

Result<std::string> select_by_query(const std::string& expression, const std::string& text) {
  for (const auto* python : kPythons) {
    if (auto found = by_python(python, expression, text)) return *found;
  }
  if (auto found = by_jp(expression, text)) return *found;
  return fail(Errc::unavailable,
              "--query needs a library for JMESPath, and there is none: install python3-jmespath, "
              "or jp");
}

}  // namespace cox::cli
