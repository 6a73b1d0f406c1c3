#include "runtime/agent/mpirun_node.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "runtime/agent/local_socket.hpp"
#include "runtime/agent/mpirun_program.hpp"
#include "runtime/agent/open_mpi.hpp"
#include "runtime/agent/topology_probe.hpp"
#include "runtime/base/text.hpp"
#include "runtime/mpi/launch_plan.hpp"
#include "runtime/mpi/mpirun_words.hpp"
#include "runtime/os/files.hpp"

namespace cox::agent {

namespace {

constexpr auto kDrainTime = std::chrono::seconds(2);
constexpr std::size_t kReadsAtOnce = 8;

/// A terminal that passes bytes as they are: {ours, the rank's}.
Result<std::pair<os::Fd, os::Fd>> open_terminal() {
  termios raw{};
  ::cfmakeraw(&raw);
  raw.c_cflag |= CREAD;
  ::cfsetspeed(&raw, B38400);
  int ours = -1;
  int ranks = -1;
  if (::openpty(&ours, &ranks, nullptr, &raw, nullptr) != 0) {
    return fail(os::errno_error(errno, "no terminal to be had for a rank"));
  }
  ::fcntl(ours, F_SETFD, FD_CLOEXEC);
  ::fcntl(ranks, F_SETFD, FD_CLOEXEC);
  return std::pair(os::Fd(ours), os::Fd(ranks));
}

Result<std::pair<os::Fd, os::Fd>> open_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return fail(os::errno_error(errno, "no pipe to be had for a rank"));
  }
  return std::pair(os::Fd(ends[0]), os::Fd(ends[1]));
}

/// Where killed ranks' memory goes with the launch: beside that of others of the part, which the
/// agent removes at its end whatever became of this process.
std::string session_directory(const MpirunOrder& order) {
  const char* part = std::getenv("COX_LAUNCHES");
  const std::string above = part != nullptr ? part : "/tmp";
  ::mkdir(above.c_str(), 0700);
  return fmt::format("{}/{}.{}", above, order.name, order.node_index);
}

}  // namespace

std::vector<std::string> own_environment(const std::vector<std::string>& settings) {
  const auto name_of = [](std::string_view variable) {
    return variable.substr(0, variable.find('='));
  };
  std::vector<std::string> list;
  for (char** each = ::environ; *each != nullptr; ++each) {
    const bool replaced = std::any_of(settings.begin(), settings.end(), [&](const auto& setting) {
      return name_of(setting) == name_of(*each);
    });
    if (!replaced) list.emplace_back(*each);
  }
  list.insert(list.end(), settings.begin(), settings.end());
  return list;
}

MpirunNode::MpirunNode(MpirunOrder order, Events events, const sigset_t& mask)
    : order_(std::move(order)), events_(std::move(events)), mask_(mask) {}

MpirunNode::~MpirunNode() = default;

Result<RankProgram> MpirunNode::find(const MpirunOrder::Program& program) const {
  RankProgram found;
  found.argv = program.words;
  found.directory = program.directory;
  const auto is_directory = [](const std::string& path) {
    return !path.empty() && ::access((path + "/.").c_str(), X_OK) == 0;
  };
  if (!is_directory(found.directory)) {
    // As mpirun: the user's own where the directory was only the one that mpirun was called in.
    const char* home = std::getenv("HOME");
    found.directory = home != nullptr ? home : "";
    if (program.directory_asked || !is_directory(found.directory)) {
      return fail(Errc::not_found, "there is no directory {}", program.directory);
    }
  }
  found.environment = own_environment([&] {
    auto settings = program.settings;
    const bool over = order_.oversubscribed[static_cast<std::size_t>(order_.node_index)] != 0;
    settings.push_back(fmt::format("OMPI_MCA_mpi_oversubscribe={}", over ? 1 : 0));
    settings.push_back("PWD=" + found.directory);
    settings.push_back("OMPI_MCA_initial_wdir=" + found.directory);
    return settings;
  }());
  auto path = find_program(program.words.front(), found.directory);
  if (!path) return fail(path.error());
  found.path = std::move(*path);
  if (auto known = is_known_to_work(found.path); !known) return fail(known.error());
  return found;
}

Result<wire::Meeting> MpirunNode::prepare() {
  AgentOptions options;
  options.bin_dir = os::program_directory();
  if (!has_open_mpi_flux(options)) {
    return fail(Errc::unavailable, "Open MPI has no flux component here");
  }
  auto& direct = plan_.direct.emplace();
  for (const auto& program : order_.programs) {
    const auto index = static_cast<int>(direct.programs.size());
    bool is_here = false;
    for (std::size_t rank = 0; rank < order_.node_of_rank.size(); ++rank) {
      is_here = is_here || (order_.node_of_rank[rank] == order_.node_index &&
                            order_.program_of_rank[rank] == index);
    }
    auto found = is_here ? find(program) : Result<RankProgram>(RankProgram{});
    if (!found) return fail(found.error());
    direct.programs.push_back(std::move(*found));
  }
  direct.node_index = order_.node_index;
  direct.node_of_rank = order_.node_of_rank;
  direct.program_of_rank = order_.program_of_rank;
  direct.hosts = order_.hosts;
  direct.address = order_.addresses[static_cast<std::size_t>(order_.node_index)];
  direct.fan_out = order_.fan_out;
  const mpi::HubTree tree{static_cast<int>(order_.hosts.size()), order_.fan_out};
  if (order_.node_index > 0) {
    direct.hub_address = order_.addresses[static_cast<std::size_t>(tree.parent(order_.node_index))];
  }
  direct.name = order_.name;
  direct.pmi_library = pmi_library(options);
  direct.session_directory = session_ = session_directory(order_);
  direct.universe = order_.universe;
  if (auto bound = bind(direct); !bound) return fail(bound.error());
  if (order_.report_ranks) reports_.emplace();
  const auto tell = [this](const StepMessage& message) {
    if (message.kind != 'Y') return;
    const auto end = rank_end_of(message);
    if (reports_) reports_->ended(end);
    events_.ended(end);
  };
  run_.emplace(plan_, tell, mask_);
  auto meeting = run_->open();
  if (meeting) start_guard();
  return meeting;
}

/// The cores of each rank of this node. What does not fit is for mpirun to say.
Result<void> MpirunNode::bind(DirectPlan& plan) {
  std::vector<int> ranks;
  for (std::size_t i = 0; i < order_.node_of_rank.size(); ++i) {
    if (order_.node_of_rank[i] == order_.node_index) ranks.push_back(static_cast<int>(i));
  }
  const auto& host = order_.hosts[static_cast<std::size_t>(order_.node_index)];
  const auto report = [&](int rank, const std::string& how) {
    if (!order_.report_bindings) return;
    bindings_.push_back(fmt::format("[{}:{}] MCW rank {} {}\n", host, ::getpid(), rank, how));
  };
  if (order_.bind_to.empty()) {
    for (const int rank : ranks) report(rank, std::string(mpi::kNotBound));
    return {};
  }
  if (ranks.empty()) return {};
  auto topology = mpi::parse_topology(export_topology());
  if (!topology) return fail(topology.error());
  const auto has_threads = [](const auto& core) { return core.hardware_threads.size() > 1; };
  if (order_.bind_to == "hwthread" &&
      std::any_of(topology->cores.begin(), topology->cores.end(), has_threads)) {
    return fail(Errc::invalid_argument, "ranks are to be bound to parts of cores");
  }
  const std::vector<mpi::NodeShape> node{{{host, static_cast<int>(ranks.size())}, *topology}};
  const auto places = mpi::place_ranks(node, {0, order_.map_by, order_.bind_to});
  if (!places) return fail(places.error());
  if (places->size() != ranks.size()) {
    return fail(Errc::invalid_argument, "ranks cannot be bound by {}", order_.map_by);
  }
  CpuNumbers numbers;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    const auto& cores = (*places)[i].cores;
    plan.cpus[ranks[i]] = numbers.of_cores(cores);
    report(ranks[i], mpi::binding_text(*topology, cores));
  }
  return {};
}

/// Takes the memory that ranks share away when this process is killed; they die with it.
void MpirunNode::start_guard() {
  auto pipe = open_pipe();
  if (!pipe) return;
  guard_pid_ = ::fork();
  if (guard_pid_ != 0) {
    guard_ = std::move(pipe->second);
    return;
  }
  ::setsid();
  ::prctl(PR_SET_NAME, "cox-guard");  // who kills by the program's name leaves it
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {0, 1, 2}) ::dup2(null, fd);
  ::dup2(pipe->first.get(), 3);
  ::syscall(SYS_close_range, 4U, ~0U, 0U);
  char byte = 0;
  while (::read(3, &byte, 1) < 0 && errno == EINTR) {
  }
  // What dies may have made something yet.
  for (int i = 0; i < 5 && ::access(session_.c_str(), F_OK) == 0; ++i) {
    [[maybe_unused]] const auto removed = os::remove_tree(session_);
    ::poll(nullptr, 0, 20);
  }
  ::_exit(0);
}

Result<os::Fd> MpirunNode::open_file(int rank, int stream) const {
  if (order_.output_directory.empty()) return os::Fd();
  int digits = 1;
  for (std::size_t most = 10; most < order_.node_of_rank.size(); most *= 10) ++digits;
  const auto directory = fmt::format("{}/1/rank.{:0{}}", order_.output_directory, rank, digits);
  if (auto made = os::make_directories(directory, 0755); !made) return fail(made.error());
  const auto path = directory + (stream == 0 ? "/stdout" : "/stderr");
  os::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return fail(os::errno_error(errno, path));
  return file;
}

Result<void> MpirunNode::open_output(int rank) {
  auto out = open_terminal();
  if (!out) return fail(out.error());
  auto err = open_pipe();
  if (!err) return fail(err.error());
  auto out_file = open_file(rank, 0);
  if (!out_file) return fail(out_file.error());
  auto err_file = open_file(rank, 1);
  if (!err_file) return fail(err_file.error());
  streams_.push_back({rank, 0, std::move(out->first), std::move(*out_file)});
  streams_.push_back({rank, 1, std::move(err->first), std::move(*err_file)});
  run_->add_output(rank, std::move(out->second), std::move(err->second));
  return {};
}

Result<void> MpirunNode::launch(const wire::Meeting& meeting, os::Fd input) {
  for (std::size_t i = 0; i < order_.node_of_rank.size(); ++i) {
    if (order_.node_of_rank[i] != order_.node_index) continue;
    if (auto opened = open_output(static_cast<int>(i)); !opened) return opened;
  }
  for (const auto& line : bindings_) events_.said(line);
  if (input) run_->add_input(0, std::move(input));
  run_->launch(meeting);
  return {};
}

void MpirunNode::watch(std::vector<Watch>& watches, bool reading) {
  run_->watch(watches);
  for (auto& stream : streams_) {
    if (!stream.from || !reading) continue;
    watches.push_back({stream.from.get(), POLLIN, [this, &stream] { read(stream); }});
  }
}

void MpirunNode::read(Stream& stream) {
  static std::array<char, 64 * 1024> piece;
  for (std::size_t i = 0; i < kReadsAtOnce && stream.from; ++i) {
    const auto got = ::read(stream.from.get(), piece.data(), piece.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) return stream.from.reset();  // a terminal's end is EIO
    const std::string_view bytes(piece.data(), static_cast<std::size_t>(got));
    if (stream.file && !os::write_all(stream.file.get(), bytes)) stream.file.reset();
    if (reports_) reports_->bytes(stream.rank, stream.number, bytes);
    events_.output(stream.rank, stream.number, bytes);
    pollfd more{stream.from.get(), POLLIN, 0};
    if (::poll(&more, 1, 0) <= 0) break;
  }
  if (reports_) reports_->flush();
}

int MpirunNode::wait_ms() const {
  const int run = run_->wait_ms();
  if (!dry_by_) return run;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*dry_by_ - Clock::now());
  const auto own = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
  return run < 0 ? own : std::min(run, own);
}

void MpirunNode::tick() {
  run_->tick();
  if (!run_->is_finished()) return;
  if (!dry_by_) dry_by_ = Clock::now() + kDrainTime;
  if (Clock::now() < *dry_by_) return;
  for (auto& stream : streams_) stream.from.reset();
}

void MpirunNode::reap() {
  int status = 0;
  rusage usage{};
  for (pid_t pid = 0; (pid = ::wait4(-1, &status, WNOHANG, &usage)) > 0;) {
    run_->child_ended(pid, status, usage);
  }
}

bool MpirunNode::is_dry() const {
  return run_->is_finished() &&
         std::none_of(streams_.begin(), streams_.end(),
                      [](const auto& stream) { return static_cast<bool>(stream.from); });
}

void MpirunNode::finish() {
  if (reports_) reports_->finish();
  if (session_.empty()) return;
  [[maybe_unused]] const auto removed = os::remove_tree(session_);
  guard_.reset();
  if (guard_pid_ > 0) ::waitpid(guard_pid_, nullptr, 0);
}

}  // namespace cox::agent
