#include <sched.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <map>

#include "runtime/agent/container_run.hpp"
#include "runtime/agent/local_socket.hpp"
#include "runtime/agent/part.hpp"
#include "runtime/agent/variables.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

/// A part whose command runs in a container: where its things are, and what it is told.
namespace cox::agent {

namespace {
constexpr mode_t kPassThrough = 0711;
constexpr auto kClearUpTime = std::chrono::seconds(20);

std::vector<int> allowed_processors() {
  std::vector<int> list;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return list;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) list.push_back(i);
  }
  return list;
}

void bind(pid_t process, const std::vector<int>& processors) {
  if (processors.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int each : processors) CPU_SET(each, &set);
  if (::sched_setaffinity(process, sizeof set, &set) != 0) {
    os::log_warn("process {} cannot be bound to its processors", process);
  }
}

/// Of an address: nodes of one machine begin at different processors.
std::size_t last_number(std::string_view address) {
  const auto number = to_int(address.substr(address.rfind('.') + 1));
  return static_cast<std::size_t>(number.value_or(0));
}

}  // namespace

std::string Part::container_directory() const {
  return host_.options.scratch + "/.containers/" + directory_name_;
}

/// Containers' own storage is apart from the job's directory, which they see.
Result<ContainerPlan> Part::plan_container() const {
  ContainerPlan plan;
  plan.container = prepare_->container;
  plan.directory = container_directory();
  const auto stores = host_.options.scratch + "/.images";
  plan.store = fmt::format("{}/{}", stores, prepare_->user.uid);
  for (const auto& directory : {stores, host_.options.scratch + "/.containers"}) {
    if (auto made = os::make_directories(directory, kPassThrough); !made) return fail(made.error());
  }
  if (auto removed = os::remove_tree(plan.directory); !removed) return fail(removed.error());
  if (auto made = make_own_directory(plan.directory); !made) return fail(made.error());
  struct stat there {};
  if (::lstat(plan.store.c_str(), &there) != 0) {
    if (auto made = make_own_directory(plan.store); !made) return fail(made.error());
  }
  const auto& options = host_.options;
  plan.extras = {{home_, home_, false},
                 {options.bin_dir, options.bin_dir, true},
                 {options.socket, options.socket, false},
                 {"/etc/hosts", "/etc/hosts", true}};
  return plan;
}

/// The image has its own PATH, HOME and the like; only a multi-node job is told of HOME, because
/// that is where its hostfile is.
std::vector<std::string> Part::container_environment() const {
  Variables variables;
  if (prepare_->multi_node) {
    variables.set("HOME", home_);
    variables.set("OMPI_ALLOW_RUN_AS_ROOT", "1");
    variables.set("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    // Its container forbids a process to read another's memory.
    variables.set("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
  }
  variables.set("COX_JOB_DIR",
                prepare_->directory.empty() ? home_ : home_ + "/" + prepare_->directory);
  for (const auto& variable : prepare_->environment) variables.set(variable.name, variable.value);
  variables.set(kPartVariable, part_text(key_));
  variables.set(kSocketVariable, host_.options.socket);
  for (const auto& variable : prepare_->mpi_environment) {
    // The topology is written for this machine's hwloc, not for the image's.
    if (!variable.name.starts_with("HWLOC_")) variables.add(variable.name, variable.value);
  }
  return std::move(variables).list();
}

/// The step is not root's: what it tells must be true of one of its own.
bool Part::is_of_step(pid_t process) const {
  if (!step_) return false;
  const auto below = processes_below(step_->pid());
  return std::find(below.begin(), below.end(), process) != below.end();
}

/// From here on the container alone is what is limited and signalled; podman's own processes are
/// not the job's.
void Part::container_made(pid_t first, std::uint32_t user) {
  if (phase_ != Phase::running) return;
  if (!is_of_step(first)) {
    return begin_end(137, "its container ended before it started");
  }
  container_ = first;
  // Root lends any number to its containers; nobody else has one to lend.
  if (prepare_->user.uid == 0) container_user_ = user;
  processors_ = choose_processors(allowed_processors(), host_.processors_in_use(), prepare_->vcpus,
                                  last_number(host_.options.address));
  bind(first, processors_);
  memory_ = limit_memory(
      host_.loop, host_.cgroups, first, prepare_->memory_mib, [this] { signal_all(SIGKILL); },
      true);
  if (stopping_) signal_all(SIGTERM);
  step_->go();
}

/// A command of cox-rsh: the container's limits are its own too.
void Part::entering(pid_t process) {
  if (!is_of_step(process)) return;
  if (memory_) memory_->include(process);
  bind(process, processors_);
  ::kill(process, SIGCONT);
}

/// The container was killed: podman has a while to clear up, then it goes too.
void Part::give_up_on_podman() {
  kill_timer_ = host_.loop.after(kClearUpTime, [this] {
    if (!step_) return;
    for (const auto pid : processes_below(step_->pid())) ::kill(pid, SIGKILL);
  });
}

void Part::progress(std::string text) {
  if (phase_ != Phase::preparing) return;
  progress_ = std::move(text);
  host_.send(wire::Preparing{key_, progress_});
}

/// podman's first line, which it writes before the container's first process runs.
std::string_view Part::without_init_line(std::string_view piece) {
  const auto ours = std::min(init_bytes_, piece.size());
  init_bytes_ -= ours;
  return piece.substr(ours);
}

}  // namespace cox::agent
