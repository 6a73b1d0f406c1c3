#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

namespace cox::agent {

/// How much came lately: in the last period at least, in the last three at most.
class RecentBytes {
 public:
  using Time = std::chrono::steady_clock::time_point;
  /// A wire that was cut is noticed after twenty seconds.
  static constexpr std::chrono::seconds kPeriod{30};

  void add(std::int64_t bytes, Time now = std::chrono::steady_clock::now()) {
    if (now - begin_ >= kPeriod) {
      before_ = now - begin_ < 2 * kPeriod ? std::exchange(current_, 0) : 0;
      current_ = 0;
      begin_ = now;
    }
    current_ += bytes;
  }
  [[nodiscard]] std::int64_t count(Time now = std::chrono::steady_clock::now()) const {
    const auto age = now - begin_;
    if (age >= 2 * kPeriod) return 0;
    return age < kPeriod ? current_ + before_ : current_;
  }

 private:
  Time begin_;  ///< of the current period
  std::int64_t current_ = 0;
  std::int64_t before_ = 0;
};

}  // namespace cox::agent
