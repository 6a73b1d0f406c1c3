#include <algorithm>

#include "runtime/head/environment.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/mpi/direct_plan.hpp"

/// How the ranks of an --mpi attempt are started, and where each goes.
namespace cox::head {

bool HeadCore::all_connected(const std::vector<NodeRun>& nodes) const {
  return std::all_of(nodes.begin(), nodes.end(), [this](const NodeRun& run) {
    const auto session = sessions_.find(run.node);
    return session != sessions_.end() && session->second.greeted;
  });
}

Result<std::vector<wire::Seat>> HeadCore::seats_of(const JobSpec& spec,
                                                   const std::vector<NodeRun>& nodes) const {
  const mpi::Layout layout{spec.mpi->ranks_per_node, spec.mpi->map_by, spec.mpi->bind_to};
  std::vector<mpi::NodeShape> shapes;
  for (const auto& run : nodes) {
    const auto session = sessions_.find(run.node);
    const bool known = session != sessions_.end() && !session->second.topology.cores.empty();
    shapes.push_back({{run.address, run.slots},
                      known ? session->second.topology : mpi::flat_topology(run.slots, 1)});
  }
  auto places = mpi::place_ranks(shapes, layout);
  if (!places) return fail(places.error());
  // Where nodes share a machine's cores, the first of them would be everybody's.
  const bool apart = std::none_of(nodes.begin(), nodes.end(), [this](const NodeRun& run) {
    const auto session = sessions_.find(run.node);
    return session == sessions_.end() || session->second.paths.nodes_share_cores;
  });
  const bool bound = !layout.bind_to.empty() || apart;
  std::vector<wire::Seat> seats;
  for (auto& place : *places) {
    seats.push_back({place.node_index, bound ? std::move(place.cores) : std::vector<int>{}});
  }
  return seats;
}

std::string HeadCore::choose_launch(const JobSpec& spec, const std::vector<NodeRun>& nodes) const {
  if (!spec.mpi) return {};
  mpi::RoadQuestion question;
  question.asked = spec.mpi->launch;
  question.linkage = {spec.mpi->library, spec.mpi->why_unknown};
  question.environment = spec.environment;
  for (const auto& run : nodes) {
    const auto session = sessions_.find(run.node);
    if (session == sessions_.end() || !session->second.open_mpi_flux) {
      question.node_without_flux = run.hostname;
    }
  }
  if (const auto seats = seats_of(spec, nodes); !seats) {
    question.cannot_place = seats.error().message;
  }
  return mpi::choose_road(question).text;
}

}  // namespace cox::head
