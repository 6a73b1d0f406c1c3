#pragma once

#include <string>

#include "runtime/base/result.hpp"

namespace cox::provider {

/// The agent and its companions with the libraries that a host may lack, as a compressed tar.
struct AgentBundle {
  std::string bytes;
  std::string hash;  ///< of its content: 16 hexadecimal digits
};

/// Packs what is in `bin_directory`. All of its libraries but the C library's go along: they are
/// found beside the programs (their run path), so that a host needs no package of ours.
/// Errors: unavailable when tar or a file is missing.
[[nodiscard]] Result<AgentBundle> pack_agent(const std::string& bin_directory);

}  // namespace cox::provider
