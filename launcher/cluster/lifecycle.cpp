#include "launcher/cluster/lifecycle.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <filesystem>

#include "launcher/cluster/daemon.hpp"
#include "launcher/cluster/hosts.hpp"
#include "launcher/cluster/kept_storage.hpp"
#include "launcher/cluster/processes.hpp"
#include "launcher/provider/agent_bundle.hpp"
#include "launcher/provider/memory_cgroup.hpp"
#include "launcher/provider/node_files.hpp"
#include "launcher/provider/slurm_site.hpp"
#include "launcher/provider/ssh_command.hpp"
#include "launcher/provider/ssh_probe.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/failpoint.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"
#include "runtime/os/http.hpp"
#include "runtime/os/process.hpp"

namespace cox::cluster {

namespace {

constexpr auto kEndTime = std::chrono::seconds(20);
// Hosts that do not answer are tried for a while.
constexpr auto kHostsEndTime = std::chrono::seconds(90);
// A daemon that is killed may have brought up one more node meanwhile.
constexpr int kRounds = 5;

/// Ends every process of the cluster that a crash, or a failed start, may have left.
Result<void> kill_remains(const std::string& directory, const std::string& name) {
  for (int round = 0; round < kRounds; ++round) {
    const auto daemons = daemons_of(directory);
    if (auto ended = kill_all(daemons, kEndTime); !ended) return ended;
    const auto nodes = nodes_of(directory);
    if (auto ended = kill_all(nodes, kEndTime); !ended) return ended;
    if (daemons.empty() && nodes.empty()) break;
  }
  for (const auto& node : provider::nodes_on_disk(directory)) {
    if (auto removed = provider::remove_memory_cgroup(name, node.value); !removed) return removed;
  }
  return {};
}

/// Asks the daemon to end the cluster, and waits until it has. Does nothing when there is none.
void ask_to_end(const std::string& directory) {
  const bool hosts = is_there(directory + "/ssh/plan.json");
  const auto daemons = daemons_of(directory);
  auto socket = os::connect_unix(socket_of(directory));
  if (!socket || daemons.empty()) return;
  os::HttpClient client(std::move(*socket));
  os::HttpRequest request;
  request.method = "POST";
  request.target = "/cox/v1/shutdown";
  const auto answer = client.call(request);
  if (!answer || answer->status != 200) return;
  for (const auto& daemon : daemons) {
    if (!wait_for_end(daemon, hosts ? kHostsEndTime : kEndTime)) return;
  }
}

/// Removes what the cluster has at a Slurm site, where its daemon did not.
void clear_remains_at_site(const std::string& directory,
                           const std::function<void(const std::string&)>& progress) {
  const auto plan = provider::load_site(directory);
  if (!plan || !*plan || is_there(directory + "/ssh/ended")) return;
  for (const auto& trouble : provider::clear_site(**plan)) {
    progress(fmt::format("{}; see squeue --me --name=coxswain-{}, and {}", trouble,
                         (*plan)->cluster, (*plan)->stage));
  }
}

/// Removes what the cluster has on hosts, where its daemon did not. A host that cannot be reached
/// is told of and left: the agent there leaves by itself when it finds no head any more.
void clear_remains_on_hosts(const std::string& directory,
                            const std::function<void(const std::string&)>& progress) {
  clear_remains_at_site(directory, progress);
  const auto plan = provider::load_plan(directory);
  if (!plan || !*plan) return;
  const auto told = os::read_file(directory + "/ssh/left");
  const bool ended_well = is_there(directory + "/ssh/ended");
  auto troubles = told         ? split(trim(*told), '\n')
                  : ended_well ? std::vector<std::string>{}
                               : provider::clear_hosts(**plan);
  for (const auto& trouble : troubles) {
    progress(fmt::format("{}; what is left there is {} and {}", trouble,
                         provider::host_base((*plan)->tag),
                         provider::host_shared_memory((*plan)->tag)));
  }
}

/// All that remove() does once the cluster is locked.
Result<void> take_down(const std::string& directory, const std::string& name,
                       const std::function<void(const std::string&)>& progress) {
  if (auto record = load_record(directory)) {
    record->status = "DELETE_IN_PROGRESS";
    record->updated_at = os::SystemClock().now();
    [[maybe_unused]] const auto saved = save_record(directory, *record);
  }
  progress("ending the nodes");
  ask_to_end(directory);
  if (auto ended = kill_remains(directory, name); !ended) return ended;
  clear_remains_on_hosts(directory, progress);
  if (auto kept = keep_storage(directory, name, progress); !kept) return kept;
  progress("removing the cluster's files");
  return os::remove_tree(directory);
}

Result<void> write_files(const std::string& directory, const CreateRequest& request) {
  for (const auto* part : {"/api", "/home", "/shared", "/nodes"}) {
    if (auto made = os::make_directories(directory + part, 0755); !made) return made;
  }
  if (auto on = os::failpoint("create/directories"); !on) return on;
  auto kept = os::write_file_atomic(directory + "/config", request.config_text, 0644);
  if (kept) kept = os::failpoint("create/configured");
  if (!kept) return kept;
  Record record;
  record.name = request.name;
  record.status = "CREATE_IN_PROGRESS";
  record.version = kVersion;
  record.region = request.config.region;
  record.scheduler = request.config.scheduler;
  record.v2 = request.config.v2;
  record.config_file_name = request.config_file.substr(request.config_file.rfind('/') + 1);
  record.cluster_template = request.cluster_template;
  record.tags = request.tags;
  record.created_at = record.updated_at = os::SystemClock().now();
  return save_record(directory, record);
}

/// Asks the file's Slurm site whether it would take the smallest pilot of each environment.
Result<void> find_site(const std::string& directory, const CreateRequest& request) {
  if (!uses_site(request.config)) return {};
  auto plan = plan_site(request.config, request.name, directory);
  if (!plan) return fail(plan.error());
  plan->max_seconds = provider::longest_time(*plan);
  // Directories are shared there as they are here.
  for (const auto& storage : request.config.shared) {
    if (storage.source == "existing") continue;
    return fail(Errc::invalid_argument,
                "{}: the source {} is for hosts reached by ssh, and a Slurm site's nodes are not "
                "known beforehand: name a directory that the site shares, and leave Source out",
                storage.as_configured, storage.source);
  }
  const auto settings = config::to_settings(request.config, request.name);
  for (const auto& environment : settings.environments) {
    const auto& ours = plan->environments;
    const bool is_ours = std::find(ours.begin(), ours.end(), environment.name.value) != ours.end();
    if (!is_ours || environment.instance_types.empty()) continue;
    const auto& type = environment.instance_types.front();
    const auto checked =
        provider::check_site(*plan, {.id = "test",
                                     .nodes = 1,
                                     .vcpus = type.vcpus,
                                     .memory_mib = type.memory.value,
                                     .seconds = provider::lending_of(*plan).default_s});
    if (!checked)
      return fail(within("compute environment " + environment.name.value, checked.error()));
  }
  return provider::save_site(directory, *plan);
}

/// Looks at the hosts of the file and writes down what is found there.
Result<void> find_hosts(const std::string& directory, const CreateRequest& request) {
  if (!uses_hosts(request.config) && !uses_site(request.config)) return {};
  const auto file = std::filesystem::absolute(request.config_file).lexically_normal();
  auto plan = plan_hosts(request.config, request.name, file.parent_path().string());
  if (!plan) return fail(plan.error());
  if (plan->hosts.empty()) return provider::save_plan(directory, *plan);
  const auto bundle = provider::pack_agent(os::program_directory());
  if (!bundle) return fail(bundle.error());
  // First, so that what is copied now is found again whatever happens.
  if (auto kept = provider::save_plan(directory, *plan); !kept) return kept;
  const auto demands = demands_of(request.config);
  const auto looks = provider::look_at_hosts(*plan, demands, *bundle);
  if (!looks) return fail(looks.error());
  std::vector<std::string> faults;
  for (const auto& trouble : provider::judge_hosts(*plan, demands, *looks)) {
    if (trouble.gravity == provider::Gravity::error) faults.push_back(render_trouble(trouble));
  }
  if (!faults.empty()) return fail(Errc::unavailable, "{}", join(faults, "\n"));
  std::vector<provider::HostFacts> facts;
  for (const auto& look : *looks) facts.push_back(*look.facts);
  provider::apply_facts(*plan, facts, provider::choose_addresses(*looks));
  return provider::save_plan(directory, *plan);
}

tl::unexpected<Error> already_exists(const std::string& name) {
  return fail(Errc::conflict, "cluster {} already exists", name);
}

/// Makes the cluster's empty directory and locks it. Of two at once, one succeeds.
/// Errors: conflict; not_found when the state root went away meanwhile.
Result<os::Fd> claim(const std::string& root, const std::string& name) {
  if (auto made = os::make_directories(root, 0755); !made) return fail(made.error());
  const auto turn = lock_directory(root, true);
  if (!turn) return fail(turn.error());
  const auto directory = root + "/" + name;
  if (is_there(directory)) {
    const auto record = load_record(directory);
    // A record that cannot be read is no leftover: there may be somebody's files.
    const bool is_damaged = !record && record.error().code != Errc::not_found;
    const bool is_complete = is_damaged || (record && is_made(record->status));
    const bool has_failed = record && record->status == "CREATE_FAILED";
    if (is_complete || (!has_failed && is_attended(directory))) return already_exists(name);
    const auto old = lock_directory(directory, false);
    if (!old) return already_exists(name);
    if (auto gone = take_down(directory, name, [](const std::string&) {}); !gone) {
      return fail(gone.error());
    }
  }
  if (::mkdir(directory.c_str(), 0755) != 0) return fail(os::errno_error(errno, directory));
  return lock_directory(directory, true);
}

/// The state root goes with the last cluster, where it was made for them.
void forget_empty_root(const std::string& directory) {
  const auto root = directory.substr(0, directory.rfind('/'));
  const auto turn = lock_directory(root, false);
  if (turn) ::rmdir(root.c_str());
}

}  // namespace

Result<Record> create(const CreateRequest& request) {
  if (auto good = check_name(request.name); !good) return fail(good.error());
  const auto root = state_root();
  // A cluster that is visible from elsewhere has the name too.
  if (const auto other = directory_of(request.name);
      other != root + "/" + request.name && is_there(other)) {
    return already_exists(request.name);
  }
  auto claimed = claim(root, request.name);
  if (!claimed && claimed.error().code == Errc::not_found) claimed = claim(root, request.name);
  if (!claimed) return fail(claimed.error());
  const auto directory = root + "/" + request.name;
  auto done = os::failpoint("create/claimed")
                  .and_then([&] { return write_files(directory, request); })
                  .and_then([] { return os::failpoint("create/recorded"); })
                  .and_then([&] { return find_site(directory, request); })
                  .and_then([&] { return find_hosts(directory, request); })
                  .and_then([&] { return start_daemon(directory); })
                  .and_then([] { return os::failpoint("create/served"); });
  if (done) return load_record(directory);
  const auto why = done.error();
  auto undone = kill_remains(directory, request.name);
  clear_remains_on_hosts(directory, [](const std::string&) {});
  if (undone) undone = os::remove_tree(directory);
  if (!undone) {
    return fail(Errc::internal, "{}; and {} could not be removed: {}", why.message, directory,
                undone.error().message);
  }
  claimed->reset();
  forget_empty_root(directory);
  return fail(why);
}

Result<void> remove(const std::string& name,
                    const std::function<void(const std::string&)>& progress) {
  const auto directory = directory_of(name);
  struct stat seen {};
  if (::lstat(directory.c_str(), &seen) != 0) return {};
  if (::geteuid() != 0 && ::geteuid() != seen.st_uid) {
    return fail(Errc::invalid_argument, "cluster {} belongs to another user", name);
  }
  {
    const auto own = lock_directory(directory, true);
    if (!own && own.error().code == Errc::not_found) return {};
    if (!own) return fail(own.error());
    // Whoever held the lock before may have removed it.
    if (is_there(directory)) {
      if (auto gone = take_down(directory, name, progress); !gone) return gone;
    }
  }
  forget_empty_root(directory);
  return {};
}

}  // namespace cox::cluster
