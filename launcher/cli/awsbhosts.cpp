#include <unistd.h>

#include <algorithm>
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

std::string render_host_details(const json::array& hosts, bool colour) {
  std::vector<Details> items;
  for (const auto& host : hosts) items.push_back(details_of(host.as_object()));
  return render_details(items, colour);
}

std::string render_hosts(const json::array& hosts) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& value : hosts) {
    const auto& host = value.as_object();
    const auto address = text_of(host, "publicIpAddress");
    rows.push_back({text_of(host, "ec2InstanceId"), text_of(host, "instanceType"),
                    text_of(host, "privateIpAddress"), address.empty() ? "-" : address,
                    std::to_string(int_of(host, "runningJobs"))});
  }
  return render_table({{"ec2InstanceId"},
                       {"instanceType"},
                       {"privateIpAddress"},
                       {"publicIpAddress"},
                       {.name = "runningJobs", .may_be_numeric = true}},
                      rows);
}

int run_awsbhosts(const std::vector<std::string>& args, Streams streams) {
  CommonOptions common;
  bool as_details = false;
  std::vector<std::string> ids;
  Program program("awsbhosts", "Shows the nodes that run jobs.", common);
  program.flag({"--details", {"-d"}}, as_details, "all that is known of each node");
  program.words(Program::Words::any, "instance_ids", ids, "nodes to show; all if omitted");
  program.examples(
      "  awsbhosts\n"
      "  awsbhosts -d\n"
      "  awsbhosts i-0123456789abcdef0\n");
  if (const int status = program.parse(args, streams); status >= 0) return status;

  auto connection = Connection::open_complete(common.cluster);
  const auto answer = connection ? connection->get("nodes") : fail(connection.error());
  if (!answer) return complain(streams, "awsbhosts:run", "Error: " + answer.error().message);
  json::array hosts;
  for (const auto& host : answer->as_array()) {
    const auto id = text_of(host.as_object(), "ec2InstanceId");
    if (ids.empty() || std::find(ids.begin(), ids.end(), id) != ids.end()) hosts.push_back(host);
  }
  const bool colour = shows_colour(STDOUT_FILENO);
  if (common.json) {
    streams.out << json::serialize(hosts) << '\n';
  } else if (as_details || !ids.empty()) {
    streams.out << render_host_details(hosts, colour);
  } else {
    streams.out << render_hosts(hosts);
  }
  return kDone;
}

}  // namespace cox::cli
