#include "launcher/cli/pcluster_events.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "launcher/cli/output.hpp"
#include "launcher/cli/pcluster_answers.hpp"
#include "launcher/cli/pcluster_json.hpp"
#include "launcher/cli/pcluster_verbs.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

/// get-cluster-stack-events.
namespace cox::cli {

namespace json = boost::json;

namespace {

// As many as CloudFormation gives at once.
constexpr std::size_t kPage = 100;
constexpr std::size_t kStoryMax = 16u << 20;

/// A resource of the head's: "ComputeNode i-0123" is one of many, named by its instance.
struct Resource {
  std::string logical;
  std::string physical;
  const char* type = "AWS::EC2::Instance";
};

Resource resource_of(const cluster::Record& record, const StackHistory& history,
                     const std::string& name) {
  if (name == record.name) return {name, stack_arn(record), "AWS::CloudFormation::Stack"};
  const auto blank = name.find(' ');
  if (blank != std::string::npos) return {name.substr(0, blank), name.substr(blank + 1)};
  return {name, history.head_id};
}

std::string id_of(const Resource& resource, const ResourceEvent& event) {
  const auto& which = resource.logical == "ComputeNode" ? resource.physical : resource.logical;
  return fmt::format("{}-{}-{}", which, event.state, render_utc(event.at_ms));
}

int get_stack_events(const Words& words, Streams streams) {
  if (const auto fault = fault_of(words); !fault.empty()) return bad_request(streams, fault);
  const auto record = find_record(words);
  if (!record) return refuse(streams, no_such_cluster(words.get("--cluster-name")));
  const auto page =
      stack_events_page(*record, history_of(*record), words.get("--next-token"), kPage);
  return page ? say(streams, *page) : bad_request(streams, page.error().message);
}

}  // namespace

Result<json::object> stack_events_page(const cluster::Record& record, const StackHistory& history,
                                       const std::string& token, std::size_t page) {
  json::array shown;
  bool begun = token.empty();
  std::string last;
  bool more = false;
  for (auto event = history.events.rbegin(); event != history.events.rend(); ++event) {
    const auto resource = resource_of(record, history, event->resource);
    auto id = id_of(resource, *event);
    if (!begun) {
      begun = id == token;
      continue;
    }
    more = shown.size() == page;
    if (more) break;
    last = id;
    json::object entry{{"eventId", std::move(id)},
                       {"physicalResourceId", resource.physical},
                       {"resourceStatus", event->state}};
    if (!event->reason.empty()) entry["resourceStatusReason"] = event->reason;
    entry["stackId"] = stack_arn(record);
    entry["stackName"] = record.name;
    entry["logicalResourceId"] = resource.logical;
    entry["resourceType"] = resource.type;
    entry["timestamp"] = render_utc(event->at_ms);
    shown.push_back(std::move(entry));
  }
  if (!begun) return fail(Errc::invalid_argument, "the next token {} is not valid", token);
  json::object answer;
  if (more) answer["nextToken"] = last;
  answer["events"] = std::move(shown);
  return answer;
}

StackHistory history_of(const cluster::Record& record) {
  StackHistory history;
  if (auto connection = Connection::open(record.name)) {
    const auto read = connection->lines("events", [&](std::string_view line) {
      if (auto event = parse_event(line)) history.events.push_back(std::move(*event));
      return true;
    });
    const auto about = read ? connection->get("cluster") : fail(read.error());
    const auto* object = about ? about->if_object() : nullptr;
    const auto* head = object != nullptr ? object_of(*object, "headNode") : nullptr;
    if (head != nullptr) history.head_id = text_of(*head, "id");
  }
  if (history.events.empty()) {
    const auto kept = os::read_file(cluster::directory_of(record.name) + "/head/events", kStoryMax);
    for (const auto& line : split(kept ? *kept : "", '\n')) {
      if (auto event = parse_event(line)) history.events.push_back(std::move(*event));
    }
  }
  if (history.events.empty()) {
    history.events = {
        {record.name, "CREATE_IN_PROGRESS", "User Initiated", record.created_at.value}};
    if (record.status != "CREATE_IN_PROGRESS") {
      history.events.push_back(
          {record.name, record.status, record.status_reason, record.updated_at.value});
    }
  }
  return history;
}

VerbEntry stack_events_verb() {
  return {make_verb("get-cluster-stack-events", "Shows what happened to a cluster's parts.",
                    {name_option(),
                     {"--next-token",
                      {},
                      VerbOption::Takes::one,
                      false,
                      "of an answer before: the events that come after it"}},
                    "  pcluster get-cluster-stack-events -n laptop\n"),
          get_stack_events};
}

}  // namespace cox::cli
