#include <boost/json.hpp>

#include "runtime/api/shape_rules.hpp"
#include "runtime/api/shapes.hpp"
#include "runtime/base/text.hpp"

/// ListTagsForResource, TagResource and UntagResource: /v1/tags/{arn}.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::string_view kRoot = "/v1/tags/";

std::optional<std::string> percent_decoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const auto digits = to_lower(text.substr(i + 1, 2));
    if (digits.size() != 2) return std::nullopt;
    const auto high = kDigits.find(digits[0]);
    const auto low = kDigits.find(digits[1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

/// Whose tags are asked for.
struct Tagged {
  std::map<std::string, std::string> tags;
  std::optional<CatalogItem> item;
  std::optional<JobId> job;
  bool may_change = true;
};

std::optional<Tagged> find_tagged(const View& view, const Request& request,
                                  const std::string& arn) {
  const auto pieces = split(arn, ':');
  if (pieces.size() < 6 || pieces[0] != "arn" || pieces[2] != "batch") return std::nullopt;
  const auto kind = pieces[5].substr(0, pieces[5].find('/'));
  const auto here = arns_for(view, request);
  const auto name = short_name(here, arn, kind);
  if (kind == "job") {
    const auto* job = view.find(JobId{name});
    if (job == nullptr || !may_see(*job, request.user)) return std::nullopt;
    return Tagged{job->spec->tags, std::nullopt, job->id, true};
  }
  if (kind == kPolicyKind) {
    const auto* policy = find_policy(view, here, arn);
    if (policy == nullptr) return std::nullopt;
    return Tagged{policy->tags, *policy, std::nullopt, request.owner};
  }
  for (const auto& each : view.cluster().queues) {
    if (kind != kQueueKind || each.name.value != name) continue;
    return Tagged{each.tags, each, std::nullopt, request.owner};
  }
  for (const auto& each : view.cluster().environments) {
    if (kind != kEnvironmentKind || each.name.value != name) continue;
    return Tagged{each.tags, each, std::nullopt, request.owner};
  }
  if (kind != kDefinitionKind) return std::nullopt;
  const auto colon = name.find(':');
  const auto revision = colon == std::string::npos ? std::nullopt : to_int(name.substr(colon + 1));
  if (!revision || *revision < 1 || *revision > std::numeric_limits<int>::max()) {
    return std::nullopt;
  }
  const auto* found = view.definition(name.substr(0, colon), static_cast<int>(*revision));
  if (found != nullptr) {
    return Tagged{found->tags, *found, std::nullopt,
                  request.owner || found->owner.uid == request.user.uid};
  }
  // The cluster's own: they have no tags, and get none.
  if (find_definition(view, here, arn)) return Tagged{{}, std::nullopt, std::nullopt, true};
  return std::nullopt;
}

Outcome with_tags(const Request& request, Tagged tagged) {
  if (!tagged.may_change) {
    auto stranger = request;
    stranger.owner = false;
    return refuse_stranger(stranger).value();
  }
  if (tagged.job) return TagJob{*tagged.job, std::move(tagged.tags), json_answer({})};
  if (!tagged.item) return client_exception("The cluster's own job definitions take no tags");
  std::visit([&](auto& item) { item.tags = std::move(tagged.tags); }, *tagged.item);
  ChangeCatalog change;
  change.put.push_back(std::move(*tagged.item));
  change.answer = json_answer({});
  return change;
}

/// tagKeys of the query, one or more.
std::vector<std::string> keys_in(std::string_view query) {
  std::vector<std::string> keys;
  for (const auto& pair : split(query, '&')) {
    constexpr std::string_view kName = "tagKeys=";
    if (!pair.starts_with(kName)) continue;
    auto value = pair.substr(kName.size());
    for (char& c : value) {
      if (c == '+') c = ' ';
    }
    if (auto key = percent_decoded(value)) keys.push_back(std::move(*key));
  }
  return keys;
}

}  // namespace

Outcome handle_tags(const View& view, const Request& request, const json::object& asked) {
  const std::string_view target = request.target;
  const auto mark = target.find('?');
  const auto arn = percent_decoded(target.substr(0, mark).substr(kRoot.size()));
  auto tagged = arn ? find_tagged(view, request, *arn) : std::nullopt;
  if (!tagged) {
    return client_exception(fmt::format("Resource {} does not exist", arn.value_or("")));
  }
  if (request.method == "GET") return json_answer({{"tags", tags_object(tagged->tags)}});
  std::optional<Error> complaint;
  if (request.method == "POST") {
    static const Shape shape{required(text_map("tags"))};
    const auto body = checked(asked, shape, "", complaint);
    for (const auto& [key, value] : map_in(body, "tags")) tagged->tags[key] = value;
    check_tags(tagged->tags, complaint);
    if (tagged->item && std::holds_alternative<JobQueue>(*tagged->item)) {
      check_running_limit(tagged->tags, complaint);
    }
  } else {
    const auto keys = keys_in(mark == std::string_view::npos ? "" : target.substr(mark + 1));
    if (keys.empty() || keys.size() > 50) {
      complain(complaint, "tagKeys must have from 1 to 50 members");
    }
    for (const auto& key : keys) tagged->tags.erase(key);
  }
  if (complaint) return render_error(*complaint);
  return with_tags(request, std::move(*tagged));
}

}  // namespace cox::api
