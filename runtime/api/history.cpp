#include <algorithm>
#include <boost/json.hpp>

#include "runtime/api/shapes.hpp"

/// `cox history`: the jobs that have ended and are still kept.
namespace cox::api {

namespace json = boost::json;

namespace {

bool is_asked_for(const HistoryQuery& query, const Job& job) {
  return may_see(job, query.asker) && (query.user.empty() || job.spec->user->name == query.user) &&
         (!query.ended_from.set() || job.stopped_at >= query.ended_from) &&
         (!query.ended_before.set() || job.stopped_at < query.ended_before);
}

/// When the job first had its nodes and ran; not set: it never did.
Millis first_start(const Job& job) {
  for (const auto& attempt : job.attempts) {
    if (attempt.started_at.set()) return attempt.started_at;
  }
  return Millis{};
}

json::object past_job(const Job& job) {
  json::object shown{{"jobId", job.id.value},
                     {"jobName", job.spec->name},
                     {"user", job.spec->user->name},
                     {"jobQueue", job.spec->queue.value},
                     {"jobDefinition", job.spec->definition.get()},
                     {"status", to_string(job.status)},
                     {"statusReason", job.status_reason.get()},
                     {"vcpus", job.spec->vcpus},
                     {"memory", job.spec->memory.value},
                     {"attempts", job.attempts.size()},
                     {"createdAt", job.created_at.value},
                     {"stoppedAt", job.stopped_at.value}};
  if (!job.spec->share.empty()) shown["shareIdentifier"] = job.spec->share.get();
  if (job.spec->nodes) shown["nodes"] = *job.spec->nodes;
  if (job.spec->array_size) shown["arraySize"] = *job.spec->array_size;
  const auto* attempt = job.current();
  if (attempt != nullptr && attempt->exit_code) shown["exitCode"] = *attempt->exit_code;
  if (const auto start = first_start(job); start.set()) {
    shown["startedAt"] = start.value;
    shown["waitMs"] = start - job.created_at;
  }
  if (job.started_at.set()) shown["runMs"] = job.stopped_at - job.started_at;
  return shown;
}

}  // namespace

std::string render_history(const View& view, const HistoryQuery& query) {
  std::vector<const Job*> list;
  for (const auto& queue : view.cluster().queues) {
    if (!query.queue.empty() && queue.name.value != query.queue) continue;
    for (const auto status : {JobStatus::succeeded, JobStatus::failed}) {
      if (query.status && *query.status != status) continue;
      for (const auto* job : view.jobs(queue.name, status)) {
        if (is_asked_for(query, *job)) list.push_back(job);
      }
    }
  }
  const auto shown = std::min(query.limit, list.size());
  std::partial_sort(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(shown), list.end(),
                    [](const Job* a, const Job* b) {
                      return std::pair(b->stopped_at, b->id) < std::pair(a->stopped_at, a->id);
                    });
  json::array jobs;
  for (std::size_t i = 0; i < shown; ++i) jobs.push_back(past_job(*list[i]));
  return json::serialize(json::object{{"jobs", std::move(jobs)},
                                      {"more", list.size() - shown},
                                      {"keptDays", view.cluster().history_days}});
}

}  // namespace cox::api
