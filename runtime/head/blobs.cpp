#include "runtime/head/blobs.hpp"

#include <unistd.h>

#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"

namespace cox::head {

namespace {
constexpr std::size_t kBlobBytesMax = 512u << 20;
}

std::string Blobs::path_of(const std::string& sha256) const {
  return fmt::format("{}/{}/{}", directory_, sha256.substr(0, 2), sha256);
}

bool Blobs::has(const std::string& sha256) const {
  return ::access(path_of(sha256).c_str(), R_OK) == 0;
}

Result<std::string> Blobs::put(std::string_view bytes) {
  auto hash = os::sha256_hex(bytes);
  if (has(hash)) return hash;
  if (auto made = os::make_directories(directory_ + "/" + hash.substr(0, 2), 0700); !made) {
    return fail(made.error());
  }
  if (auto written = os::write_file_atomic(path_of(hash), bytes, 0600); !written) {
    return fail(written.error());
  }
  return hash;
}

Result<std::string> Blobs::get(const std::string& sha256) const {
  return os::read_file(path_of(sha256), kBlobBytesMax);
}

}  // namespace cox::head
