#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "runtime/wire/message.hpp"

/// The members of everything that travels, in the order in which they travel. New members go to
/// the end, and kVersion is raised.
namespace cox::wire {

template <class>
struct MemberOf;
template <class Owner, class Type>
struct MemberOf<Type Owner::*> {
  using type = Type;
};

template <class T>
using Of = std::type_identity<T>;

constexpr auto members(Of<PartKey> /*of*/) {
  return std::tuple{&PartKey::job, &PartKey::attempt, &PartKey::node_index};
}
constexpr auto members(Of<EnvVar> /*of*/) { return std::tuple{&EnvVar::name, &EnvVar::value}; }
constexpr auto members(Of<JobUser> /*of*/) {
  return std::tuple{&JobUser::uid, &JobUser::gid, &JobUser::name};
}
constexpr auto members(Of<OutputRecord> /*of*/) {
  using T = OutputRecord;
  return std::tuple{&T::sequence, &T::at_ms, &T::stream, &T::text};
}
constexpr auto members(Of<OutputRun> /*of*/) {
  using T = OutputRun;
  return std::tuple{&T::sequence, &T::at_ms, &T::stream, &T::lines, &T::offset, &T::bytes};
}
constexpr auto members(Of<Peer> /*of*/) {
  using T = Peer;
  return std::tuple{&T::node_index, &T::node, &T::address, &T::hostname, &T::slots};
}
constexpr auto members(Of<Seat> /*of*/) { return std::tuple{&Seat::node_index, &Seat::cores}; }
constexpr auto members(Of<Meeting> /*of*/) { return std::tuple{&Meeting::port, &Meeting::secret}; }
constexpr auto members(Of<ContainerMount> /*of*/) {
  using T = ContainerMount;
  return std::tuple{&T::source, &T::target, &T::read_only};
}
constexpr auto members(Of<ContainerLimit> /*of*/) {
  using T = ContainerLimit;
  return std::tuple{&T::name, &T::soft, &T::hard};
}
constexpr auto members(Of<ContainerTmpfs> /*of*/) {
  using T = ContainerTmpfs;
  return std::tuple{&T::target, &T::size_mib, &T::options};
}
constexpr auto members(Of<ContainerDevice> /*of*/) {
  using T = ContainerDevice;
  return std::tuple{&T::source, &T::target, &T::permissions};
}
constexpr auto members(Of<Container> /*of*/) {
  using T = Container;
  return std::tuple{
      &T::image,   &T::user,           &T::mounts,     &T::limits, &T::tmpfs,
      &T::devices, &T::read_only_root, &T::privileged, &T::init,   &T::shared_memory_mib};
}
constexpr auto members(Of<Hello> /*of*/) {
  using T = Hello;
  return std::tuple{
      &T::version, &T::node,          &T::hardware_threads, &T::memory_mib, &T::hwloc_xml,
      &T::parts,   &T::open_mpi_flux, &T::bin_dir,          &T::mpirun,     &T::topology_file,
      &T::network, &T::whole_machine, &T::address,          &T::hostname,   &T::life};
}
constexpr auto members(Of<Prepared> /*of*/) {
  return std::tuple{&Prepared::part, &Prepared::meeting};
}
constexpr auto members(Of<Started> /*of*/) { return std::tuple{&Started::part, &Started::at_ms}; }
constexpr auto members(Of<Exited> /*of*/) {
  using T = Exited;
  return std::tuple{&T::part, &T::at_ms, &T::exit_code, &T::reason};
}
constexpr auto members(Of<Output> /*of*/) {
  return std::tuple{&Output::part, &Output::rank, &Output::records};
}
constexpr auto members(Of<OutputKept> /*of*/) {
  using T = OutputKept;
  return std::tuple{&T::part, &T::rank, &T::log, &T::runs};
}
constexpr auto members(Of<OutputUnseen> /*of*/) {
  return std::tuple{&OutputUnseen::part, &OutputUnseen::rank};
}
constexpr auto members(Of<RankExited> /*of*/) {
  using T = RankExited;
  return std::tuple{&T::part,        &T::rank,   &T::at_ms, &T::exit_code,
                    &T::max_rss_kib, &T::cpu_us, &T::how};
}
constexpr auto members(Of<RemoteRoute> /*of*/) {
  using T = RemoteRoute;
  return std::tuple{&T::id,        &T::from,   &T::from_node, &T::target_index,
                    &T::to_target, &T::number, &T::got};
}
constexpr auto members(Of<RemoteStart> /*of*/) {
  using T = RemoteStart;
  return std::tuple{&T::route, &T::host, &T::command};
}
constexpr auto members(Of<RemoteInput> /*of*/) {
  return std::tuple{&RemoteInput::route, &RemoteInput::bytes, &RemoteInput::end};
}
constexpr auto members(Of<RemoteOutput> /*of*/) {
  return std::tuple{&RemoteOutput::route, &RemoteOutput::stream, &RemoteOutput::bytes};
}
constexpr auto members(Of<RemoteTaken> /*of*/) {
  return std::tuple{&RemoteTaken::route, &RemoteTaken::bytes};
}
constexpr auto members(Of<RemoteExited> /*of*/) {
  return std::tuple{&RemoteExited::route, &RemoteExited::exit_code, &RemoteExited::reason};
}
constexpr auto members(Of<RemoteHave> /*of*/) {
  return std::tuple{&RemoteHave::route, &RemoteHave::again, &RemoteHave::begun};
}
constexpr auto members(Of<RemoteLost> /*of*/) {
  return std::tuple{&RemoteLost::part, &RemoteLost::reason};
}
constexpr auto members(Of<Welcome> /*of*/) {
  return std::tuple{&Welcome::cluster, &Welcome::sees_files};
}
constexpr auto members(Of<FilePiece> /*of*/) {
  using T = FilePiece;
  return std::tuple{&T::part, &T::name, &T::mode, &T::bytes, &T::last};
}
constexpr auto members(Of<Prepare> /*of*/) {
  using T = Prepare;
  return std::tuple{
      &T::part,          &T::user,       &T::command, &T::environment, &T::vcpus,
      &T::memory_mib,    &T::multi_node, &T::peers,   &T::hostfile,    &T::mpi_environment,
      &T::capture_ranks, &T::directory,  &T::seats,   &T::mpi_library, &T::container,
      &T::starts_itself};
}
constexpr auto members(Of<Launch> /*of*/) { return std::tuple{&Launch::part, &Launch::meeting}; }
constexpr auto members(Of<Stop> /*of*/) {
  return std::tuple{&Stop::part, &Stop::grace_s, &Stop::reason};
}
constexpr auto members(Of<OutputAck> /*of*/) {
  return std::tuple{&OutputAck::part, &OutputAck::rank, &OutputAck::sequence};
}
constexpr auto members(Of<ExitedAck> /*of*/) { return std::tuple{&ExitedAck::part}; }
constexpr auto members(Of<Preparing> /*of*/) {
  return std::tuple{&Preparing::part, &Preparing::progress};
}
constexpr auto members(Of<Health> /*of*/) { return std::tuple{&Health::at_ms, &Health::problem}; }

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

/// True when exactly all members of the aggregate are listed, so that one that was added to the
/// message and forgotten here does not compile.
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

static_assert(all_members_are_listed(Of<Message>{}));
static_assert(lists_all_members<PartKey>() && lists_all_members<OutputRecord>() &&
              lists_all_members<OutputRun>() && lists_all_members<Peer>() &&
              lists_all_members<EnvVar>() && lists_all_members<JobUser>() &&
              lists_all_members<Seat>() && lists_all_members<Meeting>() &&
              lists_all_members<Container>() && lists_all_members<ContainerMount>() &&
              lists_all_members<ContainerLimit>() && lists_all_members<ContainerTmpfs>() &&
              lists_all_members<ContainerDevice>());

}  // namespace cox::wire
