#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runtime/agent/step.hpp"

namespace cox::agent {

/// The plan for a process that was forked before there was one; not of a container.
/// None: it is of one, or too long for a message.
[[nodiscard]] std::optional<std::string> text_of_plan(const StepPlan& plan);
/// None: the text is not one of text_of_plan()'s.
[[nodiscard]] std::optional<StepPlan> plan_of_text(std::string_view text);

}  // namespace cox::agent
