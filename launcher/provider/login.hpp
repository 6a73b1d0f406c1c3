#pragma once

#include <functional>
#include <string>
#include <vector>

namespace cox::provider {

/// What a person runs in a node.
struct LoginProgram {
  std::string path;
  std::vector<std::string> argv;
  std::vector<std::string> environment;  ///< "NAME=value"
  std::string directory;
};

/// The search path of a login on a node.
inline constexpr const char* kLoginPath =
    "/run/coxswain/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/usr/lib64/openmpi/bin";

/// An empty argv: a login shell. Otherwise a shell with the words joined by blanks, as sshd runs a
/// command. `environment` gives the caller's variables: TERM and the language come through. Pure.
[[nodiscard]] LoginProgram login_program(
    const std::string& os_user, const std::vector<std::string>& argv,
    const std::function<std::string(const char*)>& environment);

}  // namespace cox::provider
