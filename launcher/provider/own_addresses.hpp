#pragma once

#include <string>
#include <vector>

namespace cox::provider {

/// IPv4 addresses of this machine by which others may reach it: of interfaces that are up, without
/// loopback.
[[nodiscard]] std::vector<std::string> own_addresses();

}  // namespace cox::provider
