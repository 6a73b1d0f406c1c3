#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

namespace cox {

template <class T>
inline constexpr bool kHoldsOptional = false;
template <class T>
inline constexpr bool kHoldsOptional<std::optional<T>> = true;

template <class T>
concept Iterable = requires(const T& value) {
  value.begin();
  value.end();
};

/// A value that copies share until one of them is edited. It takes the room of a pointer, and what
/// equals T{} takes no more than that: for members that most objects do not use, or that many
/// objects have alike. An optional in it is asked as an optional is. Copies may be in several
/// threads; one object is used by one at a time.
template <class T>
class Shared {
 public:
  Shared() = default;
  template <class U>
  requires std::same_as<std::remove_cvref_t<U>, T> Shared(
      U&& value) {  // NOLINT: implicit by purpose, it stands for its value
    if (!(value == nothing())) box_ = new Box(std::forward<U>(value));
  }
  Shared(const Shared& other) : box_(other.box_) {
    if (box_ != nullptr) box_->holders.fetch_add(1, std::memory_order_relaxed);
  }
  Shared(Shared&& other) noexcept : box_(std::exchange(other.box_, nullptr)) {}
  Shared& operator=(Shared other) noexcept {
    std::swap(box_, other.box_);
    return *this;
  }
  template <class U = T>
  requires std::convertible_to<U, T> Shared& operator=(U value) {
    return *this = Shared(T(std::move(value)));
  }
  ~Shared() {
    if (box_ != nullptr && box_->holders.fetch_sub(1, std::memory_order_acq_rel) == 1) delete box_;
  }

  [[nodiscard]] const T& get() const { return box_ == nullptr ? nothing() : box_->value; }
  operator const T&() const { return get(); }  // NOLINT: implicit by purpose
  /// The value as this object's own, to be changed.
  [[nodiscard]] T& edit() {
    if (box_ == nullptr) {
      box_ = new Box(T{});
    } else if (box_->holders.load(std::memory_order_acquire) > 1) {
      *this = Shared(new Box(box_->value));
    }
    return box_->value;
  }
  /// Holds the other's value instead of its own where both are equal.
  void share_with(const Shared& other) {
    if (box_ != other.box_ && get() == other.get()) *this = other;
  }

  [[nodiscard]] const auto& operator*() const {
    if constexpr (kHoldsOptional<T>) {
      return *get();
    } else {
      return get();
    }
  }
  [[nodiscard]] const auto* operator->() const { return &**this; }
  explicit operator bool() const requires kHoldsOptional<T> { return get().has_value(); }
  [[nodiscard]] bool has_value() const requires kHoldsOptional<T> { return get().has_value(); }

  // Of texts and containers.
  [[nodiscard]] bool empty() const { return get().empty(); }
  [[nodiscard]] auto size() const { return get().size(); }
  [[nodiscard]] auto begin() const requires Iterable<T> { return get().begin(); }
  [[nodiscard]] auto end() const requires Iterable<T> { return get().end(); }

  friend bool operator==(const Shared& a, const Shared& b) {
    return a.box_ == b.box_ || a.get() == b.get();
  }
  friend bool operator==(const Shared& a, const T& b) { return a.get() == b; }

 private:
  struct Box {
    explicit Box(T content) : value(std::move(content)) {}
    std::atomic<std::uint32_t> holders = 1;
    T value;
  };
  explicit Shared(Box* box) : box_(box) {}

  static const T& nothing() {
    static const T kNothing{};
    return kNothing;
  }

  Box* box_ = nullptr;
};

}  // namespace cox
