#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/base/ids.hpp"
#include "runtime/base/result.hpp"
#include "runtime/base/units.hpp"
#include "runtime/model/container.hpp"
#include "runtime/model/job.hpp"

/// What head and agents say to each other. A session is a TLS connection that the agent opens; a
/// frame is a 32-bit little-endian length and one message. Either side may die: the agent dials
/// again, says Hello, and resends what was not acknowledged.
///
/// An attempt's part on a node is named by (job, attempt, node_index): messages about one that the
/// receiver does not know, or that is over, are answered by what is true, never by an error.
namespace cox::wire {

inline constexpr std::uint32_t kVersion = 8;             ///< raised at every change of a message
inline constexpr std::size_t kFrameBytesMax = 4u << 20;  ///< larger frames end the session

/// Where an agent's logs are, beneath its scratch directory: "<name>.log" each.
inline constexpr const char* kSpoolDirectory = ".spool";

/// Names one node's part in one attempt.
struct PartKey {
  JobId job;
  int attempt = 0;
  int node_index = 0;

  friend auto operator<=>(const PartKey&, const PartKey&) = default;
  friend bool operator==(const PartKey&, const PartKey&) = default;
};

/// Lines of output as they travel: in a row, and read together.
struct OutputRecord {
  std::uint64_t sequence = 0;  ///< the first's: from 1, without gaps, within (part, rank)
  std::int64_t at_ms = 0;
  std::uint8_t stream = 0;  ///< 0 stdout, 1 stderr
  std::string text;         ///< '\n' between the lines, none behind the last
  friend bool operator==(const OutputRecord&, const OutputRecord&) = default;
};

/// Lines of output that stay where the agent has them: in a row, and read together.
struct OutputRun {
  std::uint64_t sequence = 0;  ///< as OutputRecord's
  std::int64_t at_ms = 0;
  std::uint8_t stream = 0;
  std::uint32_t lines = 1;
  std::uint64_t offset = 0;  ///< of the record in the agent's own log
  std::uint32_t bytes = 0;   ///< of that record
  friend bool operator==(const OutputRun&, const OutputRun&) = default;
};

/// A node of the job, as every other node of it needs to know it.
struct Peer {
  int node_index = 0;
  NodeId node;
  std::string address;
  std::string hostname;
  int slots = 1;
  friend bool operator==(const Peer&, const Peer&) = default;
};

/// Where one rank of a directly launched job goes.
struct Seat {
  int node_index = 0;
  std::vector<int> cores;  ///< logical core numbers to bind it to; empty: none
  friend bool operator==(const Seat&, const Seat&) = default;
};

/// Where nodes of a directly launched job meet: at its main node, or at one that stands between.
struct Meeting {
  int port = 0;        ///< 0: no such job
  std::string secret;  ///< proves who belongs to the job
  friend bool operator==(const Meeting&, const Meeting&) = default;
};

// Agent → head.

/// First message of a session. `parts` are all that the agent holds, running or over but not
/// acknowledged, so that a restarted head learns what happened without it.
struct Hello {
  std::uint32_t version = kVersion;
  NodeId node;
  int hardware_threads = 0;
  std::int64_t memory_mib = 0;
  std::string hwloc_xml;  ///< topology, exported once
  std::vector<PartKey> parts;
  bool open_mpi_flux = false;  ///< its Open MPI has the component that the direct launch needs
  std::string bin_dir;         ///< where cox-rsh and cox-rank are
  std::string mpirun;          ///< a path; "mpirun" where none was found
  std::string topology_file;   ///< hwloc's XML; empty: none
  std::string network;         ///< "10.0.0.0/24", for Open MPI; empty: its own choice
  bool whole_machine = false;  ///< no other node shares its cores
  std::string address;         ///< by which other nodes reach it: counts where no provider knows
  std::string hostname;
  std::string life;  ///< of the agent's process: another one knows nothing of what it was told
  friend bool operator==(const Hello&, const Hello&) = default;
};
struct Prepared {
  PartKey part;
  Meeting meeting = {};  ///< of a direct launch, from a node where others meet
  friend bool operator==(const Prepared&, const Prepared&) = default;
};
struct Started {
  PartKey part;
  std::int64_t at_ms = 0;
  friend bool operator==(const Started&, const Started&) = default;
};
/// All output of the part was sent before this. Resent until ExitedAck.
struct Exited {
  PartKey part;
  std::int64_t at_ms = 0;
  int exit_code = 0;   ///< 128 + signal for a signal
  std::string reason;  ///< empty at a normal end
  friend bool operator==(const Exited&, const Exited&) = default;
};
/// Lines of one log: the part's own output (rank -1) or one MPI rank's.
struct Output {
  PartKey part;
  int rank = -1;
  std::vector<OutputRecord> records;
  friend bool operator==(const Output&, const Output&) = default;
};
/// A rank's end, as cox-rank or the step that started it tells.
struct RankExited {
  PartKey part;
  int rank = 0;
  std::int64_t at_ms = 0;
  int exit_code = 0;  ///< 128 + signal for a signal
  std::int64_t max_rss_kib = 0;
  std::int64_t cpu_us = 0;
  std::string how = {};  ///< "called MPI_Abort with code 7"; empty: what the exit code says
  friend bool operator==(const RankExited&, const RankExited&) = default;
};
/// Which command on another node of the job a message is about. Between cox-rsh and its agent only
/// `from` counts.
struct RemoteRoute {
  std::uint64_t id = 0;  ///< chosen by the asking agent, unique with from_node
  PartKey from;          ///< the asking part
  NodeId from_node;
  int target_index = 0;      ///< node of the job that it runs on
  bool to_target = false;    ///< else to who asked
  std::uint64_t number = 0;  ///< counts what one end says from 1; 0: said outside of that
  std::uint64_t got = 0;     ///< who says it has the other end's messages up to this number
  friend bool operator==(const RemoteRoute&, const RemoteRoute&) = default;
};
/// cox-rsh asks for a command on another node of the job; the head passes it on, the other agent
/// answers with RemoteOutput and RemoteExited. The head keeps none of it: each end keeps what it
/// said until the other has it, and says it again when that is in doubt.
struct RemoteStart {
  RemoteRoute route;
  std::string host;     ///< as cox-rsh was given it; the asking agent finds target_index by it
  std::string command;  ///< for /bin/sh -c, as ssh would run it
  friend bool operator==(const RemoteStart&, const RemoteStart&) = default;
};
struct RemoteInput {
  RemoteRoute route;
  std::string bytes;
  bool end = false;
  friend bool operator==(const RemoteInput&, const RemoteInput&) = default;
};
struct RemoteOutput {
  RemoteRoute route;
  std::uint8_t stream = 0;
  std::string bytes;
  friend bool operator==(const RemoteOutput&, const RemoteOutput&) = default;
};
/// So much of the command's input was taken, or (to_target) of its output: who sends has at most
/// kRemoteWindow bytes on their way, each message counted as kRemoteOverhead more than it has.
/// kNobodyReads: of its output nothing will be any more.
struct RemoteTaken {
  RemoteRoute route;
  std::int64_t bytes = 0;
  friend bool operator==(const RemoteTaken&, const RemoteTaken&) = default;
};
inline constexpr std::int64_t kNobodyReads = -1;
inline constexpr std::int64_t kRemoteWindow = 1 << 20;
inline constexpr std::int64_t kRemoteOverhead = 256;
/// How much is taken before it is told.
inline constexpr std::int64_t kRemoteTold = 128 << 10;
struct RemoteExited {
  RemoteRoute route;
  int exit_code = 0;
  std::string reason;
  friend bool operator==(const RemoteExited&, const RemoteExited&) = default;
};
/// Says no more than route.got. Its number is 0.
struct RemoteHave {
  RemoteRoute route;
  bool again = false;  ///< what comes after `got` may have been lost: it is to be said again
  bool begun = false;  ///< from who asked: the other end has had the RemoteStart
  friend bool operator==(const RemoteHave&, const RemoteHave&) = default;
};

/// From the head to the other nodes of the job: this part of it ended with its node or agent, which
/// tells nobody. What was asked for there, or from there, is over.
struct RemoteLost {
  PartKey part;
  std::string reason;
  friend bool operator==(const RemoteLost&, const RemoteLost&) = default;
};

/// In place of Output, for a rank of a direct launch, where the head sees the agent's files
/// (Welcome): the log's file has these lines, and all before them.
struct OutputKept {
  PartKey part;
  int rank = 0;
  std::string log;  ///< its name in the agent's spool
  std::vector<OutputRun> runs;
  friend bool operator==(const OutputKept&, const OutputKept&) = default;
};

/// How far a part has come that takes long to be prepared: "Pulling image …". Nothing hangs on it.
struct Preparing {
  PartKey part;
  std::string progress;
  friend bool operator==(const Preparing&, const Preparing&) = default;
};

// Head → agent.

struct Welcome {
  std::string cluster;
  bool sees_files = false;  ///< the head can take logs from the agent's own disk
  friend bool operator==(const Welcome&, const Welcome&) = default;
};
/// A piece of a file of the part, sent before its Prepare. Small files come in one piece.
struct FilePiece {
  PartKey part;
  std::string name;
  std::uint32_t mode = 0600;
  std::string bytes;
  bool last = true;
  friend bool operator==(const FilePiece&, const FilePiece&) = default;
};
/// Everything a node needs to run its part.
struct Prepare {
  PartKey part;
  JobUser user;
  /// Empty: nothing runs here, the part is "running" until it is stopped and then exits with 0.
  std::vector<std::string> command;
  std::vector<EnvVar> environment;  ///< complete but for HOME, USER, PATH, HOSTNAME, SSHDIR
  int vcpus = 1;
  std::int64_t memory_mib = 128;
  bool multi_node = false;
  std::vector<Peer> peers;              ///< all nodes of the job, this one too, by node_index
  std::string hostfile;                 ///< text of ${HOME}/hostfile; empty: none
  std::vector<EnvVar> mpi_environment;  ///< set only where the job has not set them
  bool capture_ranks = true;
  /// Working directory, where the files are put: relative to HOME; empty: HOME itself.
  std::string directory;
  /// By rank; not empty: the node starts its ranks of `command` itself, whose first word is a file
  /// in HOME, and mpi_environment is for them.
  std::vector<Seat> seats;
  std::string mpi_library;   ///< as MpiRun::library
  Container container = {};  ///< what `command` runs in; without an image: the node itself
  /// Nobody else is waited for: prepared, the part starts by itself, without a word in between.
  bool starts_itself = false;
  friend bool operator==(const Prepare&, const Prepare&) = default;
};
struct Launch {
  PartKey part;
  Meeting meeting = {};  ///< of a direct launch
  friend bool operator==(const Launch&, const Launch&) = default;
};
/// SIGTERM now, SIGKILL after grace_s. A part that has not been launched is dropped with `reason`.
struct Stop {
  PartKey part;
  int grace_s = 30;
  std::string reason;
  friend bool operator==(const Stop&, const Stop&) = default;
};
/// Output up to and including `sequence` is durable; the agent may forget it.
struct OutputAck {
  PartKey part;
  int rank = -1;
  std::uint64_t sequence = 0;
  friend bool operator==(const OutputAck&, const OutputAck&) = default;
};
/// The head cannot take this log from the agent's disk: it is to be sent.
struct OutputUnseen {
  PartKey part;
  int rank = 0;
  friend bool operator==(const OutputUnseen&, const OutputUnseen&) = default;
};
/// The part's end is durable; the agent forgets the part and removes its directory.
struct ExitedAck {
  PartKey part;
  friend bool operator==(const ExitedAck&, const ExitedAck&) = default;
};

/// From an agent whose node is a host: told at each connection, and when it changes.
struct Health {
  std::int64_t at_ms = 0;  ///< its clock
  std::string problem;     ///< why no job is to be placed there; empty: nothing
  friend bool operator==(const Health&, const Health&) = default;
};

using Message = std::variant<Hello, Prepared, Started, Exited, Output, RankExited, RemoteStart,
                             RemoteInput, RemoteOutput, RemoteExited, Welcome, FilePiece, Prepare,
                             Launch, Stop, OutputAck, ExitedAck, Preparing, Health, OutputKept,
                             OutputUnseen, RemoteTaken, RemoteHave, RemoteLost>;

/// To the other end, for what is said first or outside of any count. Pure.
[[nodiscard]] RemoteRoute way_back(RemoteRoute route);

/// The bytes of a message, without the frame's length. Pure.
[[nodiscard]] std::string encode(const Message& message);

/// Errors: invalid_argument for anything but exactly one well-formed message: cut short, trailing
///         bytes, an unknown tag, a length beyond the frame. Never reads outside `bytes`. Pure.
[[nodiscard]] Result<Message> decode(std::string_view bytes);

}  // namespace cox::wire
