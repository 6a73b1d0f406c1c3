#include "launcher/provider/refusal.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::provider {
namespace {

std::string read_setting(const std::string& path) {
  const auto text = os::read_file("/proc/sys/" + path, 64);
  return text ? std::string(trim(*text)) : std::string();
}

std::string remedy(int error_number, const NamespaceSettings& settings) {
  if (settings.root) {
    return "root has no CAP_SYS_ADMIN here; in a container, start it with --privileged";
  }
  if (settings.max_user_namespaces == "0" || error_number == ENOSPC) {
    return "user namespaces are used up or off; let root run: "
           "sysctl -w user.max_user_namespaces=15000";
  }
  if (settings.unprivileged_userns_clone == "0") {
    return "user namespaces are off for ordinary users; let root run: "
           "sysctl -w kernel.unprivileged_userns_clone=1";
  }
  if (settings.apparmor_restricts == "1") {
    return "AppArmor restricts user namespaces; let root run: "
           "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
  }
  return "this machine does not let ordinary users make namespaces; in a container, start it with "
         "--privileged";
}

}  // namespace

NamespaceSettings read_namespace_settings() {
  return {.root = ::geteuid() == 0,
          .unprivileged_userns_clone = read_setting("kernel/unprivileged_userns_clone"),
          .max_user_namespaces = read_setting("user/max_user_namespaces"),
          .apparmor_restricts = read_setting("kernel/apparmor_restrict_unprivileged_userns")};
}

Error explain_refusal(const std::string& what, int error_number,
                      const NamespaceSettings& settings) {
  const std::string reason = fmt::format("{}: {}", what, std::strerror(error_number));
  if (error_number != EPERM && error_number != EACCES && error_number != ENOSPC) {
    return {Errc::unavailable, reason};
  }
  return {Errc::unavailable, fmt::format("{} ({})", reason, remedy(error_number, settings))};
}

}  // namespace cox::provider
