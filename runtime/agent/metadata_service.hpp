#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "runtime/agent/agent.hpp"
#include "runtime/os/http.hpp"

namespace cox::agent {

/// Answers one request of EC2's instance metadata service, version 1 and 2.
/// Source: EC2 user guide, "Instance metadata".
class MetadataService {
 public:
  explicit MetadataService(AgentOptions options) : options_(std::move(options)) {}

  /// `now_ms`: for the life of tokens.
  [[nodiscard]] os::HttpResponse answer(const os::HttpRequest& request, std::int64_t now_ms);

 private:
  [[nodiscard]] os::HttpResponse give_token(const os::HttpRequest& request, std::int64_t now_ms);
  [[nodiscard]] std::optional<std::string> value_of(const std::string& path) const;

  AgentOptions options_;
  std::map<std::string, std::int64_t> tokens_;  ///< token → its end
  std::uint64_t next_ = 1;
};

}  // namespace cox::agent
