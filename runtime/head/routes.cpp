#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "runtime/api/api.hpp"
#include "runtime/base/percent.hpp"
#include "runtime/base/text.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/os/log.hpp"

/// HTTP: AWS's operations by runtime/api, and our own below /cox/v1/.
namespace cox::head {

namespace json = boost::json;

namespace {

constexpr const char* kOwnRoot = "/cox/v1/";

std::map<std::string, std::string> query_of(std::string_view target) {
  std::map<std::string, std::string> query;
  const auto mark = target.find('?');
  if (mark == std::string_view::npos) return query;
  for (const auto& pair : split(target.substr(mark + 1), '&')) {
    const auto equals = pair.find('=');
    const auto value = equals == std::string::npos ? "" : pair.substr(equals + 1);
    query[form_decoded(pair.substr(0, equals))] = form_decoded(value);
  }
  return query;
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
  journal_->answer([reply, response = std::move(response)] { reply->send(response); });
}

void HeadCore::refuse(const std::shared_ptr<os::HttpReply>& reply, int status,
                      std::string_view why) {
  answer(reply, status, json::serialize(json::object{{"message", why}}));
}

bool HeadCore::is_owner(const JobUser& user) const {
  return user.uid == 0 || user.uid == ::geteuid();
}

/// Other people's jobs are as good as none.
bool HeadCore::may_see(const Job& job, const JobUser& user) const {
  return user.uid == 0 || user.uid == job.spec->user->uid;
}

void HeadCore::handle(os::HttpRequest request, const std::shared_ptr<os::HttpReply>& reply) {
  if (!request.peer) return refuse(reply, 403, "who is asking is not known");
  const JobUser user{request.peer->uid, request.peer->gid, user_name(request.peer->uid)};
  if (::geteuid() != 0 && user.uid != ::geteuid()) {
    return refuse(reply, 403,
                  fmt::format("cluster {} is for user {} alone: jobs of others would run as that "
                              "user, because only root can start them as theirs",
                              state_.cluster().name, user_name(::geteuid())));
  }
  if (request.target.starts_with(kOwnRoot)) return handle_own(std::move(request), user, reply);
  handle_aws(request, user, "", reply);
}

void HeadCore::handle_aws(const os::HttpRequest& request, const JobUser& user,
                          const std::string& region, const std::shared_ptr<os::HttpReply>& reply) {
  const auto header = request.headers.find("x-amz-target");
  const auto token = request.headers.find("x-coxswain-client-token");
  const api::Request asked{
      request.method, request.target, header == request.headers.end() ? "" : header->second,
      request.body,   user,           region,
      clock_.now(),   is_owner(user), token == request.headers.end() ? "" : token->second};
  const auto send = [&](const api::Answer& given) {
    answer(reply, given.status, given.body, given.error_type);
  };
  auto outcome = api::handle(state_, asked);
  if (const auto* given = std::get_if<api::Answer>(&outcome)) return send(*given);
  if (const auto* reading = std::get_if<api::ReadLog>(&outcome)) {
    return read_log(*reading, user, reply);
  }
  if (auto* listing = std::get_if<api::ListStreams>(&outcome)) {
    return list_streams(std::move(*listing), asked, reply);
  }
  if (const auto* search = std::get_if<api::SearchLogs>(&outcome)) {
    return search_logs(*search, reply);
  }
  if (const auto* killing = std::get_if<api::KillJob>(&outcome)) {
    kill(killing->job, killing->reason, killing->only_waiting);
    return send(api::render_killed());
  }
  if (auto* change = std::get_if<api::ChangeCatalog>(&outcome)) {
    change_catalog(*change);
    return send(change->answer);
  }
  if (const auto* tagging = std::get_if<api::TagJob>(&outcome)) {
    apply(tagging->job, core::Tagged{clock_.now(), tagging->tags});
    return send(tagging->answer);
  }
  auto& submission = std::get<api::SubmitJob>(outcome);
  attach_uploads(submission.spec);
  const auto id = submit(submission.spec);
  send(id ? api::render_submitted(state_, *id, submission.spec, region)
          : api::render_error(id.error()));
}

/// Said once a definition, when it is registered.
void HeadCore::tell_of_ignored_image(const CatalogItem& item) const {
  const auto* definition = std::get_if<JobDefinition>(&item);
  if (definition == nullptr || state_.cluster().containers) return;
  if (state_.definition(definition->name, definition->revision) != nullptr) return;
  os::log_warn(
      "job definition {}:{}: its image is ignored (Containers: host): the command runs on "
      "the node",
      definition->name, definition->revision);
}

/// Makes what a client asked for, and what follows from it.
void HeadCore::change_catalog(const api::ChangeCatalog& change) {
  for (const auto& item : change.put) {
    tell_of_ignored_image(item);
    state_.put(item);
    journal_->add(item);
  }
  for (const auto& key : change.gone) {
    state_.remove(key);
    journal_->gone(key);
    if (key.kind != kEnvironmentKind) continue;
    for (const auto* node : state_.nodes()) {
      if (node->environment.value != key.name) continue;
      // Not now: this list would change below us.
      loop_.post(
          guarded([this, id = node->id] { lose(id, "its compute environment was deleted"); }));
    }
  }
  for (const auto& id : change.killed) kill(id, change.kill_reason, false);
  want_pass();
}

void HeadCore::handle_own(os::HttpRequest request, const JobUser& user,
                          const std::shared_ptr<os::HttpReply>& reply) {
  const std::string_view target = request.target;
  const std::string route(
      target.substr(0, target.find('?')).substr(std::string_view(kOwnRoot).size()));
  const auto query = query_of(target);
  if (request.method == "GET") {
    if (route == "cluster") return answer(reply, 200, cluster_json());
    if (route == "scaling") return answer(reply, 200, scaling_json());
    if (route == "nodes") return answer(reply, 200, api::render_nodes(state_));
    if (route == "events") {
      const auto follow = query.find("follow");
      return route_events(follow != query.end() && follow->second == "1", reply);
    }
    if (route == "history") return route_history(query, user, reply);
    if (route == "wait" || route == "output" || route == "explain") {
      return route_of_job(route, query, user, reply);
    }
  }
  if (request.method == "PUT" && route == "blobs")
    return route_blob(std::move(request.body), reply);
  if (request.method == "POST" && route == "credentials") return route_credentials(user, reply);
  if (request.method == "POST" && route == "layout") return route_layout(request.body, reply);
  if (request.method == "POST" && (route == "fleet" || route == "shutdown" || route == "update")) {
    if (!is_owner(user)) {
      return refuse(reply, 403,
                    fmt::format("only the owner of cluster {} may do this", state_.cluster().name));
    }
    if (route == "update") return route_update(request.body, reply);
    return route == "fleet" ? route_fleet(request.body, reply) : route_shutdown(reply);
  }
  refuse(reply, 404, fmt::format("{} {} is not served", request.method, request.target));
}

void HeadCore::route_of_job(const std::string& route,
                            const std::map<std::string, std::string>& query, const JobUser& user,
                            const std::shared_ptr<os::HttpReply>& reply) {
  const auto asked = query.find("job");
  const auto id = asked == query.end() ? std::string() : asked->second;
  const auto ref = parse_job_ref(id);
  const auto* job = state_.find(ref.id);
  const bool known =
      job != nullptr && may_see(*job, user) &&
      (!ref.node_index || (job->is_multi_node() && *ref.node_index < job->node_count()));
  if (!known) return refuse(reply, 404, fmt::format("job {} not found", id));
  if (route == "output") return stream_output(*this, ref, query, reply);
  if (route == "wait") return route_wait(ref, reply);
  route_explain(*job, reply);
}

/// Answers once the job has ended. The answer holds the watch, and the client's going away ends
/// both.
void HeadCore::route_wait(const JobRef& ref, const std::shared_ptr<os::HttpReply>& reply) {
  const auto* job = state_.find(ref.id);
  if (job == nullptr) return refuse(reply, 404, fmt::format("job {} is forgotten", ref.id));
  if (is_terminal(job->status)) return answer(reply, 200, api::render_job(state_, ref));
  auto watch = std::make_shared<std::shared_ptr<void>>();
  *watch = watches_.watch(ref.id, [this, ref, reply, held = std::weak_ptr(watch)] {
    const auto* changed = state_.find(ref.id);
    if (changed != nullptr && !is_terminal(changed->status)) return;
    if (const auto mine = held.lock()) mine->reset();
    route_wait(ref, reply);
  });
  reply->on_gone([watch] { watch->reset(); });
}

void HeadCore::route_explain(const Job& job, const std::shared_ptr<os::HttpReply>& reply) {
  answer(reply, 200, api::render_waiting(state_, job));
}

void HeadCore::route_history(const std::map<std::string, std::string>& query, const JobUser& user,
                             const std::shared_ptr<os::HttpReply>& reply) {
  const auto text = [&](const char* name) {
    const auto found = query.find(name);
    return found == query.end() ? std::string() : found->second;
  };
  api::HistoryQuery asked;
  asked.asker = user;
  asked.user = text("user");
  asked.queue = text("queue");
  asked.ended_from = Millis{to_int(text("since")).value_or(0)};
  asked.ended_before = Millis{to_int(text("until")).value_or(0)};
  if (const auto limit = to_int(text("limit")); limit && *limit > 0) {
    asked.limit = static_cast<std::size_t>(*limit);
  }
  if (const auto status = text("status"); !status.empty()) {
    asked.status = job_status_from(status);
    if (!asked.status || !is_terminal(*asked.status)) {
      return refuse(reply, 400, fmt::format("status must be SUCCEEDED or FAILED, not {}", status));
    }
  }
  const auto& queues = state_.cluster().queues;
  const bool known =
      asked.queue.empty() || std::any_of(queues.begin(), queues.end(), [&](const JobQueue& queue) {
        return queue.name.value == asked.queue;
      });
  if (!known) return refuse(reply, 404, fmt::format("job queue {} not found", asked.queue));
  answer(reply, 200, api::render_history(state_, asked));
}

}  // namespace cox::head
