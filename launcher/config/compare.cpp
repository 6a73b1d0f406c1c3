#include "launcher/config/compare.hpp"

#include <algorithm>
#include <set>

#include "launcher/config/schema.hpp"
#include "launcher/config/tree.hpp"
#include "launcher/config/update_policies.hpp"
#include "runtime/base/text.hpp"

namespace cox::config {

namespace {

const Tree kNothing;

std::string shown(const Tree& tree);

std::string in_quotes(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c == '\n' ? "\\n" : std::string(1, c);
  }
  return quoted + "\"";
}

/// As JSON has it: what a file writes as a number or a truth stays one.
std::string shown_inside(const Tree& tree) {
  switch (tree.kind) {
    case Tree::Kind::empty:
      return "null";
    case Tree::Kind::scalar: {
      const auto word = to_lower(tree.scalar);
      if (!tree.quoted && (word == "true" || word == "false")) return word;
      // As it stands, where that is JSON too: 010 and 1_000 are not.
      const auto whole = tree.quoted ? std::nullopt : to_int(tree.scalar);
      const bool plain = whole && tree.scalar == std::to_string(*whole);
      return plain ? tree.scalar : in_quotes(tree.scalar);
    }
    case Tree::Kind::list: {
      std::vector<std::string> parts;
      for (const auto& item : tree.items) parts.push_back(shown_inside(item));
      return "[" + join(parts, ",") + "]";
    }
    case Tree::Kind::map:
      break;
  }
  return shown(tree);
}

/// The value in one line: a text, words with commas, all else as JSON.
std::string shown(const Tree& tree) {
  if (tree.kind == Tree::Kind::empty) return "-";
  if (tree.kind == Tree::Kind::scalar) return tree.scalar;
  const bool is_words = std::all_of(tree.items.begin(), tree.items.end(), [](const Tree& item) {
    return item.kind == Tree::Kind::scalar;
  });
  std::vector<std::string> parts;
  for (const auto& item : tree.items) parts.push_back(is_words ? item.scalar : shown_inside(item));
  for (const auto& entry : tree.entries) {
    parts.push_back(in_quotes(entry.key) + ":" + shown_inside(entry.value));
  }
  if (tree.kind == Tree::Kind::map) return "{" + join(parts, ",") + "}";
  return is_words ? join(parts, ",") : "[" + join(parts, ",") + "]";
}

/// The same to whoever reads it: `true` and `True`, 10 and "10".
bool is_same_scalar(const Tree& a, const Tree& b) {
  if (a.scalar == b.scalar) return true;
  if (a.quoted || b.quoted) return false;
  if (const auto one = to_bool(a); one && one == to_bool(b)) return true;
  const auto number = to_number(a);
  return number && number == to_number(b);
}

bool is_same(const Tree& a, const Tree& b) {
  if (a.kind != b.kind || a.items.size() != b.items.size() ||
      a.entries.size() != b.entries.size()) {
    return false;
  }
  if (a.kind == Tree::Kind::scalar) return is_same_scalar(a, b);
  const bool items = std::equal(a.items.begin(), a.items.end(), b.items.begin(), is_same);
  return items && std::all_of(a.entries.begin(), a.entries.end(), [&](const auto& entry) {
           const auto* other = b.find(entry.key);
           return other != nullptr && is_same(entry.value, *other);
         });
}

/// What names an item of a list of maps; empty where items have no name.
std::string name_of_item(const Tree& item) {
  for (const auto* key : {"Name", "Key", "MountDir", "Host", "InstanceType"}) {
    const auto* name = item.find(key);
    if (name != nullptr && name->kind == Tree::Kind::scalar) return name->scalar;
  }
  return {};
}

/// True for lists whose items can be told apart by their names.
bool has_names(const Tree& list) {
  std::set<std::string> names;
  return std::all_of(list.items.begin(), list.items.end(), [&](const Tree& item) {
    const auto name = name_of_item(item);
    return !name.empty() && names.insert(name).second;
  });
}

const Tree* named(const Tree& list, const std::string& name) {
  for (const auto& item : list.items) {
    if (name_of_item(item) == name) return &item;
  }
  return nullptr;
}

/// Where a difference stands.
struct Spot {
  std::string path;  ///< of the table: "Scheduling/AwsBatchQueues[]/Name"
  std::string parameter;
  std::string queue;
  std::string resource;
};

class Comparison {
 public:
  using PolicyOf = UpdatePolicy (*)(const std::string& path);
  explicit Comparison(PolicyOf policy_of) : policy_of_(policy_of) {}

  void compare(const Tree& now, const Tree& next, const Spot& spot) {
    if (is_same(now, next)) return;
    const auto is = [&](Tree::Kind kind) {
      return (now.kind == kind || now.kind == Tree::Kind::empty) &&
             (next.kind == kind || next.kind == Tree::Kind::empty);
    };
    if (is(Tree::Kind::map)) return compare_maps(now, next, spot);
    const bool lists = is(Tree::Kind::list) && has_names(now) && has_names(next);
    if (lists) return compare_lists(now, next, spot);
    add(now, next, spot);
  }

  std::vector<Change> changes;

 private:
  void compare_maps(const Tree& now, const Tree& next, const Spot& spot) {
    const auto below = [&](const std::string& key) {
      auto deeper = spot;
      deeper.path += (spot.path.empty() ? "" : "/") + key;
      deeper.parameter += (spot.parameter.empty() ? "" : ".") + key;
      return deeper;
    };
    for (const auto& entry : next.entries) {
      const auto* was = now.find(entry.key);
      compare(was != nullptr ? *was : kNothing, entry.value, below(entry.key));
    }
    for (const auto& entry : now.entries) {
      if (next.find(entry.key) == nullptr) compare(entry.value, kNothing, below(entry.key));
    }
  }

  void compare_lists(const Tree& now, const Tree& next, const Spot& spot) {
    const auto of = [&](const std::string& name) {
      auto deeper = spot;
      if (spot.path.ends_with("Queues") && spot.path.starts_with("Scheduling/")) {
        deeper.queue = name;
      } else if (spot.path.ends_with("/ComputeResources")) {
        deeper.resource = name;
      }
      return deeper;
    };
    for (const auto& item : next.items) {
      const auto name = name_of_item(item);
      auto deeper = of(name);
      const auto* was = named(now, name);
      if (was == nullptr) {
        add(kNothing, item, deeper);
        continue;
      }
      deeper.path += "[]";
      deeper.parameter += "[" + name + "]";
      compare(*was, item, deeper);
    }
    for (const auto& item : now.items) {
      const auto name = name_of_item(item);
      if (named(next, name) == nullptr) add(item, kNothing, of(name));
    }
  }

  void add(const Tree& now, const Tree& next, const Spot& spot) {
    const auto policy = policy_of_(spot.path);
    const bool in_nodes = spot.path.ends_with("Count");
    changes.push_back(
        {spot.parameter, shown(next), shown(now), policy, spot.queue, spot.resource, in_nodes});
  }

  PolicyOf policy_of_;
};

int running_of(const Change& change, const std::vector<RunningCapacity>& running) {
  int sum = 0;
  for (const auto& capacity : running) {
    const bool concerned = (change.queue.empty() || change.queue == capacity.queue) &&
                           (change.resource.empty() || change.resource == capacity.resource);
    if (concerned) sum += change.in_nodes ? capacity.nodes : capacity.vcpus;
  }
  return sum;
}

constexpr const char* kStopFleet =
    "Stop the compute fleet with pcluster update-compute-fleet, with a minimum of 0, and update "
    "the cluster when its nodes are gone.";

std::string way_back(const Change& change) {
  return change.current == "-" ? "Leave it out" : fmt::format("Restore {}", change.current);
}

}  // namespace

std::vector<Change> compare_yaml(std::string_view current, std::string_view requested) {
  std::vector<Finding> findings;
  const auto now = parse_yaml(current, findings);
  const auto next = parse_yaml(requested, findings);
  if (!now || !next) return {};
  Comparison comparison(policy_of_key);
  comparison.compare(*now, *next, {});
  return std::move(comparison.changes);
}

std::vector<Change> compare_ini(std::string_view current, const std::string& current_template,
                                std::string_view requested, const std::string& requested_template) {
  Comparison comparison(policy_of_ini_key);
  comparison.compare(used_sections(current, current_template),
                     used_sections(requested, requested_template), {});
  auto changes = std::move(comparison.changes);
  for (auto& change : changes) {
    const auto dot = change.parameter.find('.');
    change.parameter = dot == std::string::npos
                           ? fmt::format("[{}]", change.parameter)
                           : fmt::format("[{}] {}", change.parameter.substr(0, dot),
                                         change.parameter.substr(dot + 1));
  }
  return changes;
}

std::vector<Refusal> refusals(const std::vector<Change>& changes,
                              const std::vector<RunningCapacity>& running) {
  std::vector<Refusal> refused;
  const auto refuse = [&](const Change& change, std::string message) {
    refused.push_back({change, std::move(message)});
  };
  for (const auto& change : changes) {
    const int there = running_of(change, running);
    const char* unit = change.in_nodes ? "nodes" : "vCPUs";
    switch (change.policy) {
      case UpdatePolicy::supported:
      case UpdatePolicy::ignored:
        break;
      case UpdatePolicy::unsupported:
        refuse(change,
               fmt::format("{} cannot be changed of a cluster that is there. {}, or make a new "
                           "cluster.",
                           change.parameter, way_back(change)));
        break;
      case UpdatePolicy::fleet_stop:
        if (there == 0) break;
        refuse(change, fmt::format("{} cannot be changed while nodes are there ({} {}). {}",
                                   change.parameter, there, unit, kStopFleet));
        break;
      case UpdatePolicy::fleet_resize:
        // Not written: the default, which the head holds against what runs.
        if (change.requested == "-" || there <= to_int(change.requested).value_or(0)) break;
        refuse(change, fmt::format("{} cannot become {}: {} {} are running. Take at least {}, or "
                                   "stop the compute fleet with pcluster update-compute-fleet.",
                                   change.parameter, change.requested, there, unit, there));
        break;
      case UpdatePolicy::add_only:
        if (change.current == "-") break;
        refuse(change,
               fmt::format("{} cannot be taken away or changed: nodes and jobs use it. Restore {}.",
                           change.parameter, change.current));
        break;
      case UpdatePolicy::empty_to_go:
        if (change.current == "-" || there == 0) break;
        refuse(change,
               fmt::format("{}[{}] cannot go while it has nodes ({} {}). {}", change.parameter,
                           change.resource.empty() ? change.queue : change.resource, there, unit,
                           kStopFleet));
        break;
    }
  }
  return refused;
}

}  // namespace cox::config
