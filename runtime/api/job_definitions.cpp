#include <algorithm>
#include <boost/json.hpp>

#include "runtime/api/container_shapes.hpp"
#include "runtime/api/shapes.hpp"
#include "runtime/base/text.hpp"

/// Job definitions: registered, found for a submission, described and ended.
/// Limits: AWS Batch API reference, RegisterJobDefinition.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::int64_t kInactiveShownMs = 180LL * 24 * 3600 * 1000;  // AWS Batch: 180 days

constexpr std::size_t kRegisterBytesMax = 24 * 1024;
constexpr int kRangesMax = 5;
constexpr int kNodesMax = 1000;

const Shape& register_shape() {
  static const Shape range{required(text("targetNodes")), object("container", container_shape())};
  static const Shape nodes{required(integer("numNodes", 1, kNodesMax)),
                           required(integer("mainNode", 0, kNodesMax - 1)),
                           required(objects("nodeRangeProperties", range, 1, kRangesMax))};
  static const Shape shape{required(text("jobDefinitionName")),
                           required(word("type", {"container", "multinode"})),
                           text_map("parameters"),
                           integer("schedulingPriority", 0, 9999),
                           object("containerProperties", container_shape()),
                           object("nodeProperties", nodes),
                           object("retryStrategy", retry_shape()),
                           boolean("propagateTags"),
                           object("timeout", timeout_shape()),
                           text_map("tags"),
                           words("platformCapabilities", {"EC2", "FARGATE"})};
  return shape;
}

/// Lists that were not given are described as empty ones.
void fill_lists(json::object& container) {
  for (const char* name : {"command", "environment", "volumes", "mountPoints", "ulimits",
                           "resourceRequirements", "secrets"}) {
    if (!container.contains(name)) container[name] = json::array{};
  }
}

void check_nodes(json::object& properties, bool in_containers, std::optional<Error>& complaint) {
  const int nodes = static_cast<int>(integer_in(properties, "numNodes", 1));
  if (integer_in(properties, "mainNode", 0) >= nodes) {
    complain(complaint, "nodeProperties.mainNode must be below numNodes");
  }
  std::vector<int> covered(static_cast<std::size_t>(nodes), 0);
  for (auto& value : properties["nodeRangeProperties"].as_array()) {
    auto& range = value.as_object();
    const auto target = text_in(range, "targetNodes");
    const auto span = read_span(target, nodes);
    if (!span) {
      complain(complaint, fmt::format("targetNodes {} is no range of {} nodes", target, nodes));
      return;
    }
    for (int i = span->first; i <= span->last; ++i) covered[static_cast<std::size_t>(i)] = 1;
    if (!range.contains("container")) {
      complain(complaint, fmt::format("Container properties of nodes {} must be given", target));
      return;
    }
    auto& container = range["container"].as_object();
    check_container(container, in_containers, complaint);
    fill_lists(container);
  }
  if (std::find(covered.begin(), covered.end(), 0) != covered.end()) {
    complain(complaint, "nodeRangeProperties must cover all nodes");
  }
}

void check_kind(const json::object& asked, json::object& body, bool in_containers,
                std::optional<Error>& complaint) {
  const bool multi_node = text_in(body, "type") == "multinode";
  const char* wanted = multi_node ? "nodeProperties" : "containerProperties";
  const char* other = multi_node ? "containerProperties" : "nodeProperties";
  refuse_members(asked, {"eksProperties", "ecsProperties", "consumableResourceProperties"},
                 complaint);
  const auto platforms = texts_in(body, "platformCapabilities");
  if (std::find(platforms.begin(), platforms.end(), "FARGATE") != platforms.end()) {
    complain(complaint, "platformCapabilities: this cluster has no FARGATE");
  }
  if (body.contains(other)) {
    complain(complaint, fmt::format("{} can't be used with type {}", other, text_in(body, "type")));
  }
  if (!body.contains(wanted)) {
    complain(complaint,
             fmt::format("{} must be given with type {}", wanted, text_in(body, "type")));
  }
  if (complaint) return;
  auto& properties = body[wanted].as_object();
  if (multi_node) return check_nodes(properties, in_containers, complaint);
  check_container(properties, in_containers, complaint);
  fill_lists(properties);
}

/// The retry strategy as it is described: attempts and conditions, actions in lower case.
void settle_retry(json::object& body, std::optional<Error>& complaint) {
  auto* retry = body.if_contains("retryStrategy");
  if (retry == nullptr) return;
  auto& strategy = retry->as_object();
  (void)exit_rules_in(strategy, complaint);
  if (!strategy.contains("attempts")) strategy["attempts"] = 1;
  if (!strategy.contains("evaluateOnExit")) strategy["evaluateOnExit"] = json::array{};
  for (auto& condition : strategy["evaluateOnExit"].as_array()) {
    auto& action = condition.as_object()["action"];
    action = to_lower(action.as_string());
  }
}

bool is_own_name(const ClusterSettings& cluster, std::string_view name) {
  return name == serial_definition(cluster) || name == multi_node_definition(cluster);
}

/// The cluster's own definition of that name, or nothing. They have one revision.
std::optional<FoundDefinition> own_definition(const ClusterSettings& cluster,
                                              std::string_view name) {
  if (!is_own_name(cluster, name)) return std::nullopt;
  const bool multi_node = name == multi_node_definition(cluster);
  json::object container{{"vcpus", 1}, {"memory", 512}, {"privileged", true}};
  fill_lists(container);
  json::object body{{"type", multi_node ? "multinode" : "container"},
                    {"parameters", json::object{}},
                    {"containerOrchestrationType", "ECS"}};
  if (multi_node) {
    json::object range{{"targetNodes", "0:"}, {"container", std::move(container)}};
    body["nodeProperties"] = json::object{
        {"numNodes", 1}, {"mainNode", 0}, {"nodeRangeProperties", json::array{std::move(range)}}};
  } else {
    body["containerProperties"] = std::move(container);
  }
  return FoundDefinition{std::string(name), 1, json::serialize(body)};
}

struct NameAndRevision {
  std::string name;
  int revision = 0;  ///< 0: none was given
};

std::optional<NameAndRevision> parse_definition(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) return NameAndRevision{text, 0};
  const auto revision = to_int(std::string_view(text).substr(colon + 1));
  if (!revision || *revision < 1 || *revision > std::numeric_limits<int>::max() ||
      std::to_string(*revision) != text.substr(colon + 1)) {
    return std::nullopt;
  }
  return NameAndRevision{text.substr(0, colon), static_cast<int>(*revision)};
}

json::object described(const Arns& arns, const std::string& name, int revision, bool active,
                       const std::string& body, const std::map<std::string, std::string>& tags) {
  auto shown = json::parse(body).as_object();
  shown["jobDefinitionName"] = name;
  shown["jobDefinitionArn"] = arns.of(kDefinitionKind, fmt::format("{}:{}", name, revision));
  shown["revision"] = revision;
  shown["status"] = active ? "ACTIVE" : "INACTIVE";
  shown["tags"] = tags_object(tags);
  return shown;
}

bool is_meant(const Arns& here, const std::vector<std::string>& asked, const std::string& name,
              int revision) {
  return asked.empty() || std::any_of(asked.begin(), asked.end(), [&](const std::string& each) {
           const auto given = parse_definition(short_name(here, each, kDefinitionKind));
           return given && given->name == name &&
                  (given->revision == 0 || given->revision == revision);
         });
}

}  // namespace

std::optional<FoundDefinition> find_definition(const View& view, const Arns& here,
                                               std::string_view given) {
  const auto asked = parse_definition(short_name(here, given, kDefinitionKind));
  if (!asked) return std::nullopt;
  if (auto own = own_definition(view.cluster(), asked->name)) {
    if (asked->revision > 1) return std::nullopt;
    return own;
  }
  const auto* found = view.definition(asked->name, asked->revision);
  if (found == nullptr || !found->active) return std::nullopt;
  return FoundDefinition{found->name, found->revision, found->body};
}

bool is_own_definition(const ClusterSettings& cluster, std::string_view definition) {
  return is_own_name(cluster, definition.substr(0, definition.find(':')));
}

json::object definition_body(const View& view, std::string_view definition) {
  const auto asked = parse_definition(std::string(definition));
  if (!asked) return {};
  if (const auto own = own_definition(view.cluster(), asked->name)) {
    return json::parse(own->body).as_object();
  }
  const auto* found = view.definition(asked->name, asked->revision);
  return found == nullptr ? json::object{} : json::parse(found->body).as_object();
}

json::object container_of_node(const json::object& body, int node_index, int nodes) {
  const auto* properties = body.if_contains("nodeProperties");
  if (properties == nullptr) return {};
  const json::object* best = nullptr;
  int width = 0;
  for (const auto& value : properties->as_object().at("nodeRangeProperties").as_array()) {
    const auto& range = value.as_object();
    const auto span = read_span(text_in(range, "targetNodes"), nodes);
    if (!span || node_index < span->first || node_index > span->last) continue;
    if (best != nullptr && span->last - span->first >= width) continue;
    best = &range.at("container").as_object();
    width = span->last - span->first;
  }
  return best == nullptr ? json::object{} : *best;
}

Outcome register_job_definition(const View& view, const Request& request,
                                const json::object& asked) {
  if (request.body.size() > kRegisterBytesMax) {
    return client_exception(fmt::format("Request is larger than {} bytes", kRegisterBytesMax));
  }
  std::optional<Error> complaint;
  auto body = checked(asked, register_shape(), "", complaint);
  if (complaint) return render_error(*complaint);
  const auto name = text_in(body, "jobDefinitionName");
  if (!is_name(name)) return refuse_name(name);
  if (own_definition(view.cluster(), name)) {
    return client_exception(fmt::format("Job definition {} is the cluster's own", name));
  }
  JobDefinition made;
  made.name = name;
  made.revision = view.last_revision(name) + 1;
  made.owner = request.user;
  made.tags = map_in(body, "tags");
  check_tags(made.tags, complaint);
  check_kind(asked, body, view.cluster().containers, complaint);
  settle_retry(body, complaint);
  if (!complaint && view.cluster().containers && !view.has_podman()) {
    complain(
        complaint,
        "Container image can't be run: podman or crun is not installed here. Install both, or set "
        "Coxswain: Containers: host in the cluster's file to run commands without their image");
  }
  if (complaint) return render_error(*complaint);
  for (const char* member : {"jobDefinitionName", "tags"}) body.erase(member);
  if (!body.contains("parameters")) body["parameters"] = json::object{};
  if (!body.contains("platformCapabilities")) body["platformCapabilities"] = json::array{"EC2"};
  body["containerOrchestrationType"] = "ECS";
  made.body = json::serialize(body);

  const auto arn = arns_for(view, request).of(kDefinitionKind, key_of(made).name);
  ChangeCatalog change;
  change.answer = json_answer(
      {{"jobDefinitionName", name}, {"jobDefinitionArn", arn}, {"revision", made.revision}});
  change.put.emplace_back(std::move(made));
  return change;
}

Outcome deregister_job_definition(const View& view, const Request& request,
                                  const json::object& asked) {
  static const Shape shape{required(text("jobDefinition"))};
  std::optional<Error> complaint;
  const auto body = checked(asked, shape, "", complaint);
  if (complaint) return render_error(*complaint);
  const auto given = text_in(body, "jobDefinition");
  const auto which = parse_definition(short_name(arns_for(view, request), given, kDefinitionKind));
  if (!which || which->revision == 0) {
    return client_exception(
        fmt::format("jobDefinition {} must be a name with a revision, or an ARN", given));
  }
  if (own_definition(view.cluster(), which->name)) {
    return client_exception(fmt::format("Job definition {} is the cluster's own", which->name));
  }
  const auto* found = view.definition(which->name, which->revision);
  if (found == nullptr) {
    return client_exception(
        fmt::format("Job definition {}:{} does not exist", which->name, which->revision));
  }
  if (found->owner.uid != request.user.uid && !request.owner)
    return refuse_stranger(request).value();
  if (!found->active) return json_answer({});
  auto ended = *found;
  ended.active = false;
  ended.deregistered_at = request.now;
  ChangeCatalog change;
  change.put.emplace_back(std::move(ended));
  change.answer = json_answer({});
  return change;
}

Answer describe_job_definitions(const View& view, const Request& request,
                                const json::object& object) {
  const auto arns = arns_for(view, request);
  static const Shape shape{texts("jobDefinitions", 0, 100), text("jobDefinitionName"),
                           text("status"), integer("maxResults", 1, 100), text("nextToken")};
  std::optional<Error> complaint;
  const auto body = checked(object, shape, "", complaint);
  const auto page = read_page(body, complaint);
  if (complaint) return render_error(*complaint);
  const auto asked = texts_in(body, "jobDefinitions");
  const auto name = short_name(arns, text_in(body, "jobDefinitionName"), kDefinitionKind);
  const auto status = text_in(body, "status");
  Pager pager(page);
  const auto consider = [&](const std::string& each, int revision, bool active,
                            const std::string& content,
                            const std::map<std::string, std::string>& tags) {
    if (!is_meant(arns, asked, each, revision) || (!name.empty() && name != each)) return;
    if (!status.empty() && status != (active ? "ACTIVE" : "INACTIVE")) return;
    // Zeros before the revision: keys are in order as texts.
    pager.add(fmt::format("{}:{:010}", each, revision),
              [&] { return described(arns, each, revision, active, content, tags); });
  };
  for (const auto& own :
       {serial_definition(view.cluster()), multi_node_definition(view.cluster())}) {
    consider(own, 1, true, own_definition(view.cluster(), own)->body, {});
  }
  for (const auto* each : view.definitions()) {
    const bool is_long_gone =
        !each->active && request.now - each->deregistered_at > kInactiveShownMs;
    if (is_long_gone) continue;
    consider(each->name, each->revision, each->active, each->body, each->tags);
  }
  return pager.answer("jobDefinitions");
}

}  // namespace cox::api
