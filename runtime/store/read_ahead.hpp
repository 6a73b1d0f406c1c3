#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/store/store.hpp"

namespace cox::store {

/// Events on their way from the thread that reads them to the one that takes them: some thousands
/// at most, handed over many at a time.
class ReadAhead {
 public:
  // The reader's.

  /// False: nobody wants any more.
  [[nodiscard]] bool put(StoredEvent event) {
    open_.push_back(std::move(event));
    return open_.size() < kAtOnce || hand_over();
  }
  void end() {
    (void)hand_over();
    const std::lock_guard lock(mutex_);
    is_over_ = true;
    changed_.notify_all();
  }

  // The taker's.

  /// The next events; nothing: there are no more.
  [[nodiscard]] std::optional<std::vector<StoredEvent>> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty() || is_over_; });
    if (ready_.empty()) return std::nullopt;
    auto events = std::move(ready_.front());
    ready_.pop_front();
    changed_.notify_all();
    return events;
  }
  void give_up() {
    const std::lock_guard lock(mutex_);
    is_given_up_ = true;
    changed_.notify_all();
  }

 private:
  static constexpr std::size_t kAtOnce = 256;
  static constexpr std::size_t kReadyMax = 16;

  [[nodiscard]] bool hand_over() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ready_.size() < kReadyMax || is_given_up_; });
    ready_.push_back(std::exchange(open_, {}));
    changed_.notify_all();
    return !is_given_up_;
  }

  std::vector<StoredEvent> open_;  ///< the reader's alone
  std::mutex mutex_;               ///< guards the rest
  std::condition_variable changed_;
  std::deque<std::vector<StoredEvent>> ready_;
  bool is_over_ = false;
  bool is_given_up_ = false;
};

}  // namespace cox::store
