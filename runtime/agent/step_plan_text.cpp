#include "runtime/agent/step_plan_text.hpp"

#include "runtime/agent/step_messages.hpp"
#include "runtime/wire/codec.hpp"

namespace cox::agent {

struct CpusOfRank {
  int rank = 0;
  std::vector<int> cpus;
};

// As they are written: what is left out follows by itself.
static constexpr auto members(wire::Of<StepFile> /*of*/) {
  using T = StepFile;
  return std::tuple{&T::name, &T::mode, &T::bytes};
}
static constexpr auto members(wire::Of<RankProgram> /*of*/) {
  using T = RankProgram;
  return std::tuple{&T::argv, &T::path, &T::environment, &T::directory};
}
static constexpr auto members(wire::Of<CpusOfRank> /*of*/) {
  return std::tuple{&CpusOfRank::rank, &CpusOfRank::cpus};
}
static constexpr auto members(wire::Of<DirectPlan> /*of*/) {
  using T = DirectPlan;
  return std::tuple{&T::node_index, &T::node_of_rank,    &T::hosts,
                    &T::address,    &T::hub_address,     &T::fan_out,
                    &T::name,       &T::pmi_library,     &T::session_directory,
                    &T::programs,   &T::program_of_rank, &T::universe};
}
static constexpr auto members(wire::Of<StepPlan> /*of*/) {
  using T = StepPlan;
  return std::tuple{&T::user,     &T::change_user, &T::is_launched, &T::home,    &T::directory,
                    &T::hostfile, &T::nodes,       &T::files,       &T::command, &T::environment};
}

std::optional<std::string> text_of_plan(const StepPlan& plan) {
  if (plan.container) return std::nullopt;
  wire::Writer writer;
  writer.write(plan);
  writer.write(plan.direct.has_value());
  if (plan.direct) {
    std::vector<CpusOfRank> bound;
    for (const auto& [rank, cpus] : plan.direct->cpus) bound.push_back({rank, cpus});
    writer.write(*plan.direct);
    writer.write(bound);
  }
  auto text = writer.take();
  if (text.size() > kStepTextMax) return std::nullopt;
  return text;
}

std::optional<StepPlan> plan_of_text(std::string_view text) {
  wire::Reader reader(text);
  StepPlan plan;
  bool is_direct = false;
  if (!reader.read(plan) || !reader.read(is_direct)) return std::nullopt;
  if (is_direct) {
    std::vector<CpusOfRank> bound;
    if (!reader.read(plan.direct.emplace()) || !reader.read(bound)) return std::nullopt;
    for (auto& each : bound) plan.direct->cpus[each.rank] = std::move(each.cpus);
  }
  if (!reader.at_end()) return std::nullopt;
  return plan;
}

}  // namespace cox::agent
