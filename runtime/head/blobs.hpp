#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/base/result.hpp"
#include "runtime/base/units.hpp"
#include "runtime/os/event_loop.hpp"

namespace cox::head {

/// Files that travel with jobs, stored by the SHA-256 of their content. They are hashed, written
/// and removed on a thread of its own.
class Blobs {
 public:
  Blobs(os::EventLoop& loop, std::string directory);
  ~Blobs();
  Blobs(const Blobs&) = delete;
  Blobs& operator=(const Blobs&) = delete;

  /// Makes the bytes durable and answers on the loop with their hash. Storing the same bytes again
  /// costs the hash only.
  void put(std::string bytes, std::function<void(Result<std::string>)> done);
  [[nodiscard]] bool has(const std::string& sha256) const;
  /// Up to `count` bytes from `offset`; fewer only at the end. Errors: not_found, internal.
  [[nodiscard]] Result<std::string> read(const std::string& sha256, std::int64_t offset,
                                         std::size_t count) const;

  /// Removes a file that no job needs any more, unless it was put again within the last hour.
  void remove(const std::string& sha256);
  /// Removes files that were put before that moment and are not needed.
  void sweep(Millis before, const std::function<bool(const std::string&)>& is_needed);

 private:
  [[nodiscard]] std::string path_of(const std::string& sha256) const;
  [[nodiscard]] Result<std::string> store(const std::string& bytes) const;
  void run(std::function<void()> task);
  void work();

  os::EventLoop& loop_;
  std::string directory_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  ///< read on the loop only

  std::mutex mutex_;  ///< guards the rest
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace cox::head
