#include <algorithm>
#include <boost/json.hpp>

#include "runtime/api/shapes.hpp"
#include "runtime/api/sigv4.hpp"

/// Ours: a client token makes SubmitJob idempotent. It is a member of the request, named and
/// limited as that of AWS's SubmitServiceJob, or a header, for clients that know their members.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::size_t kTokenMax = 64;
constexpr const char* kMember = "clientToken";

/// The value with members in the order of their names, whatever their order was.
void write_sorted(const json::value& value, std::string& text) {
  if (const auto* object = value.if_object()) {
    std::vector<const json::key_value_pair*> members;
    for (const auto& member : *object) members.push_back(&member);
    std::sort(members.begin(), members.end(),
              [](const auto* a, const auto* b) { return a->key() < b->key(); });
    text += '{';
    for (const auto* member : members) {
      text += json::serialize(json::value(member->key()));
      text += ':';
      write_sorted(member->value(), text);
      text += ',';
    }
    text += '}';
  } else if (const auto* array = value.if_array()) {
    text += '[';
    for (const auto& each : *array) {
      write_sorted(each, text);
      text += ',';
    }
    text += ']';
  } else {
    text += json::serialize(value);
  }
}

}  // namespace

Result<ClientToken> read_client_token(const Request& request, const json::object& body) {
  ClientToken token{request.client_token, ""};
  if (const auto* member = body.if_contains(kMember); member != nullptr && !member->is_null()) {
    if (!member->is_string()) return fail(Errc::invalid_argument, "{} must be a text", kMember);
    const std::string given(member->as_string());
    if (!token.token.empty() && token.token != given) {
      return fail(Errc::invalid_argument, "{} and the header X-Coxswain-Client-Token differ",
                  kMember);
    }
    if (given.empty()) return fail(Errc::invalid_argument, "{} must not be empty", kMember);
    token.token = given;
  }
  if (token.token.empty()) return token;
  const bool is_plain = std::all_of(token.token.begin(), token.token.end(),
                                    [](char c) { return c >= 0x21 && c <= 0x7e; });
  if (!is_plain || token.token.size() > kTokenMax) {
    return fail(Errc::invalid_argument, "{} must be 1 to {} characters of ASCII, without blanks",
                kMember, kTokenMax);
  }
  auto rest = body;
  rest.erase(kMember);
  std::string text;
  write_sorted(rest, text);
  token.digest = sha256_hex(text);
  return token;
}

std::optional<Answer> submitted_before(const View& view, const Request& request,
                                       const ClientToken& token) {
  if (token.token.empty()) return std::nullopt;
  const auto* job = view.submitted_with(request.user.uid, token.token);
  if (job == nullptr) return std::nullopt;
  if (job->spec->request_digest == token.digest) {
    return render_submitted(view, job->id, job->spec, request.region);
  }
  return client_exception(fmt::format(
      "clientToken {} was used for job {}, and that request was another one: take a new token, or "
      "send the same request",
      token.token, job->id));
}

}  // namespace cox::api
