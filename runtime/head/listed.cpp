#include <algorithm>

#include "runtime/head/state.hpp"

/// The part of the state about lists of jobs, which are given page by page.
namespace cox::head {

std::vector<const Job*> State::jobs(const QueueName& queue, JobStatus status) const {
  std::vector<const Job*> list;
  const auto found = listed_.find({queue, status});
  if (found == listed_.end()) return list;
  list.reserve(found->second.size());
  for (const auto& [order, job] : found->second) list.push_back(job);
  return list;
}

/// The first of the lists' jobs that stands behind the place, or before it.
State::Order State::order_at(const std::vector<const InOrder*>& lists,
                             const api::ListPlace& place) const {
  const auto known = jobs_.find(place.id);
  if (known != jobs_.end()) return (*known)->order;
  // It was forgotten, so it was among the oldest: its time tells how far the page had come.
  Order order = next_order_;
  for (const auto* list : lists) {
    const auto next = std::find_if(list->begin(), list->end(), [&](const auto& each) {
      ++work_.jobs;
      return each.second->created_at > place.created_at;
    });
    if (next != list->end()) order = std::min(order, next->first);
  }
  return order - 1;
}

void State::each_job(const QueueName& queue, const std::vector<JobStatus>& states,
                     const std::optional<api::ListPlace>& after, bool newest_first,
                     const std::function<bool(const Job&)>& take) const {
  std::vector<const InOrder*> lists;
  for (const auto status : states) {
    const auto found = listed_.find({queue, status});
    if (found != listed_.end() && !found->second.empty()) lists.push_back(&found->second);
  }
  const auto last = after ? std::optional(order_at(lists, *after)) : std::nullopt;
  // Of each list where it goes on, and how far it goes.
  std::vector<std::pair<InOrder::const_iterator, InOrder::const_iterator>> rests;
  for (const auto* list : lists) {
    if (newest_first) {
      rests.emplace_back(last ? list->lower_bound(*last) : list->end(), list->begin());
    } else {
      rests.emplace_back(last ? list->upper_bound(*last) : list->begin(), list->end());
    }
  }
  while (true) {
    decltype(rests)::value_type* next = nullptr;
    for (auto& rest : rests) {
      if (rest.first == rest.second) continue;
      if (next == nullptr ||
          (newest_first ? std::prev(next->first)->first < std::prev(rest.first)->first
                        : rest.first->first < next->first->first)) {
        next = &rest;
      }
    }
    if (next == nullptr) return;
    if (newest_first) --next->first;
    ++work_.jobs;
    if (!take(*next->first->second)) return;
    if (!newest_first) ++next->first;
  }
}

}  // namespace cox::head
