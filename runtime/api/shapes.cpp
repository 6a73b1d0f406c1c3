#include "runtime/api/shapes.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "runtime/base/text.hpp"

namespace cox::api {

namespace json = boost::json;

const json::value* Members::find(std::string_view name) const {
  const auto found = object_.find(name);
  if (found == object_.end() || found->value().is_null()) return nullptr;
  return &found->value();
}

void Members::complain(std::string text) const {
  if (!complaint_) complaint_ = Error{Errc::invalid_argument, std::move(text)};
}

bool Members::has(std::string_view name) const { return find(name) != nullptr; }

std::optional<std::string> Members::text(std::string_view name) const {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    complain(fmt::format("{}{} must be a string", place_, name));
    return std::nullopt;
  }
  return std::string(value->get_string());
}

std::string Members::required_text(std::string_view name) const {
  auto value = text(name);
  if (!value || value->empty()) complain(fmt::format("{}{} must not be empty", place_, name));
  return value.value_or("");
}

std::optional<std::int64_t> Members::integer(std::string_view name) const {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  boost::system::error_code error;
  const auto number = value->to_number<std::int64_t>(error);
  if (error) {
    complain(fmt::format("{}{} must be an integer", place_, name));
    return std::nullopt;
  }
  return number;
}

std::optional<bool> Members::boolean(std::string_view name) const {
  const auto* value = find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_bool()) {
    complain(fmt::format("{}{} must be a boolean", place_, name));
    return std::nullopt;
  }
  return value->get_bool();
}

std::vector<std::string> Members::texts(std::string_view name) const {
  std::vector<std::string> list;
  const auto* value = find(name);
  if (value == nullptr) return list;
  if (!value->is_array()) {
    complain(fmt::format("{}{} must be a list", place_, name));
    return list;
  }
  for (const auto& item : value->get_array()) {
    if (!item.is_string()) {
      complain(fmt::format("{}{} must be a list of strings", place_, name));
      return list;
    }
    list.emplace_back(item.get_string());
  }
  return list;
}

const json::object* Members::object(std::string_view name) const {
  const auto* value = find(name);
  if (value == nullptr) return nullptr;
  if (!value->is_object()) complain(fmt::format("{}{} must be an object", place_, name));
  return value->if_object();
}

std::vector<const json::object*> Members::objects(std::string_view name) const {
  std::vector<const json::object*> list;
  const auto* value = find(name);
  if (value == nullptr) return list;
  if (!value->is_array()) {
    complain(fmt::format("{}{} must be a list", place_, name));
    return list;
  }
  for (const auto& item : value->get_array()) {
    if (!item.is_object()) {
      complain(fmt::format("{}{} must be a list of objects", place_, name));
      return list;
    }
    list.push_back(&item.get_object());
  }
  return list;
}

namespace {

std::string_view partition_of(std::string_view region) {
  if (region.starts_with("cn-")) return "aws-cn";
  if (region.starts_with("us-gov-")) return "aws-us-gov";
  return "aws";
}

}  // namespace

std::string Arns::of(std::string_view kind, std::string_view name) const {
  return fmt::format("arn:{}:batch:{}:{}:{}/{}", partition_of(region), region, account, kind, name);
}

std::string Arns::ecs(std::string_view kind, std::string_view name) const {
  return fmt::format("arn:{}:ecs:{}:{}:{}/{}", partition_of(region), region, account, kind, name);
}

std::string Arns::logs() const {
  return fmt::format("arn:{}:logs:{}:{}:log-group", partition_of(region), region, account);
}

Arns arns_for(const View& view, const Request& request) {
  const auto& cluster = view.cluster();
  return {request.region.empty() ? cluster.region : request.region, cluster.account};
}

std::string short_name(const Arns& here, std::string_view name_or_arn, std::string_view kind) {
  if (!name_or_arn.starts_with("arn:")) return std::string(name_or_arn);
  const auto before = here.of(kind, "");
  return std::string(name_or_arn.substr(name_or_arn.starts_with(before) ? before.size() : 0));
}

bool is_asked_for(const Arns& here, const std::vector<std::string>& asked, std::string_view kind,
                  std::string_view name) {
  return asked.empty() || std::any_of(asked.begin(), asked.end(), [&](const std::string& each) {
           return short_name(here, each, kind) == name;
         });
}

std::string serial_definition(const ClusterSettings& cluster) {
  return cluster.name + "-JobDefinition";
}

std::string multi_node_definition(const ClusterSettings& cluster) {
  return cluster.name + "-JobDefinitionMNP";
}

bool may_see(const Job& job, const JobUser& user) {
  return user.uid == 0 || user.uid == job.spec->user->uid;
}

Answer json_answer(const json::object& body) { return {200, json::serialize(body), ""}; }

Answer client_exception(std::string_view message) {
  return {400, json::serialize(json::object{{"message", message}}), "ClientException"};
}

}  // namespace cox::api
