#include <boost/json.hpp>

#include "runtime/base/text.hpp"
#include "runtime/core/scale_account.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/os/files.hpp"

/// HTTP: what is asked of the cluster as a whole.
namespace cox::head {

namespace json = boost::json;

namespace {

constexpr auto kLastAnswerTime = std::chrono::milliseconds(20);

/// A node whose agent is away for a moment, after a restart of the head, is there all the same.
bool is_there(const Node& node) {
  return node.status == NodeStatus::up || node.status == NodeStatus::silent ||
         node.status == NodeStatus::unfit;
}

json::object head_node_object(const Node& node) {
  return {{"id", node.id.value},
          {"instanceType", node.instance_type},
          {"address", node.address},
          {"hostname", node.hostname},
          {"state", is_there(node) ? "running" : "pending"},
          {"launchTime", node.launched_at.value}};
}

}  // namespace

void HeadCore::route_blob(std::string bytes, const std::shared_ptr<os::HttpReply>& reply) {
  blobs_->put(std::move(bytes), [this, reply](const Result<std::string>& hash) {
    if (!hash) return refuse(reply, 500, hash.error().message);
    answer(reply, 200, json::serialize(json::object{{"sha256", *hash}}));
  });
}

std::string HeadCore::event_json(const ClusterEvent& event) const {
  return json::serialize(json::object{{"at", event.at.value},
                                      {"resource", event.resource},
                                      {"state", event.state},
                                      {"reason", event.reason}}) +
         "\n";
}

void HeadCore::route_events(bool follow, const std::shared_ptr<os::HttpReply>& reply) {
  std::string text;
  for (const auto& event : events_) text += event_json(event);
  os::HttpResponse response;
  response.content_type = "application/x-ndjson";
  if (!follow) {
    response.body = std::move(text);
    return reply->send(std::move(response));
  }
  reply->begin(response);
  reply->write(std::move(text));
  const auto number = event_followers_.empty() ? 1 : event_followers_.rbegin()->first + 1;
  event_followers_.emplace(number, reply);
  // The list holds followers weakly; the client's going away ends the answer's life.
  reply->on_gone(guarded([this, number, keep = reply] { event_followers_.erase(number); }));
}

std::string HeadCore::cluster_json() const {
  const auto& cluster = state_.cluster();
  const char* status = !failure_.empty() ? "CREATE_FAILED"
                       : shutting_down_  ? "DELETE_IN_PROGRESS"
                       : ready_          ? "CREATE_COMPLETE"
                                         : "CREATE_IN_PROGRESS";
  const auto arn = [&](std::string_view kind, const std::string& name) {
    return fmt::format("arn:aws:batch:{}:{}:{}/{}", cluster.region, cluster.account, kind, name);
  };
  json::object shown{
      {"name", cluster.name},
      {"status", status},
      {"reason", failure_},
      {"region", cluster.region},
      {"fleet", state_.environments_enabled() ? "ENABLED" : "DISABLED"},
      {"jobDefinitionArn", arn("job-definition", cluster.name + "-JobDefinition:1")},
      {"jobDefinitionMnpArn", arn("job-definition", cluster.name + "-JobDefinitionMNP:1")}};
  if (!cluster.environments.empty()) {
    shown["computeEnvironmentArn"] = arn("compute-environment", cluster.environments[0].name.value);
  }
  if (!cluster.queues.empty()) {
    shown["jobQueueArn"] = arn("job-queue", cluster.queues[0].name.value);
  }
  std::vector<std::string> notes;
  for (const auto& environment : cluster.environments) {
    const auto note = state_.environment_note(environment.name);
    if (!note.empty()) notes.push_back(fmt::format("{}: {}", environment.name, note));
  }
  shown["fleetReason"] = join(notes, "; ");
  int nodes = 0;
  for (const auto* node : state_.nodes()) {
    if (node->ordinal == 0) {
      shown["headNode"] = head_node_object(*node);
    } else {
      ++nodes;
    }
  }
  shown["nodes"] = nodes;
  return json::serialize(shown);
}

/// What managed scaling does with each compute environment, in the words of its own decision.
std::string HeadCore::scaling_json() const {
  const auto now = clock_.now();
  json::array list;
  for (const auto& account : core::account_of_scaling(state_.snapshot(now))) {
    std::optional<core::LaunchTrouble> trouble;
    const auto backoff = backoff_.find(account.environment);
    if (backoff != backoff_.end() && backoff->second.until > now) {
      trouble = {backoff->second.why, backoff->second.failures, backoff->second.until - now};
    }
    list.push_back(json::object{{"computeEnvironment", account.environment.value},
                                {"state", core::state_of(account, trouble)},
                                {"text", core::to_sentence(account, trouble)},
                                {"vcpus", account.up_vcpus},
                                {"minvCpus", account.min_vcpus},
                                {"maxvCpus", account.max_vcpus},
                                {"comingvCpus", account.coming_vcpus},
                                {"waitingJobs", account.served_jobs + account.held_jobs}});
  }
  return json::serialize(list);
}

void HeadCore::route_fleet(const std::string& body, const std::shared_ptr<os::HttpReply>& reply) {
  boost::system::error_code error;
  const auto parsed = json::parse(body, error);
  const auto* status =
      !error && parsed.is_object() ? parsed.get_object().if_contains("status") : nullptr;
  if (status == nullptr || (*status != "ENABLED" && *status != "DISABLED")) {
    return refuse(reply, 400, "status must be ENABLED or DISABLED");
  }
  const bool enabled = *status == "ENABLED";
  if (auto kept = keep_fleet_status(enabled); !kept) {
    return refuse(reply, 500, kept.error().message);
  }
  // It is the state of every environment from now on: what was said of each by API is past.
  state_.enable_environments(enabled);
  for (const auto& environment : state_.cluster().environments) {
    if (state_.is_kept(key_of(environment))) journal_->add(environment);
  }
  want_pass();
  answer(reply, 200, json::serialize(json::object{{"status", *status}}));
}

void HeadCore::route_update(const std::string& body, const std::shared_ptr<os::HttpReply>& reply) {
  if (!ready_ || shutting_down_ || !update_) {
    return refuse(reply, 409, "the cluster cannot be updated while it is made or ended");
  }
  boost::system::error_code error;
  const auto parsed = json::parse(body, error);
  const auto word = [&](const char* name) {
    const auto* member =
        !error && parsed.is_object() ? parsed.get_object().if_contains(name) : nullptr;
    return member != nullptr && member->is_string() ? std::string(member->get_string())
                                                    : std::string();
  };
  UpdateRequest request{word("text"), word("file"), word("template")};
  if (request.text.empty()) return refuse(reply, 400, "text must be the new file");
  update_(std::move(request), guarded([this, reply](const Result<void>& begun) {
            if (begun) return answer(reply, 200, "{}");
            refuse(reply, begun.error().code == Errc::conflict ? 409 : 400, begun.error().message);
          }));
}

void HeadCore::route_shutdown(const std::shared_ptr<os::HttpReply>& reply) {
  if (!shutting_down_) tell(state_.cluster().name, "DELETE_IN_PROGRESS", "User Initiated");
  end_nodes([this, reply] {
    os::HttpResponse response;
    response.body = "{}";
    reply->send(std::move(response));
    // The answer must be out before the process ends.
    timer_ = loop_.after(kLastAnswerTime, [this] {
      if (shutdown_) shutdown_();
    });
  });
}

}  // namespace cox::head
