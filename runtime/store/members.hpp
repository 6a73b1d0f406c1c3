#pragma once

#include <tuple>
#include <type_traits>
#include <variant>

#include "runtime/core/lifecycle.hpp"
#include "runtime/model/catalog.hpp"
#include "runtime/model/cluster.hpp"
#include "runtime/model/job.hpp"

/// The members of everything that is stored, under the names that stand in the file. A name, once
/// released, keeps its meaning for good; new members may be added, with the default that old
/// files imply.
namespace cox::store {

template <class Owner, class Type>
struct Member {
  const char* name;
  Type Owner::*pointer;
};
template <class Owner, class Type>
Member(const char*, Type Owner::*) -> Member<Owner, Type>;

template <class T>
using Of = std::type_identity<T>;

constexpr auto members(Of<EnvVar> /*of*/) {
  return std::tuple{Member{"name", &EnvVar::name}, Member{"value", &EnvVar::value}};
}
constexpr auto members(Of<JobUser> /*of*/) {
  using T = JobUser;
  return std::tuple{Member{"uid", &T::uid}, Member{"gid", &T::gid}, Member{"name", &T::name}};
}
constexpr auto members(Of<JobFile> /*of*/) {
  using T = JobFile;
  return std::tuple{Member{"name", &T::name}, Member{"sha256", &T::sha256},
                    Member{"size", &T::size}, Member{"mode", &T::mode}};
}
constexpr auto members(Of<Dependency> /*of*/) {
  return std::tuple{Member{"job", &Dependency::job}, Member{"kind", &Dependency::kind}};
}
constexpr auto members(Of<MpiRun> /*of*/) {
  using T = MpiRun;
  return std::tuple{Member{"ranks_per_node", &T::ranks_per_node},
                    Member{"map_by", &T::map_by},
                    Member{"bind_to", &T::bind_to},
                    Member{"launch", &T::launch},
                    Member{"library", &T::library},
                    Member{"why_unknown", &T::why_unknown}};
}
constexpr auto members(Of<ExitRule> /*of*/) {
  using T = ExitRule;
  return std::tuple{Member{"on_status_reason", &T::on_status_reason},
                    Member{"on_reason", &T::on_reason}, Member{"on_exit_code", &T::on_exit_code},
                    Member{"retry", &T::retry}};
}
constexpr auto members(Of<NodeGroup> /*of*/) {
  using T = NodeGroup;
  return std::tuple{Member{"first", &T::first},     Member{"last", &T::last},
                    Member{"command", &T::command}, Member{"environment", &T::environment},
                    Member{"vcpus", &T::vcpus},     Member{"memory_mib", &T::memory}};
}
constexpr auto members(Of<JobSpec> /*of*/) {
  using T = JobSpec;
  return std::tuple{Member{"name", &T::name},
                    Member{"queue", &T::queue},
                    Member{"definition", &T::definition},
                    Member{"command", &T::command},
                    Member{"environment", &T::environment},
                    Member{"vcpus", &T::vcpus},
                    Member{"memory_mib", &T::memory},
                    Member{"slots_per_node", &T::slots_per_node},
                    Member{"nodes", &T::nodes},
                    Member{"array_size", &T::array_size},
                    Member{"depends_on", &T::depends_on},
                    Member{"attempts", &T::attempts},
                    Member{"timeout_s", &T::timeout_s},
                    Member{"user", &T::user},
                    Member{"files", &T::files},
                    Member{"mpi", &T::mpi},
                    Member{"cpu_and_memory_legacy", &T::cpu_and_memory_legacy},
                    Member{"tags", &T::tags},
                    Member{"parameters", &T::parameters},
                    Member{"exit_rules", &T::exit_rules},
                    Member{"groups", &T::groups},
                    Member{"main_node", &T::main_node},
                    Member{"share", &T::share},
                    Member{"priority", &T::priority},
                    Member{"propagate_tags", &T::propagate_tags},
                    Member{"client_token", &T::client_token},
                    Member{"request_digest", &T::request_digest}};
}
constexpr auto members(Of<NodeRun> /*of*/) {
  using T = NodeRun;
  return std::tuple{Member{"node", &T::node},
                    Member{"address", &T::address},
                    Member{"hostname", &T::hostname},
                    Member{"instance_type", &T::instance_type},
                    Member{"environment", &T::environment},
                    Member{"slots", &T::slots},
                    Member{"phase", &T::phase},
                    Member{"started_at", &T::started_at},
                    Member{"stopped_at", &T::stopped_at},
                    Member{"exit_code", &T::exit_code},
                    Member{"reason", &T::reason}};
}
constexpr auto members(Of<Node> /*of*/) {
  using T = Node;
  return std::tuple{Member{"id", &T::id},
                    Member{"ordinal", &T::ordinal},
                    Member{"environment", &T::environment},
                    Member{"instance_type", &T::instance_type},
                    Member{"vcpus", &T::vcpus},
                    Member{"memory_mib", &T::memory},
                    Member{"address", &T::address},
                    Member{"hostname", &T::hostname},
                    Member{"status", &T::status},
                    Member{"launched_at", &T::launched_at},
                    Member{"idle_since", &T::idle_since},
                    Member{"reason", &T::reason},
                    Member{"allocation", &T::allocation},
                    Member{"lent_s", &T::lent_s},
                    Member{"lent_until", &T::lent_until}};
}

constexpr auto members(Of<InstanceType> /*of*/) {
  using T = InstanceType;
  return std::tuple{Member{"name", &T::name}, Member{"vcpus", &T::vcpus},
                    Member{"memory_mib", &T::memory}};
}
constexpr auto members(Of<ComputeEnvironment> /*of*/) {
  using T = ComputeEnvironment;
  return std::tuple{Member{"name", &T::name},
                    Member{"arn", &T::arn},
                    Member{"enabled", &T::enabled},
                    Member{"spot", &T::spot},
                    Member{"min_vcpus", &T::min_vcpus},
                    Member{"desired_vcpus", &T::desired_vcpus},
                    Member{"max_vcpus", &T::max_vcpus},
                    Member{"instance_types", &T::instance_types},
                    Member{"idle_ms_before_release", &T::idle_ms_before_release},
                    Member{"from_file", &T::from_file},
                    Member{"managed", &T::managed},
                    Member{"unmanaged_vcpus", &T::unmanaged_vcpus},
                    Member{"resources", &T::resources},
                    Member{"service_role", &T::service_role},
                    Member{"update_policy", &T::update_policy},
                    Member{"tags", &T::tags}};
}
constexpr auto members(Of<LimitAction> /*of*/) {
  using T = LimitAction;
  return std::tuple{Member{"reason", &T::reason}, Member{"max_seconds", &T::max_seconds},
                    Member{"terminate", &T::terminate}};
}
constexpr auto members(Of<JobQueue> /*of*/) {
  using T = JobQueue;
  return std::tuple{Member{"name", &T::name},
                    Member{"arn", &T::arn},
                    Member{"priority", &T::priority},
                    Member{"enabled", &T::enabled},
                    Member{"environments", &T::environments},
                    Member{"from_file", &T::from_file},
                    Member{"policy", &T::policy},
                    Member{"limit_actions", &T::limit_actions},
                    Member{"tags", &T::tags},
                    Member{"max_running", &T::max_running},
                    Member{"orders", &T::orders}};
}
constexpr auto members(Of<JobDefinition> /*of*/) {
  using T = JobDefinition;
  return std::tuple{Member{"name", &T::name},
                    Member{"revision", &T::revision},
                    Member{"active", &T::active},
                    Member{"owner", &T::owner},
                    Member{"deregistered_at", &T::deregistered_at},
                    Member{"body", &T::body},
                    Member{"tags", &T::tags}};
}
constexpr auto members(Of<Share> /*of*/) {
  return std::tuple{Member{"identifier", &Share::identifier}, Member{"weight", &Share::weight}};
}
constexpr auto members(Of<SchedulingPolicy> /*of*/) {
  using T = SchedulingPolicy;
  return std::tuple{Member{"name", &T::name}, Member{"decay_s", &T::decay_s},
                    Member{"reservation", &T::reservation}, Member{"shares", &T::shares},
                    Member{"tags", &T::tags}};
}

constexpr auto members(Of<core::ChildrenWait> /*of*/) {
  using T = core::ChildrenWait;
  return std::tuple{Member{"first", &T::first}, Member{"last", &T::last}, Member{"jobs", &T::jobs},
                    Member{"same_index", &T::same_index}, Member{"previous", &T::previous}};
}
constexpr auto members(Of<core::Submitted> /*of*/) {
  using T = core::Submitted;
  return std::tuple{Member{"at", &T::at}, Member{"spec", &T::spec},
                    Member{"array_index", &T::array_index}, Member{"waits_for", &T::waits_for},
                    Member{"children", &T::children}};
}
constexpr auto members(Of<core::DependencyEnded> /*of*/) {
  using T = core::DependencyEnded;
  return std::tuple{Member{"at", &T::at}, Member{"job", &T::job},
                    Member{"succeeded", &T::succeeded}};
}
constexpr auto members(Of<core::Placed> /*of*/) {
  using T = core::Placed;
  return std::tuple{Member{"at", &T::at}, Member{"attempt", &T::attempt},
                    Member{"nodes", &T::nodes}, Member{"launch", &T::launch}};
}
constexpr auto members(Of<core::NodeReady> /*of*/) {
  using T = core::NodeReady;
  return std::tuple{Member{"at", &T::at}, Member{"attempt", &T::attempt},
                    Member{"node_index", &T::node_index}};
}
constexpr auto members(Of<core::NodeStarted> /*of*/) {
  using T = core::NodeStarted;
  return std::tuple{Member{"at", &T::at}, Member{"attempt", &T::attempt},
                    Member{"node_index", &T::node_index}};
}
constexpr auto members(Of<core::NodeExited> /*of*/) {
  using T = core::NodeExited;
  return std::tuple{Member{"at", &T::at}, Member{"attempt", &T::attempt},
                    Member{"node_index", &T::node_index}, Member{"exit_code", &T::exit_code},
                    Member{"reason", &T::reason}};
}
constexpr auto members(Of<core::NodeLost> /*of*/) {
  using T = core::NodeLost;
  return std::tuple{Member{"at", &T::at}, Member{"node", &T::node}, Member{"reason", &T::reason}};
}
constexpr auto members(Of<core::KillAsked> /*of*/) {
  using T = core::KillAsked;
  return std::tuple{Member{"at", &T::at}, Member{"reason", &T::reason},
                    Member{"cancel", &T::cancel}};
}
constexpr auto members(Of<core::TimedOut> /*of*/) {
  return std::tuple{Member{"at", &core::TimedOut::at}, Member{"attempt", &core::TimedOut::attempt}};
}
constexpr auto members(Of<core::ChildChanged> /*of*/) {
  using T = core::ChildChanged;
  return std::tuple{Member{"at", &T::at}, Member{"from", &T::from}, Member{"to", &T::to}};
}

constexpr auto members(Of<core::Tagged> /*of*/) {
  return std::tuple{Member{"at", &core::Tagged::at}, Member{"tags", &core::Tagged::tags}};
}

/// The names of the events, in the order of the variant.
inline constexpr const char* kEventNames[] = {
    "Submitted", "DependencyEnded", "Placed",   "NodeReady",    "NodeStarted", "NodeExited",
    "NodeLost",  "KillAsked",       "TimedOut", "ChildChanged", "Tagged",
};
static_assert(std::size(kEventNames) == std::variant_size_v<core::JobEvent>);

template <class T>
concept HasMembers = requires {
  members(Of<T>{});
};

/// Stands for a value of any type, where only the number of values counts.
struct Anything {
  template <class T>
  operator T() const;  // NOLINT: implicit by purpose, never defined
};

template <class T, std::size_t... kIndexes>
constexpr bool takes(std::index_sequence<kIndexes...> /*indexes*/) {
  return requires { T{(static_cast<void>(kIndexes), Anything{})...}; };
}

/// True when exactly all members of the aggregate are listed, so that one that was added to it
/// and forgotten here does not compile.
template <class T>
constexpr bool lists_all_members() {
  constexpr auto kListed = std::tuple_size_v<decltype(members(Of<T>{}))>;
  return takes<T>(std::make_index_sequence<kListed>{}) &&
         !takes<T>(std::make_index_sequence<kListed + 1>{});
}

template <class... Ts>
constexpr bool all_members_are_listed(Of<std::variant<Ts...>> /*of*/) {
  return (lists_all_members<Ts>() && ...);
}

static_assert(all_members_are_listed(Of<core::JobEvent>{}));
static_assert(all_members_are_listed(
    Of<std::variant<EnvVar, JobUser, JobFile, Dependency, MpiRun, ExitRule, NodeGroup, NodeRun,
                    Node, JobSpec, InstanceType, Share, LimitAction, core::ChildrenWait>>{}));
static_assert(all_members_are_listed(Of<CatalogItem>{}));

}  // namespace cox::store
