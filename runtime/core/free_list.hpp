#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <tuple>
#include <vector>

#include "runtime/base/units.hpp"

/// Nodes by what is free of them. Only files of this room include it.
namespace cox::core {

/// What is free of a node, which is named by its place in a list.
struct Room {
  int vcpus = 0;
  MiB memory;
  std::size_t place = 0;

  friend auto operator<=>(const Room&, const Room&) = default;
};

/// Room of many nodes, the least first: a look for the best fit costs a search, whatever there is.
class FreeList {
 public:
  void reserve(std::size_t count) { rooms_.reserve(count); }
  /// Takes one in without keeping the order: sort() follows.
  void append(const Room& room) { rooms_.push_back(room); }
  void sort() { std::sort(rooms_.begin(), rooms_.end()); }

  void insert(const Room& room) {
    rooms_.insert(std::lower_bound(rooms_.begin(), rooms_.end(), room), room);
  }
  void erase(const Room& room) {
    const auto found = std::lower_bound(rooms_.begin(), rooms_.end(), room);
    if (found != rooms_.end() && *found == room) rooms_.erase(found);
  }

  /// Calls `visit` with each that has so much, the least first, until it returns false.
  template <class Visit>
  void each_with(int vcpus, MiB memory, Visit visit) const {
    auto at = std::lower_bound(rooms_.begin(), rooms_.end(), Room{vcpus, memory, 0});
    while (at != rooms_.end()) {
      if (at->memory < memory) {  // on to those of as many vCPUs that have the memory
        at = std::lower_bound(at, rooms_.end(), Room{at->vcpus, memory, 0});
        continue;
      }
      if (!visit(*at)) return;
      ++at;
    }
  }
  [[nodiscard]] bool is_empty() const { return rooms_.empty(); }

 private:
  std::vector<Room> rooms_;
};

}  // namespace cox::core
