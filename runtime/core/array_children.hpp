#pragma once

#include <functional>
#include <vector>

#include "runtime/core/lifecycle.hpp"

/// An array is submitted by one event, however many children it has: what each of them begins with
/// follows from it. A child has events of its own from its first change on.
namespace cox::core {

/// Says in the array's first event what its next child waits for. Children that come one after the
/// other and wait for the like take no more room than one.
void add_child(Submitted& array, const JobId& id, const std::vector<JobId>& waits_for);

/// Gives each child's first event, in order, when the array's has them all.
void each_child(const Submitted& array, const JobId& id,
                const std::function<void(const JobId& child, Submitted first)>& take);

}  // namespace cox::core
