#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "launcher/provider/local_provider.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/fd.hpp"

namespace cox::provider {

/// A cluster directory of its own for one test, removed with it, and the processes that a test
/// needs to be several users and several daemons.
class NodeWorld {
 public:
  /// `uid` owns all. A test that runs as root may ask for any; another only for its own.
  explicit NodeWorld(unsigned uid);
  ~NodeWorld();
  NodeWorld(const NodeWorld&) = delete;
  NodeWorld& operator=(const NodeWorld&) = delete;

  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] LocalClusterPlan plan() const;

  /// Runs `body` in a process of its own as the world's user, and returns what it returned. Kills
  /// it after 60 s. `lasting`: the process then stays until kill_lasting().
  [[nodiscard]] std::string in_process(const std::function<std::string()>& body,
                                       bool lasting = false);
  void kill_lasting();

  /// Output and " -> <exit code>" of a shell command inside the node, run from here as the user.
  [[nodiscard]] std::string in_node(const NodeId& id, const std::string& command);

  /// The same with a login shell on a terminal of its own, to which `typed` is typed.
  [[nodiscard]] std::string in_login_shell(const NodeId& id, const std::string& typed);

  /// Starts <directory>/bin/coxd as the user. Its ready line is read from `ready`.
  struct Daemon {
    int pid = 0;
    os::Fd ready;
  };
  [[nodiscard]] Daemon start_coxd() const;
  /// Reads to the end of the descriptor, for at most 30 s.
  [[nodiscard]] static std::string read_all(const os::Fd& descriptor);
  /// The exit code of a child of this process, after at most 30 s; -1: it still runs.
  [[nodiscard]] static int wait_for_exit(int pid);

  /// What is left of nodes: processes that run from the directory, mounts and cgroups that name it
  /// or the cluster, files in nodes/. Waits up to 5 s for it to become empty.
  [[nodiscard]] std::vector<std::string> leftovers() const;

 private:
  [[nodiscard]] std::vector<std::string> leftovers_now() const;

  unsigned uid_;
  std::string directory_;
  std::optional<int> lasting_;
};

/// The part of a keeper and a worker that a test needs, in one process.
class NodeHost {
 public:
  /// Enters the cluster's name spaces. Errors end the process with the text.
  explicit NodeHost(const NodeWorld& world);

  /// Each of these runs the loop until the answer is there (at most 30 s) and puts it in words.
  std::string provision(const NodeId& id, int ordinal, const std::string& type = "c4.large");
  std::string terminate(const NodeId& id);
  std::string end_all();
  std::string next_end();  ///< "<id>: <clause>" of a node that ended by itself

  [[nodiscard]] LocalProvider& provider() { return *provider_; }
  [[nodiscard]] const os::Fd& network() const { return network_; }
  [[nodiscard]] os::EventLoop& loop() { return loop_; }

  static NodeRequest request(const NodeId& id, int ordinal, const std::string& type);

  /// Runs the loop until the text is set.
  std::string await(const std::optional<std::string>& text);

 private:
  os::EventLoop loop_;
  os::Fd network_;
  os::Fd reports_;
  os::SubscriptionPtr reaper_;
  std::unique_ptr<LocalProvider> provider_;
  std::optional<std::string> ended_;
};

}  // namespace cox::provider
