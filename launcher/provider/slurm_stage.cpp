#include "launcher/provider/slurm_stage.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "launcher/provider/own_addresses.hpp"
#include "launcher/provider/slurm_command.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::provider {
namespace {

namespace json = boost::json;

constexpr int kLeaveAfterSeconds = 600;
constexpr std::size_t kKeptOutput = 1u << 20;

json::object agent_options(const SlurmProviderOptions& options, const std::string& pilot,
                           const NodeRequest& request) {
  json::array candidates;
  for (const auto& address : own_addresses()) candidates.emplace_back(address);
  const auto& plan = options.plan;
  return {{"node", request.id.value},
          {"cluster", options.cluster_name},
          {"candidates", std::move(candidates)},
          {"head_port", options.head_port},
          {"certificate", request.identity.certificate},
          {"private_key", request.identity.private_key},
          {"ca_certificate", request.identity.ca_certificate},
          {"address", ""},
          {"hostname", ""},
          {"instance_type", request.type.name},
          {"region", options.region},
          {"cgroup", ""},
          {"vcpus", request.type.vcpus},
          {"memory_mib", request.type.memory.value},
          {"first_process", true},
          {"metadata", false},
          {"os_home", "/home/" + options.os_user},
          {"shared_memory", pilot_shared_memory(plan, pilot)},
          {"scratch", pilot_base(plan, pilot) + "/jobs"},
          {"network", ""},
          {"topology_file", ""},
          {"leave_after_s", kLeaveAfterSeconds},
          {"own_user", true},
          {"whole_machine", false},
          {"ended_together", true}};
}

}  // namespace

Result<void> stage_pilot(const SlurmProviderOptions& options, const std::string& pilot,
                         const std::vector<NodeRequest>& requests) {
  const auto stage = pilot_stage(options.plan, pilot);
  if (auto made = os::make_directories(stage, 0700); !made) return made;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto text = json::serialize(agent_options(options, pilot, requests[i]));
    auto kept = os::write_file_atomic(fmt::format("{}/{}.json", stage, i), text, 0600);
    if (!kept) return kept;
  }
  return {};
}

std::string start_failure(const SlurmPlan& plan, const std::string& pilot) {
  const auto text = os::read_file(pilot_stage(plan, pilot) + "/failed", kKeptOutput);
  return text ? std::string(trim(*text)) : std::string();
}

std::string last_words(const SlurmPlan& plan, const std::string& pilot) {
  const auto text = os::read_file(pilot_stage(plan, pilot) + "/output", kKeptOutput);
  std::string last;
  for (const auto& line : text ? split(*text, '\n') : std::vector<std::string>{}) {
    const bool of_slurm = line.starts_with("srun: ") || line.starts_with("slurmstepd: ");
    if (!trim(line).empty() && !of_slurm) last = trim(line);
  }
  return last;
}

}  // namespace cox::provider
