#include "runtime/core/array_children.hpp"

#include <algorithm>
#include <utility>

namespace cox::core {

void add_child(Submitted& array, const JobId& id, const std::vector<JobId>& waits_for) {
  auto& ranges = array.children;
  const int index = ranges.empty() ? 0 : ranges.back().last + 1;
  ChildrenWait wait{index, index, {}, {}, false};
  for (const auto& other : waits_for) {
    const auto n_to_n = std::find_if(
        array.spec->depends_on.begin(), array.spec->depends_on.end(), [&](const Dependency& each) {
          return each.kind == DependencyKind::n_to_n && child_of(each.job, index) == other;
        });
    if (n_to_n != array.spec->depends_on.end()) {
      wait.same_index.push_back(n_to_n->job);
    } else if (index > 0 && other == child_of(id, index - 1)) {
      wait.previous = true;
    } else {
      wait.jobs.push_back(other);
    }
  }
  const bool is_like_last = !ranges.empty() && ranges.back().jobs == wait.jobs &&
                            ranges.back().same_index == wait.same_index &&
                            ranges.back().previous == wait.previous;
  if (is_like_last) {
    ranges.back().last = index;
  } else {
    ranges.push_back(std::move(wait));
  }
}

void each_child(const Submitted& array, const JobId& id,
                const std::function<void(const JobId& child, Submitted first)>& take) {
  const int size = array.spec->array_size.value_or(0);
  for (const auto& range : array.children) {
    for (int i = range.first; i <= range.last && i < size; ++i) {
      Submitted first{array.at, array.spec, i, range.jobs};
      for (const auto& other : range.same_index) first.waits_for.push_back(child_of(other, i));
      if (range.previous) first.waits_for.push_back(child_of(id, i - 1));
      take(child_of(id, i), std::move(first));
    }
  }
}

}  // namespace cox::core
