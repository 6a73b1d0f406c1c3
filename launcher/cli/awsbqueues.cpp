#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/output.hpp"

namespace cox::cli {

namespace json = boost::json;

int run_awsbqueues(const std::vector<std::string>& args, Streams streams) {
  exit_quietly_on_interrupt();
  std::string cluster;
  std::string log_level;
  bool as_details = false;
  bool as_json = false;
  std::vector<std::string> queues;
  CLI::App app("Shows the job queues of a cluster.", "awsbqueues");
  app.add_option("--cluster", cluster, "-c: the cluster");
  app.add_flag("--details", as_details, "-d: all that is known of each queue");
  app.add_flag("--json", as_json, "print JSON");
  app.add_option("--log-level", log_level)->group("");
  app.add_option("job_queues", queues, "queues to show; the cluster's if omitted");
  app.footer("Examples:\n  awsbqueues\n  awsbqueues -d\n");
  auto names = common_options();
  names.push_back({"--details", {"-d"}, false});
  names.push_back({"--json", {}, false});
  if (const int status = parse(app, args, names, false, streams); status >= 0) return status;

  auto connection = Connection::open(cluster);
  json::array asked;
  for (const auto& queue : queues) asked.emplace_back(queue);
  auto answer = connection ? connection->batch("describejobqueues",
                                               json::object{{"jobQueues", std::move(asked)}})
                           : fail(connection.error());
  if (!answer) {
    streams.err << "Error: " << answer.error().message << '\n';
    return kFailed;
  }
  const auto& list = answer->as_object().at("jobQueues").as_array();
  if (as_json) {
    streams.out << json::serialize(list) << '\n';
  } else if (as_details || !queues.empty()) {
    std::vector<Details> items;
    for (const auto& value : list) {
      const auto& queue = value.as_object();
      items.push_back({{"jobQueueArn", text_of(queue, "jobQueueArn")},
                       {"jobQueueName", text_of(queue, "jobQueueName")},
                       {"priority", std::to_string(int_of(queue, "priority"))},
                       {"status", text_of(queue, "status")},
                       {"statusReason", text_of(queue, "statusReason")}});
    }
    streams.out << render_details(items);
  } else {
    std::vector<std::vector<std::string>> rows;
    for (const auto& value : list) {
      rows.push_back(
          {text_of(value.as_object(), "jobQueueName"), text_of(value.as_object(), "status")});
    }
    streams.out << render_table({{"jobQueueName", false}, {"status", false}}, rows);
  }
  return kDone;
}

}  // namespace cox::cli
