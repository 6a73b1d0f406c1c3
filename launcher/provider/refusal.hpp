#pragma once

#include <string>

#include "runtime/base/result.hpp"

namespace cox::provider {

/// What decides whether a machine lets this user make namespaces. Texts of /proc/sys; empty:
/// absent.
struct NamespaceSettings {
  bool root = false;
  std::string unprivileged_userns_clone;  ///< kernel.unprivileged_userns_clone (Debian)
  std::string max_user_namespaces;        ///< user.max_user_namespaces
  std::string apparmor_restricts;         ///< kernel.apparmor_restrict_unprivileged_userns (Ubuntu)
};

[[nodiscard]] NamespaceSettings read_namespace_settings();

/// Why `what` was refused with this errno, and what to do about it. Errc unavailable. Pure.
[[nodiscard]] Error explain_refusal(const std::string& what, int error_number,
                                    const NamespaceSettings& settings);

}  // namespace cox::provider
