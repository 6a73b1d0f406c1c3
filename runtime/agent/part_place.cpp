#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "runtime/agent/local_socket.hpp"
#include "runtime/agent/part.hpp"
#include "runtime/agent/part_outputs.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

/// What a part takes of its node, and gives back: a directory, a process, a limit of memory.
namespace cox::agent {

/// Of the agent's making in a directory that jobs cannot write, and the user's from then on.
Result<void> Part::make_own_directory(const std::string& path) const {
  if (::mkdir(path.c_str(), 0700) != 0) {
    return fail(os::errno_error(errno, "cannot make " + path));
  }
  const auto& user = prepare_->user;
  if (::geteuid() == 0 && ::chown(path.c_str(), user.uid, user.gid) != 0) {
    return fail(os::errno_error(errno, "cannot give " + path + " to its user"));
  }
  return {};
}

/// The part's private directory; only this one is made with the agent's rights, in a directory
/// that jobs cannot write.
Result<std::string> Part::make_home() const {
  const auto home = host_.options.scratch + "/" + directory_name_;
  if (host_.homes.take(home, prepare_->user, prepare_->directory)) return home;
  if (auto removed = os::remove_tree(home); !removed) return fail(removed.error());
  if (auto made = make_own_directory(home); !made) return fail(made.error());
  return home;
}

/// The step, within its memory. Of a container the limit comes later: podman's own processes are
/// not the job's.
Result<void> Part::make_step(StepPlan plan, StepEvents events) {
  if (!has_container()) {
    if (auto spare = host_.spare_steps.take(plan, prepare_->memory_mib, events, ends_)) {
      step_ = std::move(spare->step);
      memory_ = std::move(spare->memory);
    }
  }
  if (!step_) {
    auto step = Step::fork(host_.loop, std::move(plan), std::move(events));
    if (!step) return fail(step.error());
    step_ = std::move(*step);
  }
  if (!has_container() && !memory_) {
    memory_ = limit_memory(host_.loop, host_.cgroups, step_->pid(), prepare_->memory_mib,
                           [this] { signal_all(SIGKILL); });
  }
  return {};
}

/// One that has run a command, and has nothing left below it, is as good as new for its user.
/// Another node's command may be on its way to it.
void Part::give_step() {
  if (!step_) return;
  const bool is_clean = started_ms_ != 0 && !is_direct() && !has_container() && !had_remotes_;
  if (is_clean) {
    host_.spare_steps.give(std::move(step_), std::move(memory_), prepare_->user);
  } else {
    ::kill(step_->pid(), SIGKILL);
    step_.reset();
  }
}

void Part::clear() {
  if (!logs_.empty()) {
    if (const auto removed = host_.spool.remove(directory_name_ + "/"); !removed) {
      os::log_warn("{}: {}", part_text(key_), removed.error().message);
    }
  }
  memory_.reset();
  rank_outputs_.clear();
  if (has_container()) {
    if (const auto removed = os::remove_tree(container_directory()); !removed) {
      os::log_warn("{}: {}", part_text(key_), removed.error().message);
    }
  }
  if (home_.empty()) return;
  if (const auto removed = os::remove_tree(launches_directory()); !removed) {
    os::log_warn("{}: {}", part_text(key_), removed.error().message);
  }
  if (const auto own = shared_directory(); !own.empty()) {
    if (const auto removed = os::remove_tree(own); !removed) {
      os::log_warn("{}: {}", part_text(key_), removed.error().message);
    }
  }
  if (const auto given = host_.homes.give(home_, prepare_->user, prepare_->directory); !given) {
    os::log_warn("{}: {}", part_text(key_), given.error().message);
  }
}

}  // namespace cox::agent
