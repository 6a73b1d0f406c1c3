#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/output.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

Details details_of(const json::object& host) {
  const auto number = [&](const char* name) { return std::to_string(int_of(host, name)); };
  Details details;
  for (const auto* key :
       {"ec2InstanceId", "containerInstanceArn", "status", "instanceType", "privateIpAddress",
        "publicIpAddress", "privateDnsName", "publicDnsName"}) {
    details.emplace_back(key, text_of(host, key));
  }
  details.emplace_back("runningJobs", number("runningJobs"));
  details.emplace_back("pendingJobs", number("pendingJobs"));
  details.emplace_back("registeredCPUs", number("registeredCPUs") + ".0");
  details.emplace_back("registeredMemory[MB]", number("registeredMemory"));
  details.emplace_back("availableCPUs", number("availableCPUs") + ".0");
  details.emplace_back("availableMemory[MB]", number("availableMemory"));
  if (const auto reason = text_of(host, "statusReason"); !reason.empty()) {
    details.emplace_back("statusReason", reason);
  }
  return details;
}

}  // namespace

int run_awsbhosts(const std::vector<std::string>& args, Streams streams) {
  exit_quietly_on_interrupt();
  std::string cluster;
  std::string log_level;
  bool as_details = false;
  bool as_json = false;
  std::vector<std::string> ids;
  CLI::App app("Shows the nodes that run jobs.", "awsbhosts");
  app.add_option("--cluster", cluster, "-c: the cluster");
  app.add_flag("--details", as_details, "-d: all that is known of each node");
  app.add_flag("--json", as_json, "print JSON");
  app.add_option("--log-level", log_level)->group("");
  app.add_option("instance_ids", ids, "nodes to show; all if omitted");
  app.footer("Examples:\n  awsbhosts\n  awsbhosts -d i-0123456789abcdef0\n");
  auto names = common_options();
  names.push_back({"--details", {"-d"}, false});
  names.push_back({"--json", {}, false});
  if (const int status = parse(app, args, names, false, streams); status >= 0) return status;

  auto connection = Connection::open(cluster);
  auto answer = connection ? connection->get("nodes") : fail(connection.error());
  if (!answer) {
    streams.err << "Error: " << answer.error().message << '\n';
    return kFailed;
  }
  json::array hosts;
  for (auto& host : answer->as_array()) {
    const auto id = text_of(host.as_object(), "ec2InstanceId");
    if (ids.empty() || std::find(ids.begin(), ids.end(), id) != ids.end()) hosts.push_back(host);
  }
  if (as_json) {
    streams.out << json::serialize(hosts) << '\n';
  } else if (as_details || !ids.empty()) {
    std::vector<Details> items;
    for (const auto& host : hosts) items.push_back(details_of(host.as_object()));
    streams.out << render_details(items);
  } else {
    std::vector<std::vector<std::string>> rows;
    for (const auto& value : hosts) {
      const auto& host = value.as_object();
      rows.push_back({text_of(host, "ec2InstanceId"), text_of(host, "instanceType"),
                      text_of(host, "privateIpAddress"), text_of(host, "publicIpAddress"),
                      std::to_string(int_of(host, "runningJobs"))});
    }
    streams.out << render_table({{"ec2InstanceId", false},
                                 {"instanceType", false},
                                 {"privateIpAddress", false},
                                 {"publicIpAddress", false},
                                 {"runningJobs", true}},
                                rows);
  }
  return kDone;
}

}  // namespace cox::cli
