#pragma once

#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "runtime/mpi/launch_plan.hpp"
#include "runtime/mpi/topology.hpp"

namespace cox::mpi {

/// The machines of tests/topologies, without ".xml".
inline const char* const kMachines[] = {
    "c4.large",    "c5.18xlarge",    "dual-socket-numa2", "hpc6a.48xlarge", "hybrid-6p6e",
    "laptop-4c8t", "many-core-snc4", "single-core",       "uneven-sockets", "vm-without-cores",
};

inline std::string machine_xml(const std::string& name) {
  std::ifstream in(std::string(COX_SOURCE_DIR) + "/tests/topologies/" + name + ".xml");
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Read once: tests ask for it again and again.
inline const Topology& machine(const std::string& name) {
  static std::map<std::string, Topology> known;
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  auto topology = parse_topology(machine_xml(name));
  return known[name] = topology ? *topology : Topology{};
}

/// As many nodes of the machine as there are slots given: "10.0.0.11", "10.0.0.12", …
inline std::vector<NodeShape> nodes_of(const std::string& name, const std::vector<int>& slots) {
  std::vector<NodeShape> nodes;
  for (const int count : slots) {
    nodes.push_back({{fmt::format("10.0.0.{}", 11 + nodes.size()), count}, machine(name)});
  }
  return nodes;
}

}  // namespace cox::mpi
