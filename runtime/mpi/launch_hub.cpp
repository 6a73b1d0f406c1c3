#include "runtime/mpi/launch_hub.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace cox::mpi {
namespace {
constexpr int kKilled = 137;
}

LaunchHub::LaunchHub(std::vector<std::string> hosts) {
  for (auto& host : hosts) nodes_.emplace_back().host = std::move(host);
}

void LaunchHub::without_ranks(int node) {
  auto& each = nodes_.at(static_cast<std::size_t>(node));
  each.empty = true;
  each.done = true;
}

std::optional<std::string> LaunchHub::entered(int node, std::string_view keys) {
  auto& each = nodes_.at(static_cast<std::size_t>(node));
  if (is_over() || each.entered) return std::nullopt;
  each.entered = true;
  keys_ += keys;
  const bool all =
      std::all_of(nodes_.begin(), nodes_.end(), [](const Node& n) { return n.entered || n.empty; });
  if (all) {
    for (auto& n : nodes_) n.entered = false;
    return std::exchange(keys_, {});
  }
  look_for_missing();
  return std::nullopt;
}

void LaunchHub::rank_gone(int node, int rank) {
  nodes_.at(static_cast<std::size_t>(node)).gone = rank;
  look_for_missing();
}

/// A node whose rank has ended can never come to the barrier that others are in.
void LaunchHub::look_for_missing() {
  const bool open =
      std::any_of(nodes_.begin(), nodes_.end(), [](const Node& n) { return n.entered; });
  const auto missing = std::find_if(nodes_.begin(), nodes_.end(),
                                    [](const Node& n) { return n.gone && !n.entered; });
  if (is_over() || !open || missing == nodes_.end()) return;
  failed({1, fmt::format("rank {} on {} ended while other ranks wait for it in MPI_Init or "
                         "MPI_Finalize",
                         *missing->gone, missing->host)});
}

void LaunchHub::done(int node, int exit_code) {
  nodes_.at(static_cast<std::size_t>(node)).done = true;
  if (exit_code_ == 0) exit_code_ = exit_code;
  const bool all = std::all_of(nodes_.begin(), nodes_.end(), [](const Node& n) { return n.done; });
  if (all && !is_over()) over_ = RankFailure{exit_code_, ""};
}

void LaunchHub::failed(const RankFailure& failure) {
  if (!is_over()) over_ = failure;
}

void LaunchHub::lost(int node) {
  const auto& each = nodes_.at(static_cast<std::size_t>(node));
  if (!each.done) failed({kKilled, fmt::format("node {} was lost", each.host)});
}

}  // namespace cox::mpi
