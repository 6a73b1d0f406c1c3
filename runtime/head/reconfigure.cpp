#include <algorithm>

#include "runtime/head/head_core.hpp"
#include "runtime/head/state.hpp"

/// New settings of the cluster's file, taken over while everything goes on.
namespace cox::head {

namespace {

template <class T>
const T* named(const std::vector<T>& list, const T& like) {
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const T& each) { return each.name == like.name; });
  return found == list.end() ? nullptr : &*found;
}

template <class T>
T* named(std::vector<T>& list, const T& like) {
  return const_cast<T*>(named(std::as_const(list), like));
}

/// Those of the file stand before those that clients have made.
template <class T>
void insert_of_file(std::vector<T>& list, T item) {
  const auto at =
      std::find_if(list.begin(), list.end(), [](const T& each) { return !each.from_file; });
  list.insert(at, std::move(item));
}

/// The member as the new file has it, where that differs from the old one.
template <class T, class Member>
void follow(T& mine, const T& from, const T& to, Member T::*member) {
  if (from.*member != to.*member) mine.*member = to.*member;
}

void follow_all(ComputeEnvironment& mine, const ComputeEnvironment& from,
                const ComputeEnvironment& to) {
  follow(mine, from, to, &ComputeEnvironment::min_vcpus);
  follow(mine, from, to, &ComputeEnvironment::desired_vcpus);
  follow(mine, from, to, &ComputeEnvironment::max_vcpus);
  follow(mine, from, to, &ComputeEnvironment::spot);
  follow(mine, from, to, &ComputeEnvironment::idle_ms_before_release);
  follow(mine, from, to, &ComputeEnvironment::tags);
  if (from.instance_types == to.instance_types) return;
  mine.instance_types = to.instance_types;
  mine.resources.clear();  // what a client once said of them is past
}

void follow_all(JobQueue& mine, const JobQueue& from, const JobQueue& to) {
  follow(mine, from, to, &JobQueue::priority);
  follow(mine, from, to, &JobQueue::enabled);
  follow(mine, from, to, &JobQueue::environments);
  follow(mine, from, to, &JobQueue::max_running);
  follow(mine, from, to, &JobQueue::tags);
}

}  // namespace

int State::vcpus_of(const ComputeEnvironmentName& name) const {
  int vcpus = 0;
  for (const auto& [id, node] : nodes_) {
    const bool counts = node.environment == name && node.status != NodeStatus::terminating;
    if (counts) vcpus += node.vcpus;
  }
  return vcpus;
}

Result<void> State::may_take_over(const ClusterSettings& from, const ClusterSettings& to) const {
  for (const auto& old : from.environments) {
    const auto* next = named(to.environments, old);
    const int running = vcpus_of(old.name);
    if (next == nullptr && running > 0) {
      return fail(Errc::conflict, "compute environment {} has nodes of {} vCPUs: it cannot go",
                  old.name, running);
    }
    if (next == nullptr) continue;
    if (next->max_vcpus != old.max_vcpus && running > next->max_vcpus) {
      return fail(Errc::conflict,
                  "compute environment {} has nodes of {} vCPUs: MaxvCpus cannot become {}",
                  old.name, running, next->max_vcpus);
    }
    const bool other = next->instance_types != old.instance_types || next->spot != old.spot;
    if (other && running > 0) {
      return fail(Errc::conflict,
                  "compute environment {} has nodes of {} vCPUs: they cannot become others",
                  old.name, running);
    }
  }
  for (const auto& next : to.environments) {
    const auto* there = named(cluster_.environments, next);
    if (named(from.environments, next) == nullptr && there != nullptr) {
      return fail(Errc::conflict, "there is a compute environment {} already", next.name);
    }
  }
  for (const auto& next : to.queues) {
    if (named(from.queues, next) == nullptr && named(cluster_.queues, next) != nullptr) {
      return fail(Errc::conflict, "there is a job queue {} already", next.name);
    }
  }
  for (const auto& old : from.queues) {
    if (named(to.queues, old) != nullptr) continue;
    for (const auto& [key, jobs] : listed_) {
      if (key.first != old.name || is_terminal(key.second) || jobs.empty()) continue;
      return fail(Errc::conflict, "job queue {} has {} jobs that have not ended: it cannot go",
                  old.name, jobs.size());
    }
  }
  return {};
}

State::TakenOver State::take_over(const ClusterSettings& from, const ClusterSettings& to) {
  ++changes_;
  TakenOver changed;
  const auto merge = [&](auto& mine, const auto& before, const auto& after) {
    for (const auto& next : after) {
      auto* here = named(mine, next);
      if (here == nullptr) {
        insert_of_file(mine, next);
        continue;
      }
      const auto* old = named(before, next);
      follow_all(*here, old != nullptr ? *old : next, next);
      if (is_kept(key_of(CatalogItem{*here}))) changed.put.emplace_back(*here);
    }
    for (const auto& old : before) {
      if (named(after, old) != nullptr) continue;
      const auto key = key_of(CatalogItem{old});
      if (is_kept(key)) changed.gone.push_back(key);
      remove(key);
    }
  };
  merge(cluster_.environments, from.environments, to.environments);
  merge(cluster_.queues, from.queues, to.queues);
  for (auto& environment : cluster_.environments) {
    if (named(from.environments, environment) == nullptr &&
        named(to.environments, environment) != nullptr) {
      environment.enabled = enabled_;
    }
  }
  cluster_.shared = to.shared;
  cluster_.history_days = to.history_days;
  cluster_.containers = to.containers;
  cluster_.lent = to.lent;
  cluster_.scripts = to.scripts;
  cluster_.log_retention_days = to.log_retention_days;
  for (const auto& [id, node] : nodes_) keep_idle(id);
  return changed;
}

Result<void> HeadCore::check(const ClusterSettings& settings) const {
  return state_.may_take_over(options_.cluster, settings);
}

Result<void> HeadCore::reconfigure(ClusterSettings settings, std::function<void()> done) {
  if (auto fits = check(settings); !fits) return fits;
  const auto changed = state_.take_over(options_.cluster, settings);
  for (const auto& item : changed.put) journal_->add(item);
  for (const auto& key : changed.gone) journal_->gone(key);
  for (const auto& next : settings.environments) {
    const auto* old = named(std::as_const(options_.cluster.environments), next);
    const bool more = old == nullptr || old->desired_vcpus != next.desired_vcpus;
    const auto* here = named(state_.cluster().environments, next);
    if (more && here != nullptr && here->enabled) grow_to(*here, next.desired_vcpus);
  }
  options_.cluster = std::move(settings);
  want_pass();
  journal_->then(guarded(std::move(done)));
  return {};
}

}  // namespace cox::head
