#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <map>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

int kill_jobs(const std::vector<std::string>& ids, const std::string& reason,
              Connection& connection, Streams streams) {
  json::array asked;
  for (const auto& id : ids) asked.emplace_back(id);
  const auto answer = connection.batch("describejobs", json::object{{"jobs", std::move(asked)}});
  if (!answer) {
    streams.err << "Error: " << answer.error().message << '\n';
    return kFailed;
  }
  std::map<std::string, std::string> status_of;
  for (const auto& job : answer->as_object().at("jobs").as_array()) {
    status_of[text_of(job.as_object(), "jobId")] = text_of(job.as_object(), "status");
  }
  for (const auto& id : ids) {
    if (!status_of.contains(id)) streams.out << fmt::format("Job ({}) not found.\n", id);
  }
  for (const auto& id : ids) {
    const auto found = status_of.find(id);
    if (found == status_of.end()) continue;
    const auto& status = found->second;
    if (status == "SUCCEEDED" || status == "FAILED") {
      streams.out << fmt::format("Job ({}) is already in ({}) status.\n", id, status);
      continue;
    }
    const auto ended =
        connection.batch("terminatejob", json::object{{"jobId", id}, {"reason", reason}});
    if (!ended) {
      streams.err << "Error: " << ended.error().message << '\n';
      return kFailed;
    }
    const bool runs = status == "STARTING" || status == "RUNNING";
    streams.out << fmt::format(
        "Your job {} request for job ({}) in status ({}) has been submitted.\n",
        runs ? "termination" : "cancellation", id, status);
  }
  return kDone;
}

}  // namespace

int run_awsbkill(const std::vector<std::string>& args, Streams streams) {
  exit_quietly_on_interrupt();
  std::string cluster;
  std::string reason = "Terminated by the user";
  std::string log_level;
  std::vector<std::string> ids;
  CLI::App app("Cancels jobs that wait and terminates jobs that run.", "awsbkill");
  app.add_option("--cluster", cluster, "-c: the cluster");
  app.add_option("--reason", reason, "-r: why, for the job's statusReason")->capture_default_str();
  app.add_option("--log-level", log_level)->group("");
  app.add_option("job_ids", ids, "the jobs")->required();
  app.footer("Examples:\n  awsbkill ID\n  awsbkill -r \"wrong input\" ID ID:3\n");
  auto names = common_options();
  names.push_back({"--reason", {"-r"}, true});
  if (const int status = parse(app, args, names, false, streams); status >= 0) return status;
  auto connection = Connection::open(cluster);
  if (!connection) {
    streams.err << "Error: " << connection.error().message << '\n';
    return kFailed;
  }
  return kill_jobs(ids, reason, *connection, streams);
}

}  // namespace cox::cli
