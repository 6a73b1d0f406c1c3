#include <algorithm>
#include <boost/json.hpp>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/job_items.hpp"
#include "launcher/cli/output.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

/// What became of one job: its line, and the word for it in JSON.
struct Outcome {
  std::string id;
  std::string status;  ///< before; empty for a job that is not known
  std::string result;
  std::string line;
};

/// Errors: the service's, when it refuses.
Result<Outcome> end_job(const std::string& id, const std::string& status, const std::string& reason,
                        Connection& connection) {
  if (status == "SUCCEEDED" || status == "FAILED") {
    return Outcome{id, status, "already_over",
                   fmt::format("Job ({}) is already in ({}) status.", id, status)};
  }
  const auto ended =
      connection.batch("terminatejob", json::object{{"jobId", id}, {"reason", reason}});
  if (!ended) return fail(ended.error());
  const bool runs = status == "STARTING" || status == "RUNNING";
  const std::string action = runs ? "termination" : "cancellation";
  return Outcome{id, status, action,
                 fmt::format("Your job {} request for job ({}) in status ({}) has been submitted.",
                             action, id, status)};
}

void print(const std::vector<Outcome>& outcomes, bool as_json, Streams streams) {
  json::array list;
  for (const auto& outcome : outcomes) {
    list.push_back(json::object{
        {"jobId", outcome.id}, {"status", outcome.status}, {"result", outcome.result}});
    if (!as_json) streams.out << outcome.line << '\n';
  }
  if (as_json) streams.out << json::serialize(list) << '\n';
}

int kill_jobs(const std::vector<std::string>& ids, const std::string& reason, bool as_json,
              Connection& connection, Streams streams) {
  const auto jobs = describe(connection, ids);
  if (!jobs) return complain(streams, "awsbkill:kill_jobs", "Error: " + jobs.error().message);
  const auto find = [&](const std::string& id) {
    return std::find_if(jobs->begin(), jobs->end(),
                        [&](const json::object& job) { return text_of(job, "jobId") == id; });
  };
  std::vector<Outcome> outcomes;
  for (const auto& id : ids) {
    if (find(id) == jobs->end()) {
      outcomes.push_back({id, "", "not_found", fmt::format("Job ({}) not found.", id)});
    }
  }
  int status = kDone;
  for (const auto& id : ids) {
    const auto job = find(id);
    if (job == jobs->end()) continue;
    auto outcome = end_job(id, text_of(*job, "status"), reason, connection);
    if (outcome) {
      outcomes.push_back(std::move(*outcome));
      continue;
    }
    status =
        complain(streams, "awsbkill:kill_jobs",
                 fmt::format("Error: job ({}) was not killed: {}", id, outcome.error().message));
  }
  print(outcomes, as_json, streams);
  return status;
}

}  // namespace

int run_awsbkill(const std::vector<std::string>& args, Streams streams) {
  CommonOptions common;
  std::string reason = "Terminated by the user";
  std::vector<std::string> words;
  Program program("awsbkill", "Cancels jobs that wait and terminates jobs that run.", common);
  program.option({"--reason", {"-r"}}, "REASON", reason,
                 "why, for the job's statusReason; 'Terminated by the user' if omitted");
  program.words(Program::Words::some, "job_ids", words,
                "the jobs; a child of an array (ID:3) alone, a whole array with its children");
  program.examples(
      "  awsbkill ID\n"
      "  awsbkill -r \"wrong input\" ID ID:3\n");
  if (const int status = program.parse(args, streams); status >= 0) return status;
  auto connection = Connection::open_complete(common.cluster);
  if (!connection) {
    return complain(streams, "awsbkill:run", "Error: " + connection.error().message);
  }
  return kill_jobs(short_ids(words), reason, common.json, *connection, streams);
}

}  // namespace cox::cli
