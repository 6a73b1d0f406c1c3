#include <algorithm>
#include <boost/json.hpp>

#include "runtime/head/head_core.hpp"
#include "runtime/mpi/launch_plan.hpp"

/// The dry run of --mpi: which rank would go to which node and cores.
namespace cox::head {

namespace json = boost::json;

namespace {

int int_member(const json::object& object, std::string_view name, int absent) {
  const auto* value = object.if_contains(name);
  if (value == nullptr) return absent;
  boost::system::error_code error;
  const auto number = value->to_number<std::int64_t>(error);
  return error || number < 0 || number > 1'000'000 ? absent : static_cast<int>(number);
}

std::string text_member(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

}  // namespace

void HeadCore::route_layout(const std::string& body, const std::shared_ptr<os::HttpReply>& reply) {
  const auto bad = [&](std::string_view text) { refuse(reply, 400, text); };
  boost::system::error_code error;
  const auto parsed = json::parse(body, error);
  if (error || !parsed.is_object()) return bad("the request body is not a JSON object");
  const auto& asked = parsed.get_object();
  JobSpec spec;
  spec.nodes = std::max(1, int_member(asked, "nodes", 1));
  spec.vcpus = std::max(1, int_member(asked, "vcpus", 1));
  spec.memory = MiB{int_member(asked, "memory", 128)};
  const mpi::Layout layout{int_member(asked, "ranksPerNode", 0), text_member(asked, "mapBy"),
                           text_member(asked, "bindTo")};
  const auto& environments = state_.cluster().environments;
  const auto fit =
      environments.empty() ? std::nullopt : core::smallest_fit(environments.front(), spec);
  if (!fit) return bad("no instance type of the cluster can ever hold this job");

  std::vector<mpi::NodeShape> shapes;
  std::vector<std::pair<std::string, std::string>> names;  // node, host
  json::array notes;
  for (const auto* node : state_.nodes()) {
    const bool usable = node->ordinal != 0 && node->status == NodeStatus::up &&
                        node->vcpus >= spec.vcpus && node->memory >= spec.memory;
    if (!usable || shapes.size() == static_cast<std::size_t>(*spec.nodes)) continue;
    const int slots = int_member(asked, "slotsPerNode", 0);
    const auto& topology = sessions_.at(node->id).topology;
    shapes.push_back({{node->address, slots > 0 ? slots : node->vcpus},
                      topology.cores.empty() ? mpi::flat_topology(node->vcpus, 1) : topology});
    names.emplace_back(node->id.value, node->hostname);
  }
  while (shapes.size() < static_cast<std::size_t>(*spec.nodes)) {
    shapes.push_back({{fmt::format("node-{}", shapes.size()), fit->type.vcpus},
                      mpi::flat_topology(fit->type.vcpus, 1)});
    names.emplace_back("", fmt::format("a new {}", fit->type.name));
    notes.emplace_back(fmt::format("node {} is not up yet: it will be a new {}", shapes.size() - 1,
                                   fit->type.name));
  }
  const auto places = mpi::place_ranks(shapes, layout);
  if (!places) return bad(places.error().message);
  json::array ranks;
  for (const auto& place : *places) {
    const auto& [node, host] = names[static_cast<std::size_t>(place.node_index)];
    json::array cores;
    for (const int core : place.cores) cores.emplace_back(core);
    ranks.push_back(json::object{{"rank", place.rank},
                                 {"nodeIndex", place.node_index},
                                 {"node", node},
                                 {"host", host},
                                 {"cores", std::move(cores)}});
  }
  answer(reply, 200,
         json::serialize(json::object{{"ranks", std::move(ranks)}, {"notes", std::move(notes)}}));
}

}  // namespace cox::head
