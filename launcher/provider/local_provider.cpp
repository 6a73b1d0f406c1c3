#include "launcher/provider/local_provider.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <thread>

#include "launcher/provider/address_plan.hpp"
#include "launcher/provider/bring_up_run.hpp"
#include "launcher/provider/hosts_file.hpp"
#include "launcher/provider/memory_cgroup.hpp"
#include "launcher/provider/node_description.hpp"
#include "launcher/provider/node_end.hpp"
#include "launcher/provider/node_files.hpp"
#include "launcher/provider/share_directory.hpp"
#include "runtime/os/failpoint.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

namespace cox::provider {
namespace {

using namespace std::chrono_literals;

using ProvisionDone = std::function<void(Result<ProvisionedNode>)>;
using TerminateDone = std::function<void(Result<void>)>;

using SharedPaths = std::vector<std::pair<std::string, std::string>>;

/// waiting → making → live → ending, and gone; from any of them to ending.
enum class State : std::uint8_t { waiting, making, live, ending };

struct LocalNode {
  State state = State::waiting;
  NodeRequest request;
  HostLine host;
  std::vector<ProvisionDone> when_up;
  std::vector<TerminateDone> when_ended;
  bool unwanted = false;  ///< to be ended as soon as it is made
  std::unique_ptr<BringUpRun> run;
  std::unique_ptr<ProcessWatch> watch;
  int pid = 0;
  std::optional<int> wait_status;
  os::SubscriptionPtr patience;  ///< for the keeper's word on how the first process ended
  std::unique_ptr<NodeRemoval> removal;
  SharedPaths missing;  ///< shared since its making began
};

class Provider : public LocalProvider {
 public:
  Provider(os::EventLoop& loop, LocalClusterPlan plan, const os::Fd& bridge_network, int head_port,
           os::Fd child_reports);
  ~Provider() override { *alive_ = false; }

  void provision(NodeRequest request, ProvisionDone done) override;
  void terminate(const NodeId& id, TerminateDone done) override;
  void on_node_ended(std::function<void(NodeId, std::string)> handler) override {
    on_ended_ = std::move(handler);
  }
  std::string scratch_here(const NodeId& id) const override {
    return node_directory(plan_.directory, id) + "/scratch";
  }
  std::vector<NodeId> adopt(const std::vector<Node>& known) override;
  void end_all(std::function<void()> done) override;
  void share(std::vector<std::pair<std::string, std::string>> more,
             std::function<void(Result<void>)> done) override;
  void unshare(const SharedPaths& paths) override;

 private:
  void later(std::function<void()> action);
  void start_waiting();
  void start(const NodeId& id);
  [[nodiscard]] Result<NodeDescription> prepare(const NodeRequest& request, const HostLine& host);
  [[nodiscard]] NodeDescription describe(const NodeRequest& request, const HostLine& host,
                                         const std::string& cgroup) const;
  void made(const NodeId& id, Result<BringUpOutcome> outcome);
  void watch(const NodeId& id, const ProcessMark& mark, std::unique_ptr<ProcessWatch> process);
  void first_process_ended(const NodeId& id);
  void read_reports();
  void report_end(const NodeId& id);
  void remove(const NodeId& id, std::function<void(Result<void>)> done);
  void gone(const NodeId& id, const Result<void>& removed);
  [[nodiscard]] Result<void> update_hosts();

  os::EventLoop& loop_;
  LocalClusterPlan plan_;
  os::Fd bridge_network_;
  int head_port_;
  os::Fd child_reports_;
  os::SubscriptionPtr reports_readable_;
  std::map<NodeId, LocalNode> nodes_;
  std::deque<NodeId> waiting_;
  int making_ = 0;
  bool stopped_ = false;
  std::function<void(NodeId, std::string)> on_ended_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

int most_at_once() {
  return std::max(4, static_cast<int>(std::thread::hardware_concurrency()) * 2);
}

Provider::Provider(os::EventLoop& loop, LocalClusterPlan plan, const os::Fd& bridge_network,
                   int head_port, os::Fd child_reports)
    : loop_(loop),
      plan_(std::move(plan)),
      bridge_network_(::fcntl(bridge_network.get(), F_DUPFD_CLOEXEC, 10)),
      head_port_(head_port),
      child_reports_(std::move(child_reports)) {
  if (!child_reports_) return;
  (void)::fcntl(child_reports_.get(), F_SETFL, O_NONBLOCK);
  reports_readable_ = loop_.when_readable(child_reports_.get(), [this] { read_reports(); });
}

/// Answers never come from inside a call.
void Provider::later(std::function<void()> action) {
  loop_.post([alive = alive_, action = std::move(action)] {
    if (*alive) action();
  });
}

ProvisionedNode provisioned(const NodeRequest& request, const HostLine& host) {
  return {request.id, host.address, host.hostname};
}

void Provider::provision(NodeRequest request, ProvisionDone done) {
  const NodeId id = request.id;
  if (stopped_) {
    later([done] { done(fail(Errc::unavailable, "the cluster is being ended")); });
    return;
  }
  if (request.ordinal < 0 || request.ordinal > kOrdinalMax) {
    later([done, id] {
      done(fail(Errc::unavailable, "node {}: the cluster's network has no address left", id));
    });
    return;
  }
  if (const auto found = nodes_.find(id); found != nodes_.end()) {
    LocalNode& node = found->second;
    if (node.state == State::live) {
      later([done, answer = provisioned(node.request, node.host)] { done(answer); });
    } else {
      node.when_up.push_back(std::move(done));
    }
    return;
  }
  const std::string address = node_address(request.ordinal);
  for (const auto& [other, node] : nodes_) {
    if (node.host.address != address || node.state == State::ending) continue;
    later([done, id, other = other, address] {
      done(fail(Errc::unavailable, "node {}: its address {} is that of node {}", id, address,
                other));
    });
    return;
  }
  LocalNode& node = nodes_[id];
  node.host.address = address;
  node.host.hostname = hostname_of(node.host.address);
  node.request = std::move(request);
  node.when_up.push_back(std::move(done));
  waiting_.push_back(id);
  later([this] { start_waiting(); });
}

void Provider::start_waiting() {
  while (!waiting_.empty() && making_ < most_at_once()) {
    const NodeId id = waiting_.front();
    waiting_.pop_front();
    start(id);
  }
}

void Provider::start(const NodeId& id) {
  LocalNode& node = nodes_.at(id);
  node.state = State::making;
  ++making_;
  const auto description = prepare(node.request, node.host);
  if (!description) {
    later([this, id, error = description.error()] { made(id, fail(error)); });
    return;
  }
  auto run =
      start_bring_up(loop_, plan_.bin_directory + "/coxd", *description, bridge_network_,
                     [this, id](Result<BringUpOutcome> outcome) {
                       later([this, id, outcome = std::move(outcome)] { made(id, outcome); });
                     });
  if (run) {
    node.run = std::move(*run);
  } else {
    later([this, id, error = run.error()] { made(id, fail(error)); });
  }
}

Result<NodeDescription> Provider::prepare(const NodeRequest& request, const HostLine& host) {
  const std::string directory = node_directory(plan_.directory, request.id);
  for (const char* part : {"/root", "/scratch"}) {
    if (const auto made = os::make_directories(directory + part); !made) return fail(made.error());
  }
  const auto named = write_note(directory + "/hostname", host.hostname + "\n").and_then([&] {
    return write_note(directory + "/os_user", plan_.os_user + "\n");
  });
  if (!named) return fail(named.error());
  if (const auto updated = update_hosts(); !updated) return fail(updated.error());
  return describe(request, host,
                  make_memory_cgroup(plan_.cluster_name, request.id.value, request.type.memory));
}

NodeDescription Provider::describe(const NodeRequest& request, const HostLine& host,
                                   const std::string& cgroup) const {
  const std::string directory = node_directory(plan_.directory, request.id);
  return {.id = request.id,
          .directory = directory,
          .hostname = host.hostname,
          .root = {.home_directory = plan_.home_directory,
                   .os_user = plan_.os_user,
                   .api_directory = plan_.api_directory,
                   .bin_directory = plan_.bin_directory,
                   .hosts_file = plan_.directory + "/hosts",
                   .hostname_file = directory + "/hostname",
                   .scratch_directory = directory + "/scratch",
                   .cgroup_directory = cgroup,
                   .shared = plan_.shared},
          .link = {.link_name = link_name_of(host.address),
                   .address = host.address,
                   .mac = mac_of(host.address)},
          .agent_options = render_agent_options({.node = request.id.value,
                                                 .cluster = plan_.cluster_name,
                                                 .address = host.address,
                                                 .hostname = host.hostname,
                                                 .instance_type = request.type.name,
                                                 .region = plan_.region,
                                                 .os_user = plan_.os_user,
                                                 .certificate = request.identity.certificate,
                                                 .private_key = request.identity.private_key,
                                                 .ca_certificate = request.identity.ca_certificate,
                                                 .head_port = head_port_,
                                                 .vcpus = request.type.vcpus,
                                                 .memory_mib = request.type.memory.value,
                                                 .cgroup = !cgroup.empty()})};
}

void Provider::made(const NodeId& id, Result<BringUpOutcome> outcome) {
  --making_;
  start_waiting();
  LocalNode& node = nodes_.at(id);
  node.run.reset();
  if (outcome) node.pid = outcome->pid;
  if (auto on = os::failpoint("worker/node-up"); !on) outcome = fail(on.error());
  auto mark = outcome.and_then([](const BringUpOutcome& up) { return mark_of(up.pid); });
  auto process = mark.and_then([&](const ProcessMark& at) {
    return watch_process(loop_, at, [this, id] { first_process_ended(id); });
  });
  if (outcome && !process) {
    read_reports();
    const std::string log = node_directory(plan_.directory, id) + "/agent.log";
    process = fail(Errc::unavailable, "node {}: {}", id, describe_end(node.wait_status, log));
  }
  if (outcome) os::log_info("node {} is up: {}", id, outcome->steps);
  const auto answers = std::exchange(node.when_up, {});
  if (process && !node.unwanted) {
    for (const auto& [source, target] : std::exchange(node.missing, {})) {
      const auto shown = show_directory(mark->pid, source, target);
      if (!shown) os::log_error("node {}: {}", id, shown.error().message);
    }
    watch(id, *mark, std::move(*process));
    for (const auto& done : answers) done(provisioned(node.request, node.host));
    return;
  }
  const Error error =
      process ? Error{Errc::unavailable, "the node was ended before it was up"} : process.error();
  remove(id, [answers, error](const Result<void>&) {
    for (const auto& done : answers) done(fail(error));
  });
}

void Provider::watch(const NodeId& id, const ProcessMark& mark,
                     std::unique_ptr<ProcessWatch> process) {
  LocalNode& node = nodes_.at(id);
  node.state = State::live;
  node.pid = mark.pid;
  node.watch = std::move(process);
}

/// The keeper learns how it ended, at about the same time; without a keeper nobody does.
void Provider::first_process_ended(const NodeId& id) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end() || found->second.state != State::live) return;
  if (found->second.wait_status || !child_reports_) {
    report_end(id);
    return;
  }
  found->second.patience = loop_.after(500ms, [this, id] { report_end(id); });
}

void Provider::read_reports() {
  if (!child_reports_) return;
  ChildReport report;
  while (::read(child_reports_.get(), &report, sizeof report) == sizeof report) {
    for (auto& [id, node] : nodes_) {
      if (node.pid != report.pid) continue;
      node.wait_status = report.wait_status;
      if (node.patience) later([this, name = id] { report_end(name); });
    }
  }
}

void Provider::report_end(const NodeId& id) {
  const auto found = nodes_.find(id);
  if (found == nodes_.end() || found->second.state != State::live) return;
  const std::string how =
      describe_end(found->second.wait_status, node_directory(plan_.directory, id) + "/agent.log");
  os::log_warn("node {}: {}", id, how);
  remove(id, [this, id, how](const Result<void>&) {
    if (on_ended_ && !stopped_) on_ended_(id, how);
  });
}

/// Ends what is left of the node, first process and files, and forgets it.
void Provider::remove(const NodeId& id, std::function<void(Result<void>)> done) {
  LocalNode& node = nodes_[id];
  node.state = State::ending;
  node.when_ended.push_back(std::move(done));
  if (node.removal) return;
  node.removal = remove_node(
      loop_, plan_.directory, plan_.cluster_name, id,
      [this, id](Result<void> removed) { later([this, id, removed] { gone(id, removed); }); });
}

void Provider::gone(const NodeId& id, const Result<void>& removed) {
  const auto answers = std::move(nodes_.at(id).when_ended);
  const auto asked_again = std::move(nodes_.at(id).when_up);
  nodes_.erase(id);
  const auto updated = update_hosts();
  for (const auto& done : answers) done(removed && !updated ? updated : removed);
  for (const auto& done : asked_again) done(fail(Errc::unavailable, "node {} was ended", id));
}

void Provider::terminate(const NodeId& id, TerminateDone done) {
  const auto found = nodes_.find(id);
  if (found != nodes_.end() && found->second.state == State::making) {
    found->second.unwanted = true;
    found->second.when_ended.push_back(std::move(done));
    return;
  }
  if (found != nodes_.end() && found->second.state == State::waiting) {
    waiting_.erase(std::find(waiting_.begin(), waiting_.end(), id));
  }
  remove(id, std::move(done));
}

std::vector<NodeId> Provider::adopt(const std::vector<Node>& known) {
  std::vector<NodeId> living;
  for (const Node& node : known) {
    const auto mark = living_first_process(plan_.directory, node.id);
    if (!mark) continue;
    auto process = watch_process(loop_, *mark, [this, id = node.id] { first_process_ended(id); });
    if (!process) continue;
    LocalNode& adopted = nodes_[node.id];
    adopted.request.id = node.id;
    adopted.host = {node.address.empty() ? "" : node.address, node.hostname};
    watch(node.id, *mark, std::move(*process));
    living.push_back(node.id);
  }
  for (const NodeId& id : nodes_on_disk(plan_.directory)) {
    if (nodes_.count(id) == 0) remove(id, [](const Result<void>&) {});
  }
  (void)update_hosts();
  return living;
}

void Provider::share(SharedPaths more, std::function<void(Result<void>)> done) {
  plan_.shared.insert(plan_.shared.end(), more.begin(), more.end());
  Result<void> shown;
  for (auto& [id, node] : nodes_) {
    if (node.state == State::making) {
      node.missing.insert(node.missing.end(), more.begin(), more.end());
    }
    if (node.state != State::live) continue;
    for (const auto& [source, target] : more) {
      if (shown) shown = show_directory(node.pid, source, target);
    }
    if (!shown) {
      shown = fail(within(fmt::format("node {}", id), shown.error()));
      break;
    }
  }
  if (!shown) unshare(more);
  later([done = std::move(done), shown] { done(shown); });
}

void Provider::unshare(const SharedPaths& paths) {
  for (const auto& path : paths) {
    std::erase(plan_.shared, path);
    for (auto& [id, node] : nodes_) {
      std::erase(node.missing, path);
      if (node.state == State::live) hide_directory(node.pid, path.second);
    }
  }
}

void Provider::end_all(std::function<void()> done) {
  stopped_ = true;
  std::vector<NodeId> ids = nodes_on_disk(plan_.directory);
  for (const auto& [id, node] : nodes_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (ids.empty()) {
    later(std::move(done));
    return;
  }
  auto left = std::make_shared<std::size_t>(ids.size());
  for (const NodeId& id : ids) {
    terminate(id, [left, done](const Result<void>&) {
      if (--*left == 0) done();
    });
  }
}

Result<void> Provider::update_hosts() {
  std::map<NodeId, HostLine> lines;
  for (const auto& [id, node] : nodes_) {
    if (!node.host.address.empty()) lines.emplace(id, node.host);
  }
  return write_hosts(plan_.directory + "/hosts", lines);
}

}  // namespace

std::unique_ptr<LocalProvider> make_local_provider(os::EventLoop& loop, LocalClusterPlan plan,
                                                   const os::Fd& bridge_network, int head_port,
                                                   os::Fd child_reports) {
  return std::make_unique<Provider>(loop, std::move(plan), bridge_network, head_port,
                                    std::move(child_reports));
}

}  // namespace cox::provider
