#include "launcher/provider/ssh_provider.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <map>
#include <optional>

#include "launcher/provider/agent_bundle.hpp"
#include "launcher/provider/nfs_mount.hpp"
#include "launcher/provider/node_files.hpp"
#include "launcher/provider/own_addresses.hpp"
#include "launcher/provider/ssh_command.hpp"
#include "launcher/provider/ssh_host.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

namespace cox::provider {
namespace {

namespace json = boost::json;
using namespace std::chrono_literals;

using ProvisionDone = std::function<void(Result<ProvisionedNode>)>;
using TerminateDone = std::function<void(Result<void>)>;

constexpr std::size_t kHere = ~std::size_t{0};  ///< this machine, for the head node
constexpr std::chrono::milliseconds kFirstPause = 1s;
constexpr std::chrono::milliseconds kLastPause = 10s;
constexpr auto kEndTime = 30s;
constexpr int kLeaveAfterSeconds = 3600;
constexpr auto kHereTime = 20s;

struct SshNode {
  std::size_t host = kHere;
  ProvisionedNode answer;
  bool is_up = false;
  std::vector<ProvisionDone> when_up;
  std::vector<TerminateDone> when_ended;
  bool ending = false;
  std::unique_ptr<HostTask> task;
  std::unique_ptr<ProgramRun> here;
  std::unique_ptr<HostTask> tunnel;
  os::SubscriptionPtr again;
  std::chrono::milliseconds pause = kFirstPause;
};

/// What is known of a host's willingness.
struct HostState {
  std::optional<NodeId> node;  ///< that has it, or whose remains are still there
  int failures = 0;            ///< in a row
  std::string trouble;
};

std::string own_hostname() {
  std::array<char, 256> name{};
  (void)::gethostname(name.data(), name.size() - 1);
  return name.data();
}

class Provider : public SshProvider {
 public:
  Provider(os::EventLoop& loop, SshProviderOptions options, AgentBundle bundle)
      : loop_(loop),
        options_(std::move(options)),
        access_{loop, options_.plan.tag, std::make_shared<AgentBundle>(std::move(bundle))},
        hosts_(options_.plan.hosts.size()) {}
  ~Provider() override { *alive_ = false; }

  bool serves(const ComputeEnvironmentName& environment) const override {
    if (environment.empty()) return options_.plan.alone;
    return std::any_of(options_.plan.hosts.begin(), options_.plan.hosts.end(),
                       [&](const auto& host) { return host.environment == environment.value; });
  }
  bool knows(const NodeId& id) const override { return nodes_.contains(id); }
  std::optional<std::size_t> host_of(const NodeId& id) const override {
    const auto found = nodes_.find(id);
    if (found == nodes_.end() || found->second.host == kHere) return std::nullopt;
    return found->second.host;
  }

  void provision(NodeRequest request, ProvisionDone done) override;
  void terminate(const NodeId& id, TerminateDone done) override;
  void on_node_ended(std::function<void(NodeId, std::string)> /*handler*/) override {
    // Nobody here sees a node's end: its agent's silence tells the head.
  }
  std::vector<NodeId> adopt(const std::vector<Node>& known) override;
  void end_all(std::function<void(std::vector<std::string>)> done) override;

 private:
  [[nodiscard]] Result<std::size_t> choose_host(const NodeRequest& request) const;
  [[nodiscard]] json::object agent_options(const NodeRequest& request) const;
  void start_here(const NodeRequest& request);
  void start_on_host(const NodeRequest& request);
  void mounted(const NodeRequest& request, const Result<std::string>& said);
  void start_agent(const NodeRequest& request);
  void started(const NodeId& id, Result<std::string> said);
  void failed(const NodeId& id, const Error& why);
  void open_tunnel(const NodeId& id);
  void clear(const NodeId& id);
  void cleared(const NodeId& id, const Result<void>& result);
  void run_here(const NodeId& id, std::vector<std::string> words, const std::string& input,
                std::function<void(Result<std::string>)> done);
  void later(std::function<void()> action) {
    loop_.post([alive = alive_, action = std::move(action)] {
      if (*alive) action();
    });
  }
  [[nodiscard]] std::string record_path(const NodeId& id) const {
    return options_.cluster_directory + "/ssh/nodes/" + id.value;
  }
  [[nodiscard]] const SshTarget& target_of(const SshNode& node) const {
    return options_.plan.hosts[node.host].target;
  }
  [[nodiscard]] std::string directory_here(const NodeId& id) const {
    return node_directory(options_.cluster_directory, id);
  }

  os::EventLoop& loop_;
  SshProviderOptions options_;
  HostAccess access_;
  std::vector<HostState> hosts_;
  std::map<NodeId, SshNode> nodes_;
  bool stopped_ = false;
  std::vector<std::unique_ptr<HostTask>> last_tasks_;
  os::SubscriptionPtr last_limit_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

/// The smallest free host that has what is asked for; one that gave no trouble before others.
Result<std::size_t> Provider::choose_host(const NodeRequest& request) const {
  std::optional<std::size_t> best;
  std::vector<std::string> troubles;
  const auto rank = [&](std::size_t i) {
    const auto& host = options_.plan.hosts[i];
    return std::tuple(hosts_[i].failures, host.vcpus, host.memory_mib, i);
  };
  for (std::size_t i = 0; i < hosts_.size(); ++i) {
    const auto& host = options_.plan.hosts[i];
    const bool fits = host.environment == request.environment.value &&
                      host.vcpus >= request.type.vcpus &&
                      host.memory_mib >= request.type.memory.value;
    if (!fits) continue;
    if (!hosts_[i].trouble.empty()) troubles.push_back(hosts_[i].trouble);
    if (hosts_[i].node) continue;
    if (!best || rank(i) < rank(*best)) best = i;
  }
  if (best) return *best;
  return fail(Errc::unavailable, "no host of {} is free{}", request.environment,
              troubles.empty() ? "" : ": " + join(troubles, "; "));
}

json::object Provider::agent_options(const NodeRequest& request) const {
  const auto& node = nodes_.at(request.id);
  const bool here = node.host == kHere;
  json::array candidates;
  if (here) {
    candidates.emplace_back("127.0.0.1");
  } else {
    for (const auto& address : own_addresses()) candidates.emplace_back(address);
  }
  return {
      {"node", request.id.value},
      {"cluster", options_.cluster_name},
      {"candidates", std::move(candidates)},
      {"head_port", options_.head_port},
      {"certificate", request.identity.certificate},
      {"private_key", request.identity.private_key},
      {"ca_certificate", request.identity.ca_certificate},
      {"address", node.answer.address},
      {"hostname", node.answer.hostname},
      {"instance_type", request.type.name},
      {"region", options_.region},
      {"cgroup", ""},
      {"vcpus", node.answer.vcpus > 0 ? node.answer.vcpus : request.type.vcpus},
      {"memory_mib",
       node.answer.memory.value > 0 ? node.answer.memory.value : request.type.memory.value},
      {"first_process", true},
      {"metadata", false},
      {"os_home", "/home/" + options_.os_user},
      {"shared_memory",
       here ? directory_here(request.id) + "/shm" : host_shared_memory(options_.plan.tag)},
      {"scratch", here ? directory_here(request.id) + "/scratch" : host_scratch(options_.plan.tag)},
      {"network", options_.plan.networks},
      {"topology_file", ""},
      {"leave_after_s", here ? 0 : kLeaveAfterSeconds},
      {"own_user", true},
      {"whole_machine", true}};
}

void Provider::provision(NodeRequest request, ProvisionDone done) {
  const NodeId id = request.id;
  if (stopped_) {
    later([done] { done(fail(Errc::unavailable, "the cluster is being ended")); });
    return;
  }
  if (const auto found = nodes_.find(id); found != nodes_.end()) {
    if (found->second.is_up) {
      later([done, answer = found->second.answer] { done(answer); });
    } else {
      found->second.when_up.push_back(std::move(done));
    }
    return;
  }
  SshNode node;
  node.answer = {id, "127.0.0.1", own_hostname(), 0, {}};
  if (!request.environment.empty()) {
    const auto host = choose_host(request);
    if (!host) {
      later([done, error = host.error()] { done(fail(error)); });
      return;
    }
    const auto& planned = options_.plan.hosts[*host];
    node.host = *host;
    node.answer = {id, planned.address, planned.hostname, planned.vcpus, MiB{planned.memory_mib}};
    hosts_[*host].node = id;
  }
  node.when_up.push_back(std::move(done));
  const bool here = node.host == kHere;
  nodes_.emplace(id, std::move(node));
  if (here) {
    start_here(request);
  } else {
    start_on_host(request);
  }
}

void Provider::start_here(const NodeRequest& request) {
  const auto id = request.id;
  auto options = agent_options(request);
  options["mpi_bin_dir"] = "/usr/lib64/openmpi/bin";
  options["node_bin_dir"] = options_.bin_directory;
  run_here(id, {"--start", directory_here(id)}, json::serialize(options),
           [this, id](Result<std::string> said) { started(id, std::move(said)); });
}

/// First it is written down which host it is, so that the host is never forgotten.
void Provider::start_on_host(const NodeRequest& request) {
  const auto id = request.id;
  auto& node = nodes_.at(id);
  const auto kept =
      os::make_directories(options_.cluster_directory + "/ssh/nodes", 0700).and_then([&] {
        return write_note(record_path(id), fmt::format("{}\n", node.host));
      });
  if (!kept) {
    later([this, id, error = kept.error()] { failed(id, error); });
    return;
  }
  if (options_.plan.mounts.empty()) return start_agent(request);
  // A host that was switched off has lost what was mounted.
  node.task =
      run_script_on(access_, target_of(node), mount_script(options_.plan.tag, options_.plan.mounts),
                    [this, request](Result<std::string> said) {
                      later([this, request, said = std::move(said)] { mounted(request, said); });
                    });
}

void Provider::mounted(const NodeRequest& request, const Result<std::string>& said) {
  const auto found = nodes_.find(request.id);
  if (found == nodes_.end() || found->second.ending) return;
  if (!said) return failed(request.id, said.error());
  const auto& mounts = options_.plan.mounts;
  const auto told = read_mounts(*said, mounts.size());
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    const auto fault = explain_mount(mounts[i], told[i]);
    if (fault.text.empty()) continue;
    return failed(request.id, {Errc::unavailable,
                               fmt::format("host {}: {}; {}", shown(target_of(found->second)),
                                           fault.text, fault.mend)});
  }
  start_agent(request);
}

void Provider::start_agent(const NodeRequest& request) {
  const auto id = request.id;
  auto& node = nodes_.at(id);
  node.task = run_agent_on(
      access_, target_of(node), {"--start", host_node_directory(options_.plan.tag, id)},
      json::serialize(agent_options(request)), [this, id](Result<std::string> said) {
        later([this, id, said = std::move(said)] { started(id, said); });
      });
}

void Provider::started(const NodeId& id, Result<std::string> said) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end() || found->second.ending) return;
  if (!said) return failed(id, said.error());
  boost::system::error_code error;
  const auto parsed = json::parse(*said, error);
  const auto* head =
      !error && parsed.is_object() ? parsed.get_object().if_contains("head") : nullptr;
  if (head == nullptr || !head->is_string()) {
    return failed(id, {Errc::unavailable, "its agent could not be started: " + *said});
  }
  auto& node = found->second;
  node.task.reset();
  node.here.reset();
  node.is_up = true;
  if (node.host != kHere) {
    hosts_[node.host].failures = 0;
    hosts_[node.host].trouble.clear();
    if (head->get_string().empty()) open_tunnel(id);
  }
  for (const auto& done : std::exchange(node.when_up, {})) done(node.answer);
}

/// The head cannot be reached from there: the connection goes through ssh.
void Provider::open_tunnel(const NodeId& id) {
  auto& node = nodes_.at(id);
  (void)write_note(record_path(id), fmt::format("{} tunnel\n", node.host));
  node.tunnel = keep_tunnel(access_, target_of(node), options_.head_port, id);
}

/// It could not be started. What it may have left is removed before the host is used again.
void Provider::failed(const NodeId& id, const Error& why) {
  auto& node = nodes_.at(id);
  if (node.host != kHere) {
    ++hosts_[node.host].failures;
    hosts_[node.host].trouble = why.message;
  }
  const auto waiting = std::exchange(node.when_up, {});
  clear(id);
  for (const auto& done : waiting) done(fail(why));
}

void Provider::terminate(const NodeId& id, TerminateDone done) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) {
    later([done] { done({}); });
    return;
  }
  found->second.when_ended.push_back(std::move(done));
  if (!found->second.ending) clear(id);
}

void Provider::clear(const NodeId& id) {
  auto& node = nodes_.at(id);
  node.ending = true;
  node.is_up = false;
  node.tunnel.reset();
  node.again.reset();
  const auto heard = [this, id](const Result<std::string>& said) {
    const Result<void> result = said ? Result<void>() : fail(said.error());
    later([this, id, result] { cleared(id, result); });
  };
  if (node.host == kHere) {
    const auto directory = directory_here(id);
    run_here(id, {"--clear", directory, directory + "/shm"}, "", heard);
  } else {
    node.task = run_script_on(access_, target_of(node), clear_script(options_.plan.tag, id), heard);
  }
}

/// A host that cannot be cleared is not used until it can be.
void Provider::cleared(const NodeId& id, const Result<void>& result) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return;
  auto& node = found->second;
  const auto waiting = std::exchange(node.when_ended, {});
  if (result) {
    if (node.host != kHere) hosts_[node.host].node.reset();
    (void)::unlink(record_path(id).c_str());
    nodes_.erase(found);
  } else {
    if (node.host != kHere) hosts_[node.host].trouble = result.error().message;
    if (!stopped_) {
      node.again = loop_.after(node.pause, [this, id] { clear(id); });
      node.pause = std::min(node.pause * 2, kLastPause);
    }
  }
  for (const auto& done : waiting) done(result);
}

void Provider::run_here(const NodeId& id, std::vector<std::string> words, const std::string& input,
                        std::function<void(Result<std::string>)> done) {
  std::vector<std::string> argv{options_.bin_directory + "/cox-agent"};
  argv.insert(argv.end(), words.begin(), words.end());
  auto run = run_program(loop_, {argv, input, kHereTime}, [this, done](os::RunResult result) {
    later([done, result] {
      if (result.exit_code == 0) return done(result.out);
      done(fail(Errc::unavailable, "{}", trim(result.out + result.err)));
    });
  });
  if (run) {
    nodes_.at(id).here = std::move(*run);
  } else {
    later([done, error = run.error()] { done(fail(error)); });
  }
}

std::vector<NodeId> Provider::adopt(const std::vector<Node>& known) {
  std::vector<NodeId> living;
  for (const auto& node : known) {
    SshNode adopted;
    adopted.answer = {node.id, node.address, node.hostname, node.vcpus, node.memory};
    adopted.is_up = true;
    if (node.ordinal == 0) {
      if (!options_.plan.alone || !living_first_process(options_.cluster_directory, node.id)) {
        continue;
      }
      nodes_.emplace(node.id, std::move(adopted));
      living.push_back(node.id);
      continue;
    }
    const auto text = os::read_file(record_path(node.id), 256);
    const auto words = text ? split(trim(*text), ' ') : std::vector<std::string>{};
    const auto host = words.empty() ? std::nullopt : to_int(words.front());
    if (!host || *host < 0 || static_cast<std::size_t>(*host) >= hosts_.size()) continue;
    adopted.host = static_cast<std::size_t>(*host);
    hosts_[adopted.host].node = node.id;
    nodes_.emplace(node.id, std::move(adopted));
    if (words.size() > 1) open_tunnel(node.id);
    living.push_back(node.id);
  }
  // Nodes that were begun and never came to be known.
  for (const auto& id : nodes_on_disk(options_.cluster_directory + "/ssh")) {
    if (nodes_.contains(id)) continue;
    const auto text = os::read_file(record_path(id), 256);
    const auto host = text ? to_int(split(trim(*text), ' ').front()) : std::nullopt;
    if (!host || *host < 0 || static_cast<std::size_t>(*host) >= hosts_.size()) continue;
    SshNode left;
    left.host = static_cast<std::size_t>(*host);
    if (!hosts_[left.host].node) hosts_[left.host].node = id;
    nodes_.emplace(id, std::move(left));
    clear(id);
  }
  return living;
}

void Provider::end_all(std::function<void(std::vector<std::string>)> done) {
  stopped_ = true;
  struct End {
    std::size_t left = 0;
    std::vector<std::string> troubles;
    std::function<void(std::vector<std::string>)> done;
  };
  const auto end = std::make_shared<End>();
  end->done = std::move(done);
  const auto finish = [end] {
    if (end->done) std::exchange(end->done, nullptr)(end->troubles);
  };
  const auto heard = [this, end, finish](const Result<void>& result) {
    if (!result) end->troubles.push_back(result.error().message);
    if (--end->left == 0) later(finish);
  };
  std::vector<NodeId> here;
  for (auto& [id, node] : nodes_) {
    node.tunnel.reset();
    node.again.reset();
    node.task.reset();
    if (node.host == kHere) here.push_back(id);
  }
  end->left = here.size() + hosts_.size();
  if (end->left == 0) return later(finish);
  for (const auto& id : here) terminate(id, heard);
  for (const auto& host : options_.plan.hosts) {
    last_tasks_.push_back(run_script_on(access_, host.target, clear_all_script(options_.plan.tag),
                                        [heard](const Result<std::string>& said) {
                                          heard(said ? Result<void>() : fail(said.error()));
                                        }));
  }
  last_limit_ = loop_.after(kEndTime, [end, finish] {
    end->troubles.emplace_back("a host did not answer in time");
    finish();
  });
}

}  // namespace

Result<std::unique_ptr<SshProvider>> make_ssh_provider(os::EventLoop& loop,
                                                       SshProviderOptions options) {
  // Without hosts it is for the head node alone, which needs no copy.
  auto bundle = options.plan.hosts.empty() ? Result<AgentBundle>(AgentBundle{})
                                           : pack_agent(options.bin_directory);
  if (!bundle) return fail(bundle.error());
  return std::make_unique<Provider>(loop, std::move(options), std::move(*bundle));
}

}  // namespace cox::provider
