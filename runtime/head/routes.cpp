#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "runtime/api/api.hpp"
#include "runtime/base/text.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/mpi/launch_plan.hpp"

/// HTTP: AWS's operations by runtime/api, and our own below /cox/v1/.
namespace cox::head {

namespace json = boost::json;

namespace {

constexpr const char* kOwnRoot = "/cox/v1/";

std::string percent_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digits = std::string_view("0123456789abcdef");
    if (text[i] == '%' && i + 2 < text.size()) {
      const auto high = digits.find(to_lower(text.substr(i + 1, 1)));
      const auto low = digits.find(to_lower(text.substr(i + 2, 1)));
      if (high != std::string_view::npos && low != std::string_view::npos) {
        decoded += static_cast<char>(high * 16 + low);
        i += 2;
        continue;
      }
    }
    decoded += text[i] == '+' ? ' ' : text[i];
  }
  return decoded;
}

std::map<std::string, std::string> query_of(std::string_view target) {
  std::map<std::string, std::string> query;
  const auto mark = target.find('?');
  if (mark == std::string_view::npos) return query;
  for (const auto& pair : split(target.substr(mark + 1), '&')) {
    const auto equals = pair.find('=');
    const auto value = equals == std::string::npos ? "" : pair.substr(equals + 1);
    query[percent_decoded(pair.substr(0, equals))] = percent_decoded(value);
  }
  return query;
}

std::string message_body(std::string_view text) {
  return json::serialize(json::object{{"message", text}});
}

bool may_see(const Job& job, const JobUser& user) {
  return user.uid == 0 || user.uid == job.spec.user.uid;
}

/// The job, attempt and node whose log a CloudWatch stream name means.
struct StreamPart {
  JobId job;
  int attempt = 0;
  int node_index = 0;
};

/// Takes log_stream_name() apart: "<definition>/default/<uuid>[-<child>]-<attempt>-<node>".
std::optional<StreamPart> parse_stream(const std::string& stream) {
  constexpr std::size_t kUuid = 36;
  const auto last = stream.substr(stream.rfind('/') + 1);
  if (last.size() < kUuid + 4 || last[kUuid] != '-') return std::nullopt;
  const auto numbers = split(last.substr(kUuid + 1), '-');
  std::vector<int> values;
  for (const auto& text : numbers) {
    const auto value = to_int(text);
    if (!value || *value < 0 || *value > 1'000'000) return std::nullopt;
    values.push_back(static_cast<int>(*value));
  }
  const JobId parent{last.substr(0, kUuid)};
  if (values.size() == 2) return StreamPart{parent, values[0], values[1]};
  if (values.size() == 3) return StreamPart{child_of(parent, values[0]), values[1], values[2]};
  return std::nullopt;
}

/// Bytes that are no UTF-8 would make the whole JSON unreadable for AWS's clients.
std::string utf8(const std::string& text) {
  std::string clean;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t size = lead < 0x80       ? 1
                             : lead >> 5 == 6  ? 2
                             : lead >> 4 == 14 ? 3
                             : lead >> 3 == 30 ? 4
                                               : 0;
    bool good = size > 0 && i + size <= text.size();
    for (std::size_t k = 1; good && k < size; ++k) {
      good = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
    }
    clean += good ? text.substr(i, size) : "\xef\xbf\xbd";
    i += good ? size : 1;
  }
  return clean;
}

}  // namespace

std::string user_name(std::uint32_t uid) {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found);
  return found != nullptr ? found->pw_name : std::to_string(uid);
}

void HeadCore::answer(const std::shared_ptr<os::HttpReply>& reply, int status, std::string body,
                      const std::string& error_type) {
  os::HttpResponse response;
  response.status = status;
  response.body = std::move(body);
  response.headers["x-amzn-RequestId"] = new_uuid();
  if (!error_type.empty()) response.headers["x-amzn-ErrorType"] = error_type;
  journal_->then([reply, response = std::move(response)] { reply->send(response); });
}

void HeadCore::handle(os::HttpRequest request, const std::shared_ptr<os::HttpReply>& reply) {
  if (!request.peer) return answer(reply, 403, message_body("who is asking is not known"));
  const JobUser user{request.peer->uid, request.peer->gid, user_name(request.peer->uid)};
  if (request.target.starts_with(kOwnRoot)) return handle_own(request, user, reply);
  handle_aws(request, user, reply);
}

void HeadCore::handle_aws(const os::HttpRequest& request, const JobUser& user,
                          const std::shared_ptr<os::HttpReply>& reply) {
  const auto header = request.headers.find("x-amz-target");
  const api::Request asked{
      request.method, request.target, header == request.headers.end() ? "" : header->second,
      request.body,   user,           ""};
  const auto send = [&](const api::Answer& given) {
    answer(reply, given.status, given.body, given.error_type);
  };
  auto outcome = api::handle(state_, asked);
  if (const auto* given = std::get_if<api::Answer>(&outcome)) return send(*given);
  if (const auto* asked_log = std::get_if<api::ReadLog>(&outcome))
    return read_log(*asked_log, user, reply);
  if (const auto* killing = std::get_if<api::KillJob>(&outcome)) {
    kill(killing->job, killing->reason, killing->only_waiting);
    return send(api::render_killed());
  }
  auto& submission = std::get<api::SubmitJob>(outcome);
  const auto id = submit(submission.spec);
  send(id ? api::render_submitted(state_, *id, submission.spec) : api::render_error(id.error()));
}

void HeadCore::read_log(const api::ReadLog& asked, const JobUser& user,
                        const std::shared_ptr<os::HttpReply>& reply) {
  const auto send = [&](const api::Answer& given) {
    answer(reply, given.status, given.body, given.error_type);
  };
  const auto part = parse_stream(asked.stream);
  const auto* job = part ? state_.find(part->job) : nullptr;
  if (job == nullptr || !may_see(*job, user) ||
      job->attempts.size() < static_cast<std::size_t>(part->attempt)) {
    return send(api::render_no_such_log(asked));
  }
  logs::ReadSpec what;
  if (asked.start_ms) what.from = Millis{*asked.start_ms};
  if (asked.end_ms) what.before = Millis{*asked.end_ms};
  if (!asked.token.empty() && !asked.backward) {
    what.after_sequence = asked.after_sequence;
    what.first = asked.limit;
  } else if (asked.backward) {
    // Records before the one that the token names: numbers have no gaps.
    const auto end = asked.after_sequence.value_or(1);
    const auto begin = end > asked.limit ? end - asked.limit : 1;
    what.after_sequence = begin - 1;
    what.first = end > begin ? end - begin : 0;
  } else if (asked.from_head) {
    what.first = asked.limit;
  } else {
    what.last = asked.limit;
  }
  std::vector<api::LogEvent> events;
  const auto lines = logs_->read(main_log(part->job, part->attempt, part->node_index), what);
  if (lines && !(asked.backward && what.first == 0)) {
    for (const auto& line : *lines)
      events.push_back({line.sequence, line.at.value, utf8(line.text)});
  }
  send(api::render_log_events(asked, events));
}

void HeadCore::handle_own(const os::HttpRequest& request, const JobUser& user,
                          const std::shared_ptr<os::HttpReply>& reply) {
  const std::string_view target = request.target;
  const auto route =
      std::string(target.substr(0, target.find('?')).substr(std::string_view(kOwnRoot).size()));
  const auto query = query_of(target);
  const auto get = [&](const char* name) {
    const auto found = query.find(name);
    return found == query.end() ? std::string() : found->second;
  };
  const bool reading = request.method == "GET";
  if (route == "blobs" && request.method == "PUT") {
    const auto hash = blobs_->put(request.body);
    if (!hash) return answer(reply, 500, message_body(hash.error().message));
    return answer(reply, 200, json::serialize(json::object{{"sha256", *hash}}));
  }
  if (route == "cluster" && reading) return answer(reply, 200, cluster_json());
  if (route == "nodes" && reading) return answer(reply, 200, api::render_nodes(state_));
  if (route == "events" && reading) return route_events(get("follow") == "1", reply);
  if (route == "wait" && reading) return route_wait(get("job"), user, reply);
  if (route == "layout" && request.method == "POST") return route_layout(request.body, reply);
  if (route == "fleet" && request.method == "POST") return route_fleet(request.body, reply);
  if (route == "shutdown" && request.method == "POST") return route_shutdown(user, reply);
  if ((route == "output" || route == "explain") && reading) {
    const auto ref = parse_job_ref(get("job"));
    const auto* job = state_.find(ref.id);
    if (job == nullptr || !may_see(*job, user)) {
      return answer(reply, 404, message_body(fmt::format("job {} not found", get("job"))));
    }
    if (route == "output") return stream_output(*this, ref, query, reply);
    json::array reasons;
    for (const auto& block : state_.blocks(job->id)) reasons.emplace_back(core::to_sentence(block));
    return answer(reply, 200, json::serialize(json::object{{"reasons", std::move(reasons)}}));
  }
  answer(reply, 404,
         message_body(fmt::format("{} {} is not served", request.method, request.target)));
}

void HeadCore::route_wait(const std::string& id, const JobUser& user,
                          const std::shared_ptr<os::HttpReply>& reply) {
  const auto ref = parse_job_ref(id);
  const auto* job = state_.find(ref.id);
  if (job == nullptr || !may_see(*job, user)) {
    return answer(reply, 404, message_body(fmt::format("job {} not found", id)));
  }
  if (is_terminal(job->status)) return answer(reply, 200, api::render_job(state_, ref));
  when_changed(ref.id, [this, id, user, reply] { route_wait(id, user, reply); });
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
  if (!follow) {
    os::HttpResponse response;
    response.content_type = "application/x-ndjson";
    response.body = std::move(text);
    return reply->send(std::move(response));
  }
  os::HttpResponse head;
  head.content_type = "application/x-ndjson";
  reply->begin(head);
  reply->write(std::move(text));
  event_followers_.push_back(reply);
  // The list holds followers weakly; the client's going away ends the answer's life.
  reply->on_gone([keep = reply]() mutable { keep.reset(); });
}

namespace {

/// A node whose agent is away for a moment, after a restart of the head, is there all the same.
bool is_there(const Node& node) {
  return node.status == NodeStatus::up || node.status == NodeStatus::silent;
}

}  // namespace

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
  if (!cluster.queues.empty())
    shown["jobQueueArn"] = arn("job-queue", cluster.queues[0].name.value);
  int nodes = 0;
  for (const auto* node : state_.nodes()) {
    if (node->ordinal != 0) {
      ++nodes;
      continue;
    }
    shown["headNode"] = json::object{{"id", node->id.value},
                                     {"instanceType", node->instance_type},
                                     {"address", node->address},
                                     {"hostname", node->hostname},
                                     {"state", is_there(*node) ? "running" : "pending"},
                                     {"launchTime", node->launched_at.value}};
  }
  shown["nodes"] = nodes;
  return json::serialize(shown);
}

void HeadCore::route_fleet(const std::string& body, const std::shared_ptr<os::HttpReply>& reply) {
  boost::system::error_code error;
  const auto parsed = json::parse(body, error);
  const auto* status =
      !error && parsed.is_object() ? parsed.get_object().if_contains("status") : nullptr;
  if (status == nullptr || (*status != "ENABLED" && *status != "DISABLED")) {
    return answer(reply, 400, message_body("status must be ENABLED or DISABLED"));
  }
  state_.enable_environments(*status == "ENABLED");
  schedule_pass();
  answer(reply, 200, json::serialize(json::object{{"status", *status}}));
}

void HeadCore::route_shutdown(const JobUser& user, const std::shared_ptr<os::HttpReply>& reply) {
  if (user.uid != 0 && user.uid != ::geteuid()) {
    return answer(reply, 403, message_body("only the cluster's owner may end it"));
  }
  if (!shutting_down_) tell(state_.cluster().name, "DELETE_IN_PROGRESS", "User Initiated");
  end_nodes([this, reply] {
    os::HttpResponse response;
    response.body = "{}";
    reply->send(std::move(response));
    // The answer must be out before the process ends.
    loop_.post([this, reply] {
      timer_ = loop_.after(std::chrono::milliseconds(20), [this] {
        if (shutdown_) shutdown_();
      });
    });
  });
}

void HeadCore::end_nodes(std::function<void()> done) {
  shutting_down_ = true;
  silence_.clear();
  std::vector<NodeId> ids;
  for (const auto* node : state_.nodes()) ids.push_back(node->id);
  const auto left = std::make_shared<std::size_t>(ids.size());
  const auto finish = std::make_shared<std::function<void()>>(std::move(done));
  if (ids.empty()) return loop_.post([finish] { (*finish)(); });
  for (const auto& id : ids) {
    provider_.terminate(id, [this, id, left, finish](const Result<void>&) {
      sessions_.erase(id);
      journal_->gone(id);
      state_.remove_node(id);
      if (--*left == 0) journal_->then([finish] { (*finish)(); });
    });
  }
}

}  // namespace cox::head
