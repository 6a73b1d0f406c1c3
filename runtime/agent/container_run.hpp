#pragma once

#include <signal.h>
#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/agent/container_plan.hpp"
#include "runtime/agent/run_program.hpp"
#include "runtime/agent/step.hpp"

namespace cox::agent {

/// A part's container, as the step makes it with the job's user's rights: the step moves into
/// namespaces of its own, so that what podman mounts goes with the step's last process, however
/// that ends. All calls run podman to its end; nothing else happens in the step meanwhile.
class ContainerRun {
 public:
  using Progress = std::function<void(const std::string&)>;

  /// `control`: once there is something to read on it no program is started any more.
  /// `unblocked`: the signal mask that programs start with.
  ContainerRun(const StepPlan& plan, int control, const sigset_t& unblocked, Progress progress);

  /// Finds the image or brings it to the node, and makes the container.
  /// Errors: in AWS's words, "CannotPullContainerError: …" or "CannotCreateContainerError: …".
  [[nodiscard]] Result<void> prepare();

  /// What init() writes to the container's standard output before anything of it runs.
  static constexpr std::size_t kInitBytes = 65;
  /// Sets the container up, with these as its descriptors. Its first process, which waits.
  [[nodiscard]] Result<pid_t> init(int in, int out, int err);
  [[nodiscard]] Result<void> start();

  [[nodiscard]] bool is_running() const { return running_; }
  /// By which number the node knows who runs in it.
  [[nodiscard]] std::uint32_t user() const {
    return !machine_.user_namespace && numbers_ ? numbers_->uid : plan_.user.uid;
  }
  /// The process that watches the container; ends after it. 0: there is none.
  [[nodiscard]] pid_t monitor() const { return monitor_; }
  /// After the monitor's end: how the container ended, as a wait status.
  [[nodiscard]] int ended();

  /// What runs a command line within the container.
  struct Entry {
    std::vector<std::string> words;
    std::vector<std::string> environment;
  };
  [[nodiscard]] Entry entry(const std::string& command) const;

 private:
  [[nodiscard]] Result<void> enter_namespaces();
  [[nodiscard]] Result<void> look_at_machine();
  [[nodiscard]] Result<void> furnish();
  [[nodiscard]] Result<void> bring_image();
  [[nodiscard]] bool find_image(const std::vector<std::string>& names);
  [[nodiscard]] Result<std::string> pull(const ImageSource& source);
  [[nodiscard]] Result<void> choose_user();
  [[nodiscard]] Result<void> make_mount_sources();
  [[nodiscard]] Result<void> create();
  void own_home() const;
  [[nodiscard]] std::string why_not();

  [[nodiscard]] std::vector<std::string> with(std::vector<std::string> words,
                                              const std::vector<std::string>& more) const;
  [[nodiscard]] Result<RanProgram> run(
      const std::vector<std::string>& words,
      const std::function<void(const std::string&)>& line = {}) const;

  const StepPlan& plan_;
  ContainerPlan box_;
  int control_;
  const sigset_t& unblocked_;
  Progress progress_;
  ContainerMachine machine_;
  std::vector<std::string> environment_;  ///< podman's own
  std::vector<std::string> stores_;
  std::string not_found_;  ///< podman's last word on an image that no store has
  std::string image_id_;
  std::string user_;
  std::optional<ContainerUser> numbers_;
  std::string id_;
  pid_t first_ = 0;  ///< the container's first process
  pid_t monitor_ = 0;
  bool preparing_ = true;
  bool running_ = false;
};

}  // namespace cox::agent
