#include <utility>

#include "runtime/core/array_children.hpp"
#include "runtime/head/state.hpp"

/// The part of the state about arrays that are stored as one event: what follows from stored
/// events is not stored itself.
namespace cox::head {

bool State::is_implied(const JobId& id, const core::JobEvent& event) const {
  if (const auto* first = std::get_if<core::Submitted>(&event)) {
    return first->array_index && whole_arrays_.contains(parent_of(id));
  }
  return std::holds_alternative<core::ChildChanged>(event) && whole_arrays_.contains(id);
}

std::vector<std::pair<JobId, core::JobEvent>> State::follow_ups(const Applied& applied,
                                                                const core::JobEvent& event) const {
  std::vector<std::pair<JobId, core::JobEvent>> list;
  const Job& job = *applied.job;
  if (const auto* first = std::get_if<core::Submitted>(&event)) {
    core::each_child(*first, job.id, [&list](const JobId& child, core::Submitted of_child) {
      list.emplace_back(child, std::move(of_child));
    });
  }
  if (job.array_index && applied.changed_status()) {
    const auto before = applied.is_new ? JobStatus::submitted : applied.before;
    const auto at = std::visit([](const auto& e) { return e.at; }, event);
    list.emplace_back(parent_of(job.id), core::ChildChanged{at, before, job.status});
  }
  return list;
}

Result<void> State::replay(const JobId& id, const core::JobEvent& event) {
  const auto applied = apply(id, event);
  if (!applied) return fail(applied.error());
  for (const auto& [other, following] : follow_ups(*applied, event)) {
    if (!is_implied(other, following)) continue;  // it is stored, and comes
    if (auto done = replay(other, following); !done) return done;
  }
  return {};
}

}  // namespace cox::head
