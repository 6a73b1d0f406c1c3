#include "runtime/mpi/mpirun_place.hpp"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>
#include <utility>

#include "runtime/base/text.hpp"

namespace cox::mpi {
namespace {

/// A node that mpirun has been told of, or its own.
struct PoolNode {
  int job_node = 0;
  int slots = 0;
  int used = 0;
  std::string name = {};

  [[nodiscard]] int free() const { return std::max(slots - used, 0); }
};

std::optional<int> find_node(const MpirunSite& site, std::string_view name) {
  if (name == "localhost" || name == "127.0.0.1") return site.own;
  for (std::size_t i = 0; i < site.nodes.size(); ++i) {
    if (name == site.nodes[i].address || name == site.nodes[i].hostname) return static_cast<int>(i);
  }
  return std::nullopt;
}

/// The hosts that the program names, as nodes in mpirun's order: its own first.
Result<std::vector<PoolNode>> named_nodes(const MpirunProgram& program, const MpirunSite& site) {
  if (!program.hosts.empty() && !program.hostfile.empty()) {
    return fail(Errc::invalid_argument, "hosts and a hostfile");
  }
  auto hosts = program.hosts;
  if (!program.hostfile.empty()) {
    const auto text = site.read_file(program.hostfile);
    if (!text) return fail(text.error());
    auto read = read_hostfile(*text);
    if (!read) return fail(read.error());
    if (read->empty()) return fail(Errc::invalid_argument, "a hostfile without hosts");
    hosts = std::move(*read);
  }
  std::vector<PoolNode> nodes;
  for (const auto& host : hosts) {
    const auto node = find_node(site, host.name);
    if (!node) return fail(Errc::invalid_argument, "{} is not in this job", host.name);
    if (host.slots == 0) return fail(Errc::invalid_argument, "{} has no slots named", host.name);
    for (const auto& other : nodes) {
      if (other.job_node == *node) {
        return fail(Errc::invalid_argument, "{} is named twice", host.name);
      }
    }
    nodes.push_back({*node, host.slots, 0, host.name});
  }
  std::stable_partition(nodes.begin(), nodes.end(),
                        [&](const auto& node) { return node.job_node == site.own; });
  return nodes;
}

int free_of(const std::vector<PoolNode*>& nodes) {
  return std::accumulate(nodes.begin(), nodes.end(), 0,
                         [](int sum, const auto* node) { return sum + node->free(); });
}

/// The ranks of one program that each of its nodes gets.
class Mapper {
 public:
  Mapper(const MpirunLine& line, std::vector<PoolNode*> nodes)
      : line_(line), nodes_(std::move(nodes)), counts_(nodes_.size()) {}

  Result<std::vector<int>> map(int ranks) {
    if (line_.per_node > 0) return by_pattern(ranks);
    const int room = free_of(nodes_);
    if (ranks == 0) ranks = room;
    if (ranks == 0) return fail(Errc::invalid_argument, "no free slot");
    if (ranks > room && !line_.oversubscribe) {
      return fail(Errc::invalid_argument, "more ranks than slots");
    }
    if (line_.map_by == "node") return by_node(ranks);
    return by_slot(ranks);
  }

 private:
  Result<std::vector<int>> by_slot(int ranks) {
    const bool parts = !line_.map_by.empty() && line_.map_by != "slot";
    if (ranks > free_of(nodes_) && parts) {
      return fail(Errc::invalid_argument, "more ranks than slots by {}", line_.map_by);
    }
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      counts_[i] = std::min(ranks, nodes_[i]->free());
      ranks -= counts_[i];
    }
    // What is left goes evenly over all of them, the first ones get one more.
    const int nodes = static_cast<int>(nodes_.size());
    for (int i = 0; i < nodes; ++i) {
      counts_[static_cast<std::size_t>(i)] += ranks / nodes + (i < ranks % nodes ? 1 : 0);
    }
    return counts_;
  }

  /// One a node in turn. Where a node is full before others mpirun's averages may differ from that.
  Result<std::vector<int>> by_node(int ranks) {
    const int nodes = static_cast<int>(nodes_.size());
    for (int i = 0; i < nodes; ++i) {
      const auto at = static_cast<std::size_t>(i);
      counts_[at] = ranks / nodes + (i < ranks % nodes ? 1 : 0);
      if (counts_[at] > nodes_[at]->free()) {
        return fail(Errc::invalid_argument, "uneven nodes by node");
      }
    }
    return counts_;
  }

  Result<std::vector<int>> by_pattern(int ranks) {
    int left = ranks == 0 ? line_.per_node * static_cast<int>(nodes_.size()) : ranks;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      counts_[i] = std::min(left, line_.per_node);
      left -= counts_[i];
      if (counts_[i] > nodes_[i]->free()) {
        return fail(Errc::invalid_argument, "more ranks per node than slots");
      }
    }
    if (left > 0) return fail(Errc::invalid_argument, "more ranks than the nodes may have");
    return counts_;
  }

  const MpirunLine& line_;
  std::vector<PoolNode*> nodes_;
  std::vector<int> counts_;
};

/// What becomes known of nodes and ranks, program by program.
class Placer {
 public:
  Placer(const MpirunLine& line, const MpirunSite& site) : line_(line), site_(site) {}

  Result<MpirunPlaces> place() {
    if (auto known = fill_pool(); !known) return fail(known.error());
    for (const auto& program : line_.programs) {
      if (auto placed = place_program(program); !placed) return fail(placed.error());
    }
    for (const auto& node : pool_) places_.slots += node.slots;
    for (const int job_node : places_.job_nodes) {
      const bool is_own = job_node == site_.own;
      places_.names.push_back(is_own ? std::string() : pool_node(job_node)->name);
    }
    std::vector<bool> over(places_.job_nodes.size());
    for (std::size_t i = 0; i < over.size(); ++i) {
      const auto* node = pool_node(places_.job_nodes[i]);
      over[i] = node != nullptr && node->used > node->slots;
    }
    places_.oversubscribed = std::move(over);
    return std::move(places_);
  }

 private:
  Result<void> fill_pool() {
    places_.job_nodes.push_back(site_.own);
    pool_.push_back({site_.own, 0});
    bool own_named = false;
    for (const auto& program : line_.programs) {
      auto named = named_nodes(program, site_);
      if (!named) return fail(named.error());
      for (const auto& node : *named) {
        auto* known = pool_node(node.job_node);
        if (node.job_node == site_.own && !std::exchange(own_named, true)) {
          known->slots = node.slots;
        } else if (known == nullptr) {
          pool_.push_back(node);
        } else if (known->slots != node.slots) {
          return fail(Errc::invalid_argument, "a node with two numbers of slots");
        }
      }
      named_.push_back(std::move(*named));
    }
    const bool any_named =
        std::any_of(named_.begin(), named_.end(), [](const auto& nodes) { return !nodes.empty(); });
    const bool all_named =
        std::all_of(named_.begin(), named_.end(), [](const auto& nodes) { return !nodes.empty(); });
    if (any_named && !all_named)
      return fail(Errc::invalid_argument, "hosts for some programs only");
    if (!own_named) pool_.front().slots = site_.own_cores;
    return {};
  }

  PoolNode* pool_node(int job_node) {
    const auto found = std::find_if(pool_.begin(), pool_.end(),
                                    [&](const auto& node) { return node.job_node == job_node; });
    return found == pool_.end() ? nullptr : &*found;
  }

  Result<void> place_program(const MpirunProgram& program) {
    const auto index = static_cast<int>(&program - line_.programs.data());
    const auto& named = named_[static_cast<std::size_t>(index)];
    std::vector<PoolNode*> targets;
    for (const auto& node : named) targets.push_back(pool_node(node.job_node));
    if (named.empty()) targets.push_back(&pool_.front());
    const bool many = line_.programs.size() > 1;
    if (many && (program.ranks == 0 || line_.per_node > 0 || line_.map_by == "node")) {
      return fail(Errc::invalid_argument, "several programs placed by node, or without a number");
    }
    // A node that is full is none of the next program's.
    if (many) std::erase_if(targets, [](const auto* node) { return node->free() == 0; });
    const auto counts = Mapper(line_, targets).map(program.ranks);
    if (!counts) return fail(counts.error());
    for (std::size_t i = 0; i < targets.size(); ++i) targets[i]->used += (*counts)[i];
    number(targets, *counts, index);
    return {};
  }

  /// Ranks in order: one node after the other, or one a node in turn.
  void number(const std::vector<PoolNode*>& nodes, std::vector<int> counts, int program) {
    const bool in_turn =
        line_.rank_by == "node" || (line_.rank_by.empty() && line_.map_by == "node");
    const auto add = [&](std::size_t node) {
      places_.node_of_rank.push_back(launch_node(nodes[node]->job_node));
      places_.program_of_rank.push_back(program);
      --counts[node];
    };
    for (bool any = true; any;) {
      any = false;
      for (std::size_t i = 0; i < nodes.size(); ++i) {
        for (; counts[i] > 0; any = true) {
          add(i);
          if (in_turn) {
            any = true;
            break;
          }
        }
      }
    }
  }

  int launch_node(int job_node) {
    auto& known = places_.job_nodes;
    const auto found = std::find(known.begin(), known.end(), job_node);
    if (found != known.end()) return static_cast<int>(found - known.begin());
    known.push_back(job_node);
    return static_cast<int>(known.size()) - 1;
  }

  const MpirunLine& line_;
  const MpirunSite& site_;
  std::vector<PoolNode> pool_;
  std::vector<std::vector<PoolNode>> named_;  ///< by program
  MpirunPlaces places_;
};

}  // namespace

Result<MpirunPlaces> place_line(const MpirunLine& line, const MpirunSite& site) {
  return Placer(line, site).place();
}

}  // namespace cox::mpi
