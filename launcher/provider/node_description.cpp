#include "launcher/provider/node_description.hpp"

#include <boost/json.hpp>

#include "launcher/provider/address_plan.hpp"
#include "runtime/base/text.hpp"

namespace cox::provider {
namespace {

namespace json = boost::json;

std::string text_at(const json::object& object, const char* name) {
  return std::string(object.at(name).as_string());
}

json::array render_shared(const NodeRoot& root) {
  json::array shared;
  for (const auto& [here, there] : root.shared) shared.push_back(json::array{here, there});
  return shared;
}

NodeRoot read_root(const json::object& object) {
  NodeRoot root{.home_directory = text_at(object, "home"),
                .os_user = text_at(object, "osUser"),
                .api_directory = text_at(object, "api"),
                .bin_directory = text_at(object, "bin"),
                .hosts_file = text_at(object, "hosts"),
                .hostname_file = text_at(object, "hostnameFile"),
                .scratch_directory = text_at(object, "scratch"),
                .cgroup_directory = text_at(object, "cgroup"),
                .shared = {}};
  for (const json::value& pair : object.at("shared").as_array()) {
    const json::array& words = pair.as_array();
    root.shared.emplace_back(words.at(0).as_string(), words.at(1).as_string());
  }
  return root;
}

}  // namespace

std::string render_description(const NodeDescription& description) {
  const NodeRoot& root = description.root;
  const json::object object = {
      {"id", description.id.value},
      {"directory", description.directory},
      {"hostname", description.hostname},
      {"home", root.home_directory},
      {"osUser", root.os_user},
      {"api", root.api_directory},
      {"bin", root.bin_directory},
      {"hosts", root.hosts_file},
      {"hostnameFile", root.hostname_file},
      {"scratch", root.scratch_directory},
      {"cgroup", root.cgroup_directory},
      {"shared", render_shared(root)},
      {"link", description.link.link_name},
      {"address", description.link.address},
      {"mac", description.link.mac},
      {"agent", description.agent_options},
  };
  return json::serialize(object);
}

Result<NodeDescription> parse_description(const std::string& text) {
  try {
    const json::value parsed = json::parse(text);
    const json::object& object = parsed.as_object();
    return NodeDescription{.id = NodeId{text_at(object, "id")},
                           .directory = text_at(object, "directory"),
                           .hostname = text_at(object, "hostname"),
                           .root = read_root(object),
                           .link = {.link_name = text_at(object, "link"),
                                    .address = text_at(object, "address"),
                                    .mac = text_at(object, "mac")},
                           .agent_options = text_at(object, "agent")};
  } catch (const std::exception& error) {
    return fail(Errc::invalid_argument, "the node's description cannot be read: {}", error.what());
  }
}

std::string render_agent_options(const AgentDescription& agent) {
  const json::object object = {
      {"node", agent.node},
      {"cluster", agent.cluster},
      {"head_address", kHeadAddress},
      {"head_port", agent.head_port},
      {"certificate", agent.certificate},
      {"private_key", agent.private_key},
      {"ca_certificate", agent.ca_certificate},
      {"address", agent.address},
      {"hostname", agent.hostname},
      {"instance_type", agent.instance_type},
      {"region", agent.region},
      {"scratch", "/run/coxswain/scratch"},
      {"socket", "/run/coxswain/agent.sock"},
      {"bin_dir", "/run/coxswain/bin"},
      {"mpi_bin_dir", "/usr/lib64/openmpi/bin"},
      {"cgroup", agent.cgroup ? "/run/coxswain/cgroup" : ""},
      {"vcpus", agent.vcpus},
      {"memory_mib", agent.memory_mib},
      {"first_process", true},
      {"metadata", true},
      {"os_home", "/home/" + agent.os_user},
  };
  return json::serialize(object);
}

std::string render_outcome(const Result<BringUpOutcome>& outcome) {
  if (!outcome) return "error " + outcome.error().message;
  return fmt::format("ok {} {}", outcome->pid, outcome->steps);
}

Result<BringUpOutcome> parse_outcome(const std::string& text) {
  const auto blank = text.find(' ');
  const std::string word = text.substr(0, blank);
  const std::string rest = blank == std::string::npos ? "" : text.substr(blank + 1);
  if (word == "error") return fail(Errc::unavailable, "{}", rest);
  const auto second = rest.find(' ');
  const auto pid = to_int(rest.substr(0, second));
  if (word != "ok" || !pid || *pid <= 0 || *pid > 0x7fffffff) {
    return fail(Errc::unavailable, "coxd ended while it brought the node up");
  }
  return BringUpOutcome{static_cast<int>(*pid),
                        second == std::string::npos ? "" : rest.substr(second + 1)};
}

}  // namespace cox::provider
