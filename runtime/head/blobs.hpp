#pragma once

#include <string>
#include <string_view>

#include "runtime/base/result.hpp"

namespace cox::head {

/// Files that travel with jobs, stored by the hash of their content.
class Blobs {
 public:
  explicit Blobs(std::string directory) : directory_(std::move(directory)) {}

  /// Makes the bytes durable; storing the same bytes again costs a look. Returns their SHA-256.
  [[nodiscard]] Result<std::string> put(std::string_view bytes);
  [[nodiscard]] bool has(const std::string& sha256) const;
  /// Errors: not_found.
  [[nodiscard]] Result<std::string> get(const std::string& sha256) const;

 private:
  [[nodiscard]] std::string path_of(const std::string& sha256) const;

  std::string directory_;
};

}  // namespace cox::head
