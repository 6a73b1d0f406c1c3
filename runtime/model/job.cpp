#include "runtime/model/job.hpp"

#include <fmt/format.h>

#include <array>
#include <cstddef>

#include "runtime/base/text.hpp"

namespace cox {

namespace {

constexpr std::array<const char*, 7> kStatusNames = {
    "SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"};

constexpr std::size_t kStreamDefinitionMax = 200;  // AWS Batch: first 200 characters

}  // namespace

const char* to_string(JobStatus status) { return kStatusNames[static_cast<std::size_t>(status)]; }

std::optional<JobStatus> job_status_from(std::string_view upper_case_name) {
  for (std::size_t i = 0; i < kStatusNames.size(); ++i) {
    if (upper_case_name == kStatusNames[i]) return static_cast<JobStatus>(i);
  }
  return std::nullopt;
}

bool is_terminal(JobStatus status) {
  return status == JobStatus::succeeded || status == JobStatus::failed;
}

const NodeGroup* JobSpec::group_of(int node_index) const {
  for (const auto& group : groups) {
    if (group.first <= node_index && node_index <= group.last) return &group;
  }
  return nullptr;
}

JobRef parse_job_ref(std::string_view text) {
  const auto mark = text.find('#');
  if (mark == std::string_view::npos) return {JobId{std::string(text)}, std::nullopt};
  const auto index = to_int(text.substr(mark + 1));
  // As it is written when it is shown: no other text names the node.
  if (!index || *index < 0 || std::to_string(*index) != text.substr(mark + 1) ||
      *index > 1'000'000) {
    return {JobId{std::string(text)}, std::nullopt};
  }
  return {JobId{std::string(text.substr(0, mark))}, static_cast<int>(*index)};
}

JobId parent_of(const JobId& id) { return JobId{id.value.substr(0, id.value.find(':'))}; }

JobId child_of(const JobId& parent, int index) {
  return JobId{fmt::format("{}:{}", parent.value, index)};
}

std::string log_stream_name(const Job& job, int attempt, int node_index) {
  const std::string& whole = job.spec->definition;
  const auto definition = whole.substr(0, whole.find(':'));
  std::string id = job.id.value;
  for (char& c : id) {
    if (c == ':') c = '-';
  }
  return fmt::format("{}/default/{}-{}-{}", definition.substr(0, kStreamDefinitionMax), id, attempt,
                     node_index);
}

}  // namespace cox
