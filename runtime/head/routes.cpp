#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "runtime/api/api.hpp"
#include "runtime/base/text.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/head/plain_text.hpp"

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
  return user.uid == 0 || user.uid == job.spec.user.uid;
}

void HeadCore::handle(os::HttpRequest request, const std::shared_ptr<os::HttpReply>& reply) {
  if (!request.peer) return refuse(reply, 403, "who is asking is not known");
  const JobUser user{request.peer->uid, request.peer->gid, user_name(request.peer->uid)};
  if (request.target.starts_with(kOwnRoot)) return handle_own(std::move(request), user, reply);
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
      events.push_back({line.sequence, line.at.value, as_utf8(line.text)});
  }
  send(api::render_log_events(asked, events));
}

void HeadCore::handle_own(os::HttpRequest request, const JobUser& user,
                          const std::shared_ptr<os::HttpReply>& reply) {
  const std::string_view target = request.target;
  const std::string route(
      target.substr(0, target.find('?')).substr(std::string_view(kOwnRoot).size()));
  const auto query = query_of(target);
  if (request.method == "GET") {
    if (route == "cluster") return answer(reply, 200, cluster_json());
    if (route == "nodes") return answer(reply, 200, api::render_nodes(state_));
    if (route == "events") {
      const auto follow = query.find("follow");
      return route_events(follow != query.end() && follow->second == "1", reply);
    }
    if (route == "wait" || route == "output" || route == "explain") {
      return route_of_job(route, query, user, reply);
    }
  }
  if (request.method == "PUT" && route == "blobs")
    return route_blob(std::move(request.body), reply);
  if (request.method == "POST" && route == "layout") return route_layout(request.body, reply);
  if (request.method == "POST" && (route == "fleet" || route == "shutdown")) {
    if (!is_owner(user)) {
      return refuse(reply, 403,
                    fmt::format("only the owner of cluster {} may do this", state_.cluster().name));
    }
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
  json::array reasons;
  json::array blocks;
  for (const auto& block : state_.blocks(job.id)) {
    const auto sentence = core::to_sentence(block);
    reasons.emplace_back(sentence);
    json::object shown{{"kind", core::to_string(block.kind)},
                       {"text", sentence},
                       {"computeEnvironment", block.environment.value},
                       {"wanted", block.wanted},
                       {"have", block.have}};
    if (!block.by.empty()) shown["jobId"] = block.by.value;
    if (!block.note.empty()) shown["note"] = block.note;
    blocks.push_back(std::move(shown));
  }
  answer(reply, 200,
         json::serialize(
             json::object{{"reasons", std::move(reasons)}, {"blocks", std::move(blocks)}}));
}

}  // namespace cox::head
