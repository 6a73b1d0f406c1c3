#pragma once

#include <fmt/format.h>

#include <compare>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace cox {

/// A text identifier of one kind of thing; ids of different kinds do not mix.
template <class Tag>
struct Id {
  std::string value;

  Id() = default;
  explicit Id(std::string text) : value(std::move(text)) {}

  [[nodiscard]] bool empty() const { return value.empty(); }
  friend auto operator<=>(const Id&, const Id&) = default;
  friend bool operator==(const Id&, const Id&) = default;
};

/// A job as AWS Batch names it: `<uuid>`, or `<uuid>:<i>` for a child of an array. The nodes of a
/// multi-node job are `<uuid>#<n>`: they are views of one job, never jobs of their own.
using JobId = Id<struct JobIdTag>;
/// A node as EC2 names an instance: `i-` and 17 hexadecimal digits.
using NodeId = Id<struct NodeIdTag>;
/// The name of a job queue.
using QueueName = Id<struct QueueNameTag>;
/// The name of a compute environment.
using ComputeEnvironmentName = Id<struct ComputeEnvironmentNameTag>;

}  // namespace cox

template <class Tag>
struct fmt::formatter<cox::Id<Tag>> : fmt::formatter<std::string_view> {
  template <class Context>
  auto format(const cox::Id<Tag>& id, Context& context) const {
    return fmt::formatter<std::string_view>::format(id.value, context);
  }
};

template <class Tag>
struct std::hash<cox::Id<Tag>> {
  std::size_t operator()(const cox::Id<Tag>& id) const noexcept {
    return std::hash<std::string>{}(id.value);
  }
};
