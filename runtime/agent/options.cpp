#include <boost/json.hpp>

#include "runtime/agent/agent.hpp"

namespace cox::agent {

namespace json = boost::json;

Result<AgentOptions> parse_options(const std::string& text) {
  boost::system::error_code error;
  const auto parsed = json::parse(text, error);
  if (error || !parsed.is_object()) {
    return fail(Errc::invalid_argument, "the agent's options are not a JSON object");
  }
  const auto& object = parsed.get_object();
  const auto word = [&](const char* name, std::string absent = "") {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : absent;
  };
  const auto number = [&](const char* name) {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_int64() ? value->get_int64() : std::int64_t{0};
  };
  const auto flag = [&](const char* name) {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_bool() && value->get_bool();
  };
  AgentOptions options;
  options.node = NodeId{word("node")};
  options.cluster = word("cluster");
  options.head_address = word("head_address");
  options.head_port = static_cast<int>(number("head_port"));
  options.identity = {word("certificate"), word("private_key"), word("ca_certificate")};
  options.address = word("address");
  options.hostname = word("hostname");
  options.instance_type = word("instance_type");
  options.region = word("region");
  options.scratch = word("scratch");
  options.socket = word("socket");
  options.bin_dir = word("bin_dir");
  options.mpi_bin_dir = word("mpi_bin_dir");
  options.cgroup = word("cgroup");
  options.vcpus = static_cast<int>(number("vcpus"));
  options.memory_mib = number("memory_mib");
  options.first_process = flag("first_process");
  options.metadata = flag("metadata");
  options.os_home = word("os_home");
  options.head_file = word("head_file");
  options.node_bin_dir = word("node_bin_dir", "/run/coxswain/node-bin");
  options.shared_memory = word("shared_memory");
  options.network = word("network");
  options.topology_file = word("topology_file", "/run/coxswain/scratch/topology.xml");
  options.leave_after_s = static_cast<int>(number("leave_after_s"));
  options.own_user = flag("own_user");
  options.whole_machine = flag("whole_machine");
  options.ended_together = flag("ended_together");
  const bool has_head = !options.head_address.empty() || !options.head_file.empty();
  if (options.node.empty() || !has_head || options.scratch.empty() || options.socket.empty()) {
    return fail(Errc::invalid_argument,
                "the agent's options lack one of node, head_address, scratch, socket");
  }
  return options;
}

}  // namespace cox::agent
