#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/job_items.hpp"
#include "launcher/cli/output.hpp"
#include "launcher/cli/waiting.hpp"
#include "runtime/base/text.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

struct StatOptions {
  CommonOptions common;
  std::string status = kLiveStatuses;
  bool expand_children = false;
  bool details = false;
  bool why = false;
  std::vector<std::string> job_ids;
};

/// The jobs named on the command line, parents with all their children, in that order.
Result<std::vector<json::object>> by_ids(Connection& connection,
                                         const std::vector<std::string>& ids) {
  auto jobs = describe(connection, ids);
  if (!jobs) return jobs;
  std::vector<std::string> below;
  for (const auto& job : *jobs) {
    for (const auto& child : children_of(job)) {
      const bool named = std::find(ids.begin(), ids.end(), child) != ids.end();
      if (!named) below.push_back(child);
    }
  }
  auto more = describe(connection, below);
  if (!more) return more;
  std::move(more->begin(), more->end(), std::back_inserter(*jobs));
  sort_by_ids(*jobs, ids);
  return jobs;
}

Result<std::vector<json::object>> listed(Connection& connection, const std::string& queue,
                                         const std::string& status) {
  std::vector<json::object> jobs;
  std::string token;
  do {
    auto answer = connection.batch(
        "listjobs", json::object{{"jobStatus", status}, {"jobQueue", queue}, {"nextToken", token}});
    if (!answer) return fail(answer.error());
    auto& object = answer->as_object();
    for (auto& job : object.at("jobSummaryList").as_array()) {
      jobs.push_back(std::move(job.as_object()));
    }
    token = text_of(object, "nextToken");
  } while (!token.empty());
  return jobs;
}

/// All jobs of the queues in the states asked for.
Result<std::vector<json::object>> by_status(Connection& connection, const StatOptions& options) {
  const auto queues = connection.batch("describejobqueues", json::object{});
  if (!queues) return fail(queues.error());
  std::vector<json::object> jobs;
  for (const auto& queue : queues->as_object().at("jobQueues").as_array()) {
    const auto arn = text_of(queue.as_object(), "jobQueueArn");
    for (const auto& status : statuses_of(options.status)) {
      auto list = listed(connection, arn, status);
      if (!list) return list;
      std::move(list->begin(), list->end(), std::back_inserter(jobs));
    }
  }
  if (options.expand_children || options.details) {
    std::vector<std::string> ids;
    for (const auto& job : jobs) {
      const bool swap = options.expand_children && is_parent(job);
      const auto below = swap ? children_of(job) : std::vector<std::string>{text_of(job, "jobId")};
      ids.insert(ids.end(), below.begin(), below.end());
    }
    auto described = describe(connection, ids);
    if (!described) return described;
    jobs = std::move(*described);
  }
  sort_by_status(jobs);
  return jobs;
}

void print(const std::vector<json::object>& jobs, const StatOptions& options, Streams streams) {
  const bool one = options.job_ids.size() == 1 && jobs.size() == 1;
  const bool colour = shows_colour(STDOUT_FILENO);
  if (options.common.json) {
    streams.out << json::serialize(json::array(jobs.begin(), jobs.end())) << '\n';
  } else if (options.details || one) {
    streams.out << render_job_details(jobs, colour);
  } else {
    streams.out << render_jobs(jobs, colour);
  }
}

}  // namespace

int run_awsbstat(const std::vector<std::string>& args, Streams streams) {
  StatOptions options;
  Program program("awsbstat", "Shows the jobs of a cluster.", options.common);
  program.option({"--status", {"-s"}}, "STATUS", options.status,
                 "states, comma-separated, or ALL; those not ended if omitted");
  program.flag({"--expand-children", {"-e"}}, options.expand_children,
               "children in place of arrays and multi-node jobs");
  program.flag({"--details", {"-d"}}, options.details, "all that is known of each job");
  program.flag({.name = "--why", .shorts = {}, .added = true}, options.why,
               "why the jobs named wait: every reason, a line each");
  program.words(Program::Words::any, "job_ids", options.job_ids,
                "jobs to show; all in the states asked for if omitted");
  program.examples(
      "  awsbstat                    jobs that have not ended\n"
      "  awsbstat -s ALL             all jobs\n"
      "  awsbstat ID                 one job, with its nodes or children\n"
      "  awsbstat -d ID#0            all about the main node\n"
      "  awsbstat --why ID           what it waits for\n");
  if (const int status = program.parse(args, streams); status >= 0) return status;
  if (options.why && options.job_ids.empty()) {
    return complain(streams, "awsbstat:run", "Error: --why needs the id of a job");
  }
  auto connection = Connection::open_complete(options.common.cluster);
  if (!connection) {
    return complain(streams, "awsbstat:run", "Error: " + connection.error().message);
  }
  const auto ids = short_ids(options.job_ids);
  options.job_ids = ids;
  if (options.why) return tell_why(ids, options.common.json, *connection, streams);
  const auto jobs = ids.empty() ? by_status(*connection, options) : by_ids(*connection, ids);
  if (!jobs) {
    return complain(
        streams, "awsbstat:run",
        "Error listing jobs from AWS Batch. Failed with exception: " + jobs.error().message);
  }
  print(*jobs, options, streams);
  return kDone;
}

}  // namespace cox::cli
