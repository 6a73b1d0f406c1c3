#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace cox {

/// Why an operation failed, in the few kinds that a caller can act on.
enum class Errc : std::uint8_t {
  invalid_argument,  ///< the request can never succeed as written
  not_found,         ///< the named thing does not exist
  conflict,          ///< exists already, or is in a state that forbids this
  unavailable,       ///< try again: a node, the head or a provider did not answer
  internal,          ///< our bug, or a machine fault; the message is for the log
};

/// An expected failure. The message is one sentence, names the subject, and has no final dot,
/// so that within() can put a place in front of it.
struct Error {
  Errc code = Errc::internal;
  std::string message;

  friend bool operator==(const Error&, const Error&) = default;
};

/// A value or the reason there is none. This alias is the only mention of tl::expected: moving
/// to std::expected (C++23) is a change to this file. Mark functions that return it [[nodiscard]].
template <class T>
using Result = tl::expected<T, Error>;

/// Builds the failing branch: `return fail(Errc::not_found, "job {} does not exist", id);`
template <class... Args>
[[nodiscard]] tl::unexpected<Error> fail(Errc code, fmt::format_string<Args...> text,
                                         Args&&... args) {
  return tl::make_unexpected(Error{code, fmt::format(text, std::forward<Args>(args)...)});
}

/// Passes an error on unchanged: `if (!x) return fail(x.error());`
[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::make_unexpected(std::move(error));
}

/// Adds where it happened: "Queues[0]: MaxvCpus must not be negative".
[[nodiscard]] inline Error within(std::string_view place, Error error) {
  error.message = fmt::format("{}: {}", place, error.message);
  return error;
}

}  // namespace cox
