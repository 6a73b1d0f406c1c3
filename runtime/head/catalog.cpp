#include <algorithm>

#include "runtime/head/state.hpp"

/// The part of the state that clients make: environments, queues, definitions and policies.
namespace cox::head {

namespace {

template <class T>
void put_by_name(std::vector<T>& list, T item) {
  for (auto& each : list) {
    if (each.name != item.name) continue;
    each = std::move(item);
    return;
  }
  list.push_back(std::move(item));
}

}  // namespace

void State::put(CatalogItem item) {
  ++changes_;
  const auto decays_before = decays();
  kept_.insert(key_of(item));
  if (auto* environment = std::get_if<ComputeEnvironment>(&item)) {
    put_by_name(cluster_.environments, std::move(*environment));
  } else if (auto* queue = std::get_if<JobQueue>(&item)) {
    put_by_name(cluster_.queues, std::move(*queue));
  } else if (auto* definition = std::get_if<JobDefinition>(&item)) {
    auto& revisions = definitions_[definition->name];
    revisions[definition->revision] = std::move(*definition);
  } else if (auto* policy = std::get_if<SchedulingPolicy>(&item)) {
    const auto name = policy->name;
    policies_[name] = std::move(*policy);
  }
  if (decays() != decays_before) recount_shares();
}

void State::remove(const CatalogKey& key) {
  ++changes_;
  kept_.erase(key);
  std::erase_if(cluster_.environments,
                [&](const ComputeEnvironment& each) { return key_of(each) == key; });
  std::erase_if(cluster_.queues, [&](const JobQueue& each) { return key_of(each) == key; });
  if (key.kind == kPolicyKind) policies_.erase(key.name);
}

std::vector<const Job*> State::all_jobs() const {
  std::vector<const Job*> list;
  list.reserve(jobs_.size());
  for (const auto& entry : jobs_) list.push_back(&entry->job);
  return list;
}

std::vector<const JobDefinition*> State::definitions() const {
  std::vector<const JobDefinition*> list;
  for (const auto& [name, revisions] : definitions_) {
    for (const auto& [number, definition] : revisions) list.push_back(&definition);
  }
  return list;
}

const JobDefinition* State::definition(const std::string& name, int revision) const {
  const auto found = definitions_.find(name);
  if (found == definitions_.end()) return nullptr;
  const auto& revisions = found->second;
  if (revision > 0) {
    const auto exact = revisions.find(revision);
    return exact == revisions.end() ? nullptr : &exact->second;
  }
  for (auto each = revisions.rbegin(); each != revisions.rend(); ++each) {
    if (each->second.active) return &each->second;
  }
  return nullptr;
}

int State::last_revision(const std::string& name) const {
  const auto found = definitions_.find(name);
  return found == definitions_.end() ? 0 : found->second.rbegin()->first;
}

std::vector<const SchedulingPolicy*> State::policies() const {
  std::vector<const SchedulingPolicy*> list;
  for (const auto& [name, policy] : policies_) list.push_back(&policy);
  return list;
}

Result<std::vector<InstanceType>> State::instance_types(
    const std::vector<std::string>& words) const {
  if (!find_types_) return fail(Errc::unavailable, "this cluster knows no instance types");
  return find_types_(words);
}

}  // namespace cox::head
