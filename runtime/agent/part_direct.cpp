#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "runtime/agent/local_socket.hpp"
#include "runtime/agent/open_mpi.hpp"
#include "runtime/agent/part.hpp"
#include "runtime/agent/part_outputs.hpp"
#include "runtime/agent/topology_probe.hpp"
#include "runtime/mpi/hub_tree.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

/// A part whose ranks the step starts itself: their plan, their output and their end.
namespace cox::agent {

namespace {
constexpr const char* kSharedMemory = "/dev/shm";

bool has_shared_memory() {
  static const bool has = [] {
    struct stat status {};
    return ::stat(kSharedMemory, &status) == 0 && S_ISDIR(status.st_mode);
  }();
  return has;
}
}  // namespace

Part::RankOutput::RankOutput(os::EventLoop& loop, const Sink& sink,
                             const std::function<void()>& end)
    : out(
          loop, [this, sink](std::string_view piece) { sink(0, out_lines, piece); }, end),
      err(
          loop, [this, sink](std::string_view piece) { sink(1, err_lines, piece); }, end) {}

/// What ranks have in memory that outlives them, and their session files: beside other jobs' in the
/// node's shared memory, where there is any.
std::string Part::session_directory() const {
  if (const auto own = shared_directory(); !own.empty()) {
    return fmt::format("{}/{}", own, key_.node_index);
  }
  if (!has_shared_memory()) return home_ + "/.session";
  return fmt::format("{}/cox-{}.{}", kSharedMemory, directory_name_, key_.node_index);
}

/// On a host: a directory of the part's own in memory, at one path on all nodes of the job, because
/// mpirun hands its settings on.
std::string Part::shared_directory() const {
  const auto& all = host_.options.shared_memory;
  return all.empty() ? "" : all + "/" + directory_name_;
}

/// Beneath it our mpirun keeps what each launch of its own shares: it is the user's to make.
std::string Part::launches_directory() const {
  if (const auto own = shared_directory(); !own.empty()) return own + "/launches";
  if (!has_shared_memory()) return home_ + "/.launches";
  return fmt::format("{}/cox-{}.launches.{}", kSharedMemory, directory_name_, key_.node_index);
}

Result<DirectPlan> Part::plan_ranks() const {
  if (prepare_->mpi_library == "openmpi" && !has_open_mpi_flux(host_.options)) {
    return fail(Errc::conflict, "the Open MPI of this node cannot be launched directly");
  }
  DirectPlan plan;
  plan.node_index = key_.node_index;
  plan.address = host_.options.address;
  plan.name = directory_name_;
  plan.pmi_library = pmi_library(host_.options);
  plan.session_directory = session_directory();
  plan.fan_out = mpi::kHubFanOut;
  const mpi::HubTree tree{static_cast<int>(prepare_->peers.size()), plan.fan_out};
  for (const auto& peer : prepare_->peers) {
    plan.hosts.push_back(peer.hostname);
    if (peer.node_index == tree.parent(key_.node_index)) plan.hub_address = peer.address;
  }
  CpuNumbers cpus;
  for (std::size_t rank = 0; rank < prepare_->seats.size(); ++rank) {
    const auto& seat = prepare_->seats[rank];
    plan.node_of_rank.push_back(seat.node_index);
    if (seat.node_index != key_.node_index || seat.cores.empty()) continue;
    plan.cpus[static_cast<int>(rank)] = cpus.of_cores(seat.cores);
  }
  return plan;
}

void Part::launch_ranks(const wire::Meeting& meeting) {
  for (std::size_t i = 0; i < prepare_->seats.size(); ++i) {
    if (prepare_->seats[i].node_index != key_.node_index) continue;
    const int rank = static_cast<int>(i);
    auto output = std::make_unique<RankOutput>(
        host_.loop,
        [this, rank](std::uint8_t stream, LineCutter& lines, std::string_view piece) {
          bytes(rank, stream, lines, piece);
        },
        [this] { drain(); });
    auto out = output->out.open();
    auto err = output->err.open();
    if (!out || !err) return begin_end(1, "no pipe to be had for a rank's output");
    rank_outputs_[rank] = std::move(output);
    step_->add_output(rank, std::move(out), std::move(err));
  }
  phase_ = Phase::running;
  step_->launch_ranks(meeting);
}

void Part::step_rank_ended(const RankEnd& end) {
  wire::RankExited ended{key_,       end.rank, end.at_ms, end.exit_code, end.max_rss_kib,
                         end.cpu_us, end.how};
  if (memory_ && memory_->exceeded() && end.exit_code != 0 && end.how.empty()) {
    ended.how = fmt::format("was killed: {}", kOutOfMemory);
  }
  rank_ended(ended);
}

void Part::ranks_over(int exit_code, std::string reason) {
  const bool by_memory = memory_ && memory_->exceeded() && exit_code != 0;
  if (stopping_ && exit_code > 128) exit_code = 137;  // what AWS Batch shows for what was stopped
  begin_end(exit_code, by_memory ? kOutOfMemory : std::move(reason));
}

void Part::finish_rank_lines() {
  for (auto& [rank, output] : rank_outputs_) {
    auto& own = log(rank);
    const auto at = os::SystemClock().now().value;
    const auto add = [&](std::uint8_t stream) {
      return [&own, at, stream](std::string& line, std::uint32_t count) {
        own.add(at, stream, std::move(line), count);
      };
    };
    output->out_lines.finish(add(0));
    output->err_lines.finish(add(1));
  }
  if (!is_direct()) return;
  if (const auto removed = os::remove_tree(session_directory()); !removed) {
    os::log_warn("{}: {}", part_text(key_), removed.error().message);
  }
}

void Part::unseen(const wire::OutputUnseen& unseen) {
  const auto found = logs_.find(unseen.rank);
  if (found == logs_.end()) return;
  found->second->send_instead();
  pump();
}

bool Part::any_pipe_open() const {
  return out_.is_open() || err_.is_open() ||
         std::any_of(rank_outputs_.begin(), rank_outputs_.end(), [](const auto& each) {
           return each.second->out.is_open() || each.second->err.is_open();
         });
}

void Part::rank_lines(wire::Output output) {
  auto& own = log(output.rank);
  for (auto& record : output.records) {
    const auto count = lines_in(record.text);
    own.add(record.at_ms, record.stream, std::move(record.text), count);
  }
  pump();
}

void Part::rank_ended(const wire::RankExited& message) {
  pump();
  ranks_.push_back(message);
  ranks_.back().part = key_;
  tell_started();
  host_.send(ranks_.back());
}

/// Makes the writers of a log wait, or lets them go on.
void Part::hold_output(int rank, bool hold) {
  const auto act = [hold](OutputPipe& pipe) { hold ? pipe.pause() : pipe.resume(); };
  if (rank < 0) {
    act(out_);
    act(err_);
  } else if (const auto found = rank_outputs_.find(rank); found != rank_outputs_.end()) {
    act(found->second->out);
    act(found->second->err);
  }
}

void Part::for_each_pipe(const std::function<void(OutputPipe&)>& act) {
  act(out_);
  act(err_);
  for (auto& [rank, output] : rank_outputs_) {
    act(output->out);
    act(output->err);
  }
}

}  // namespace cox::agent
