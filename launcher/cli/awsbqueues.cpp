#include <unistd.h>

#include <boost/json.hpp>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/hosts_and_queues.hpp"
#include "launcher/cli/output.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

/// Of a list of what scaling does, what is of the queue's compute environments.
json::array scaling_of(const json::object& queue, const json::array& scaling) {
  json::array list;
  const auto* order = queue.if_contains("computeEnvironmentOrder");
  for (const auto& entry : order != nullptr ? order->as_array() : json::array{}) {
    const auto arn = text_of(entry.as_object(), "computeEnvironment");
    const auto name = arn.substr(arn.rfind('/') + 1);
    for (const auto& each : scaling) {
      if (text_of(each.as_object(), "computeEnvironment") == name) list.push_back(each);
    }
  }
  return list;
}

/// Our own member of AWS's answer: what managed scaling does for the queue, and why.
void add_scaling(json::array& queues, const json::array& scaling) {
  for (auto& queue : queues) {
    auto own = scaling_of(queue.as_object(), scaling);
    queue.as_object()["coxswain"] = json::object{{"scaling", std::move(own)}};
  }
}

}  // namespace

std::string render_queue_details(const json::array& queues, bool colour) {
  std::vector<Details> items;
  for (const auto& value : queues) {
    const auto& queue = value.as_object();
    items.push_back({{"jobQueueArn", text_of(queue, "jobQueueArn")},
                     {"jobQueueName", text_of(queue, "jobQueueName")},
                     {"priority", std::to_string(int_of(queue, "priority"))},
                     {"status", text_of(queue, "status")},
                     {"statusReason", text_of(queue, "statusReason")}});
    const auto* own = object_of(queue, "coxswain");
    for (const auto& each : own != nullptr ? own->at("scaling").as_array() : json::array{}) {
      const auto& told = each.as_object();
      items.back().emplace_back(
          "scaling",
          fmt::format("{}: {}", text_of(told, "computeEnvironment"), text_of(told, "text")));
    }
  }
  return render_details(items, colour);
}

std::string render_queues(const json::array& queues, bool colour) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& value : queues) {
    const auto& queue = value.as_object();
    rows.push_back({text_of(queue, "jobQueueName"), text_of(queue, "status")});
  }
  return render_table({{"jobQueueName"}, {.name = "status", .is_status = true}}, rows, colour);
}

int run_awsbqueues(const std::vector<std::string>& args, Streams streams) {
  CommonOptions common;
  bool as_details = false;
  std::vector<std::string> queues;
  Program program("awsbqueues", "Shows the job queues of a cluster.", common);
  program.flag({"--details", {"-d"}}, as_details, "all that is known of each queue");
  program.words(Program::Words::any, "job_queues", queues,
                "queues to show; the cluster's if omitted");
  program.examples(
      "  awsbqueues\n"
      "  awsbqueues -d\n"
      "  awsbqueues queue1\n");
  if (const int status = program.parse(args, streams); status >= 0) return status;

  auto connection = Connection::open_complete(common.cluster);
  const json::array asked(queues.begin(), queues.end());
  auto answer = connection
                    ? connection->batch("describejobqueues", json::object{{"jobQueues", asked}})
                    : fail(connection.error());
  if (!answer) return complain(streams, "awsbqueues:run", "Error: " + answer.error().message);
  auto& list = answer->as_object().at("jobQueues").as_array();
  // A head of another version may not tell.
  if (const auto scaling = connection->get("scaling")) add_scaling(list, scaling->as_array());
  const bool colour = shows_colour(STDOUT_FILENO);
  if (common.json) {
    streams.out << json::serialize(list) << '\n';
  } else if (as_details || !queues.empty()) {
    streams.out << render_queue_details(list, colour);
  } else {
    streams.out << render_queues(list, colour);
  }
  return kDone;
}

}  // namespace cox::cli
