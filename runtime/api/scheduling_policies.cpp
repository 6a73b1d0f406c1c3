#include <algorithm>
#include <boost/json.hpp>

#include "runtime/api/shape_rules.hpp"
#include "runtime/api/shapes.hpp"
#include "runtime/base/text.hpp"

/// Scheduling policies: fair share as data. Limits: API reference, FairsharePolicy.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::size_t kIdentifierMax = 255;

const Shape& fair_share_shape() {
  static const Shape share{required(text("shareIdentifier")),
                           number("weightFactor", 0.0001, 999.9999)};
  static const Shape shape{integer("shareDecaySeconds", 0, 604'800),
                           integer("computeReservation", 0, 99),
                           objects("shareDistribution", share, 0, 500)};
  return shape;
}

/// Letters and digits; as a prefix, with '*' behind them.
bool is_identifier(std::string_view text) {
  if (text.size() > kIdentifierMax) return false;
  if (text.ends_with('*')) text.remove_suffix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  });
}

bool overlap(std::string_view a, std::string_view b) {
  const auto covers = [](std::string_view pattern, std::string_view other) {
    if (other.ends_with('*')) other.remove_suffix(1);
    return pattern.ends_with('*') && other.starts_with(pattern.substr(0, pattern.size() - 1));
  };
  return a == b || covers(a, b) || covers(b, a);
}

/// Sets what `fairsharePolicy` says; what it leaves out has its default again.
void read_fair_share(const json::object& body, SchedulingPolicy& policy,
                     std::optional<Error>& complaint) {
  const auto* given = body.if_contains("fairsharePolicy");
  if (given == nullptr) return;
  const auto& fair = given->as_object();
  policy.decay_s = static_cast<int>(integer_in(fair, "shareDecaySeconds", 0));
  policy.reservation = static_cast<int>(integer_in(fair, "computeReservation", 0));
  policy.shares.clear();
  const auto* shares = fair.if_contains("shareDistribution");
  if (shares == nullptr) return;
  for (const auto& value : shares->as_array()) {
    const auto& entry = value.as_object();
    Share share{text_in(entry, "shareIdentifier"), 1.0};
    if (const auto* weight = entry.if_contains("weightFactor")) share.weight = weight->as_double();
    if (!is_identifier(share.identifier)) {
      complain(complaint,
               fmt::format("shareIdentifier {} must be up to {} letters and digits, with "
                           "a * at the end or not",
                           share.identifier, kIdentifierMax));
    }
    for (const auto& other : policy.shares) {
      if (overlap(other.identifier, share.identifier)) {
        complain(complaint, fmt::format("shareIdentifiers {} and {} overlap", other.identifier,
                                        share.identifier));
      }
    }
    policy.shares.push_back(std::move(share));
  }
}

json::object described(const Arns& arns, const SchedulingPolicy& policy) {
  json::array shares;
  for (const auto& share : policy.shares) {
    shares.push_back(
        json::object{{"shareIdentifier", share.identifier}, {"weightFactor", share.weight}});
  }
  return {{"name", policy.name},
          {"arn", arns.of(kPolicyKind, policy.name)},
          {"fairsharePolicy", json::object{{"shareDecaySeconds", policy.decay_s},
                                           {"computeReservation", policy.reservation},
                                           {"shareDistribution", std::move(shares)}}},
          {"tags", tags_object(policy.tags)}};
}

Answer no_such_policy(std::string_view arn) {
  return client_exception(fmt::format("Scheduling policy {} does not exist", arn));
}

}  // namespace

const SchedulingPolicy* find_policy(const View& view, const Arns& here, std::string_view arn) {
  if (!arn.starts_with("arn:")) return nullptr;
  const auto name = short_name(here, arn, kPolicyKind);
  for (const auto* policy : view.policies()) {
    if (policy->name == name) return policy;
  }
  return nullptr;
}

Outcome create_scheduling_policy(const View& view, const Request& request,
                                 const json::object& asked) {
  static const Shape shape{required(text("name")), object("fairsharePolicy", fair_share_shape()),
                           text_map("tags")};
  std::optional<Error> complaint;
  const auto body = checked(asked, shape, "", complaint);
  if (complaint) return render_error(*complaint);
  if (auto refused = refuse_stranger(request)) return *refused;
  SchedulingPolicy policy;
  policy.name = text_in(body, "name");
  policy.tags = map_in(body, "tags");
  if (!is_name(policy.name)) return refuse_name(policy.name);
  check_tags(policy.tags, complaint);
  read_fair_share(body, policy, complaint);
  const auto here = arns_for(view, request);
  const auto arn = here.of(kPolicyKind, policy.name);
  if (find_policy(view, here, arn) != nullptr) complain(complaint, "Object already exists");
  if (complaint) return render_error(*complaint);
  ChangeCatalog change;
  change.answer = json_answer({{"name", policy.name}, {"arn", arn}});
  change.put.emplace_back(std::move(policy));
  return change;
}

Outcome update_scheduling_policy(const View& view, const Request& request,
                                 const json::object& asked) {
  static const Shape shape{required(text("arn")), object("fairsharePolicy", fair_share_shape())};
  std::optional<Error> complaint;
  const auto body = checked(asked, shape, "", complaint);
  if (complaint) return render_error(*complaint);
  if (auto refused = refuse_stranger(request)) return *refused;
  const auto* found = find_policy(view, arns_for(view, request), text_in(body, "arn"));
  if (found == nullptr) return no_such_policy(text_in(body, "arn"));
  auto policy = *found;
  read_fair_share(body, policy, complaint);
  if (complaint) return render_error(*complaint);
  ChangeCatalog change;
  change.put.emplace_back(std::move(policy));
  change.answer = json_answer({});
  return change;
}

Outcome delete_scheduling_policy(const View& view, const Request& request,
                                 const json::object& asked) {
  static const Shape shape{required(text("arn"))};
  std::optional<Error> complaint;
  const auto body = checked(asked, shape, "", complaint);
  if (complaint) return render_error(*complaint);
  if (auto refused = refuse_stranger(request)) return *refused;
  const auto* found = find_policy(view, arns_for(view, request), text_in(body, "arn"));
  if (found == nullptr) return no_such_policy(text_in(body, "arn"));
  for (const auto& queue : view.cluster().queues) {
    if (queue.policy == found->name) {
      return client_exception("Cannot delete, found existing JobQueue relationship");
    }
  }
  ChangeCatalog change;
  change.gone.push_back(key_of(*found));
  change.answer = json_answer({});
  return change;
}

Answer describe_scheduling_policies(const View& view, const Arns& arns, const json::object& asked) {
  static const Shape shape{required(texts("arns", 0, 100))};
  std::optional<Error> complaint;
  const auto body = checked(asked, shape, "", complaint);
  if (complaint) return render_error(*complaint);
  json::array list;
  for (const auto& arn : texts_in(body, "arns")) {
    if (const auto* policy = find_policy(view, arns, arn)) list.push_back(described(arns, *policy));
  }
  return json_answer({{"schedulingPolicies", std::move(list)}});
}

Answer list_scheduling_policies(const View& view, const Arns& arns, const json::object& asked) {
  static const Shape shape{integer("maxResults", 1, 100), text("nextToken")};
  std::optional<Error> complaint;
  const auto body = checked(asked, shape, "", complaint);
  Pager pager(read_page(body, complaint));
  if (complaint) return render_error(*complaint);
  for (const auto* policy : view.policies()) {
    pager.add(policy->name, [&] {
      return json::object{{"arn", arns.of(kPolicyKind, policy->name)}};
    });
  }
  return pager.answer("schedulingPolicies");
}

}  // namespace cox::api
