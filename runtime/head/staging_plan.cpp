#include "runtime/head/staging_plan.hpp"

#include <algorithm>

#include "runtime/base/text.hpp"

namespace cox::head {

namespace {

/// What the main node is given: all nodes of a job have the same.
std::string variable(const JobSpec& spec, std::string_view name) {
  const auto* group = spec.group_of(spec.main_node);
  const auto& environment = group != nullptr ? group->environment : spec.environment;
  for (const auto& each : environment) {
    if (each.name == name) return each.value;
  }
  return {};
}

/// Without "." and empty components. Errors: invalid_argument for what is no plain absolute path.
Result<std::string> plain_path(const std::string& path) {
  if (!path.starts_with('/')) {
    return fail(Errc::invalid_argument, "{} is not an absolute path", path);
  }
  std::string plain;
  for (const auto& part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      return fail(Errc::invalid_argument, "{} has \"..\" in it: name the path itself", path);
    }
    plain += "/" + part;
  }
  return plain;
}

bool has_unprintable(const std::string& path) {
  return std::any_of(path.begin(), path.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

/// The staged directory that the path is in, the innermost.
const SharedDirectory* owner_of(const ClusterSettings& cluster, const std::string& path) {
  const SharedDirectory* best = nullptr;
  for (const auto& shared : cluster.shared) {
    const bool inside = path == shared.mount_dir || path.starts_with(shared.mount_dir + "/");
    if (!inside) continue;
    if (best == nullptr || shared.mount_dir.size() > best->mount_dir.size()) best = &shared;
  }
  return best;
}

Result<std::vector<StagedSet>> sets_of(const JobSpec& spec, const ClusterSettings& cluster,
                                       const char* name) {
  std::map<std::string, std::set<std::string>> by_directory;
  for (const auto& word : split(variable(spec, name), ':')) {
    if (word.empty()) continue;
    const auto path = plain_path(word);
    if (!path) return fail(within(name, path.error()));
    const auto* owner = owner_of(cluster, *path);
    if (owner == nullptr) {
      std::vector<std::string> known;
      for (const auto& shared : cluster.shared) known.push_back(shared.mount_dir);
      return fail(Errc::invalid_argument,
                  "{}: {} is in no shared directory of the cluster ({}): only what is there is "
                  "staged",
                  name, *path, join(known, ", "));
    }
    if (has_unprintable(*path)) {
      return fail(Errc::invalid_argument, "{}: a path has a character that cannot be printed",
                  name);
    }
    if (!owner->staged) continue;  // it is shared: everything is there already
    const auto inner = path->size() > owner->mount_dir.size()
                           ? path->substr(owner->mount_dir.size() + 1)
                           : std::string(".");
    by_directory[owner->mount_dir].insert(inner);
  }
  if (std::string_view(name) == kInputsVariable) {
    const auto work = plain_path(variable(spec, kWorkingDirVariable));
    const auto* owner = work ? owner_of(cluster, *work) : nullptr;
    if (owner != nullptr && owner->staged && *work != owner->mount_dir) {
      by_directory[owner->mount_dir].insert(work->substr(owner->mount_dir.size() + 1));
    }
  }
  std::vector<StagedSet> sets;
  for (auto& [directory, paths] : by_directory) {
    sets.push_back({directory, {paths.begin(), paths.end()}});
  }
  return sets;
}

}  // namespace

Result<StagingNeeds> staging_needs(const JobSpec& spec, const ClusterSettings& cluster) {
  const bool any = std::any_of(cluster.shared.begin(), cluster.shared.end(),
                               [](const SharedDirectory& each) { return each.staged; });
  if (!any) return StagingNeeds{};
  auto inputs = sets_of(spec, cluster, kInputsVariable);
  if (!inputs) return fail(inputs.error());
  auto outputs = sets_of(spec, cluster, kOutputsVariable);
  if (!outputs) return fail(outputs.error());
  return StagingNeeds{std::move(*inputs), std::move(*outputs)};
}

void StagingPlan::want(const wire::PartKey& part, const NodeId& node,
                       const std::vector<StagedSet>& sets) {
  if (sets.empty() || left_.contains(part)) return;
  left_[part] = static_cast<int>(sets.size());
  for (const auto& set : sets) {
    auto& target = groups_[set].targets[node];
    target.waiting.insert(part);
    target.asked = ++clock_;
  }
}

int StagingPlan::serving(const std::optional<NodeId>& from) const {
  return static_cast<int>(std::count_if(
      copies_.begin(), copies_.end(), [&](const auto& each) { return each.second.from == from; }));
}

std::optional<StagingPlan::Copy> StagingPlan::start(const StagedSet& set, Group& group,
                                                    const NodeId& to) {
  auto& target = group.targets.at(to);
  std::optional<NodeId> from;
  if (group.targets.size() > kHeadWidth && !target.only_head) {
    for (const auto& [node, began] : group.has) {
      const bool serves = node != to && began > target.asked && !no_relays_.contains(node) &&
                          serving(node) < kNodeWidth;
      if (!serves) continue;
      from = node;
      break;
    }
  }
  if (!from && serving(std::nullopt) >= kHeadWidth) return std::nullopt;
  target.running = ++clock_;
  target.served = std::exchange(target.waiting, {});
  target.only_head = false;
  const Copy copy{target.running, set, from, to};
  copies_.emplace(copy.number, copy);
  return copy;
}

std::vector<StagingPlan::Copy> StagingPlan::next() {
  std::vector<Copy> started;
  for (auto& [set, group] : groups_) {
    for (auto& [node, target] : group.targets) {
      if (target.running != 0 || target.waiting.empty()) continue;
      if (auto copy = start(set, group, node)) started.push_back(std::move(*copy));
    }
  }
  return started;
}

StagingPlan::Ended StagingPlan::ended(int number, bool good) {
  Ended outcome;
  const auto found = copies_.extract(number);
  if (found.empty()) return outcome;
  const Copy& copy = found.mapped();
  auto& group = groups_.at(copy.set);
  auto& target = group.targets.at(copy.to);
  target.running = 0;
  auto parts = std::exchange(target.served, {});
  if (good) {
    group.has[copy.to] = number;
    for (const auto& part : parts) {
      if (--left_.at(part) > 0) continue;
      left_.erase(part);
      outcome.ready.push_back(part);
    }
  } else if (copy.from) {
    // The node that was to serve is at fault as likely as the one that was to be served.
    outcome.was_relay = true;
    no_relays_.insert(*copy.from);
    target.only_head = true;
    target.waiting.merge(parts);
  } else {
    outcome.failed.assign(parts.begin(), parts.end());
    for (const auto& part : parts) drop_part(part);
  }
  drop_empty();
  return outcome;
}

void StagingPlan::drop_part(const wire::PartKey& part) {
  left_.erase(part);
  for (auto& [set, group] : groups_) {
    for (auto& [node, target] : group.targets) {
      target.waiting.erase(part);
      target.served.erase(part);
    }
  }
}

void StagingPlan::drop_empty() {
  std::erase_if(groups_, [](const auto& each) {
    const auto& targets = each.second.targets;
    return std::all_of(targets.begin(), targets.end(), [](const auto& target) {
      return target.second.waiting.empty() && target.second.running == 0;
    });
  });
}

std::vector<int> StagingPlan::forget(const JobId& job) {
  std::vector<wire::PartKey> parts;
  for (auto each = left_.lower_bound({job, 0, 0}); each != left_.end() && each->first.job == job;
       ++each) {
    parts.push_back(each->first);
  }
  std::vector<int> over;
  if (parts.empty()) return over;
  for (const auto& part : parts) drop_part(part);
  for (const auto& [number, copy] : copies_) {
    auto& target = groups_.at(copy.set).targets.at(copy.to);
    if (!target.served.empty()) continue;
    target.running = 0;
    over.push_back(number);
  }
  for (const auto number : over) copies_.erase(number);
  drop_empty();
  return over;
}

const StagingPlan::Copy* StagingPlan::find(int number) const {
  const auto found = copies_.find(number);
  return found == copies_.end() ? nullptr : &found->second;
}

std::vector<int> StagingPlan::copies_for(const JobId& job) const {
  std::vector<int> numbers;
  for (const auto& [number, copy] : copies_) {
    const auto& served = groups_.at(copy.set).targets.at(copy.to).served;
    const bool ours = std::any_of(served.begin(), served.end(),
                                  [&](const wire::PartKey& part) { return part.job == job; });
    if (ours) numbers.push_back(number);
  }
  return numbers;
}

std::vector<JobId> StagingPlan::jobs_of(int number) const {
  std::set<JobId> jobs;
  if (const auto* copy = find(number)) {
    for (const auto& part : groups_.at(copy->set).targets.at(copy->to).served)
      jobs.insert(part.job);
  }
  return {jobs.begin(), jobs.end()};
}

}  // namespace cox::head
