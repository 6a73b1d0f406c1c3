#include "launcher/coxd/worker.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "launcher/cluster/registry.hpp"
#include "launcher/config/config.hpp"
#include "launcher/coxd/described.hpp"
#include "launcher/coxd/home_files.hpp"
#include "launcher/coxd/node_sources.hpp"
#include "launcher/coxd/script_fetcher.hpp"
#include "launcher/coxd/updater.hpp"
#include "launcher/coxd/worker_contract.hpp"
#include "launcher/provider/address_plan.hpp"
#include "launcher/provider/local_provider.hpp"
#include "launcher/provider/slurm_plan.hpp"
#include "launcher/provider/slurm_provider.hpp"
#include "launcher/provider/slurm_site.hpp"
#include "launcher/provider/ssh_plan.hpp"
#include "launcher/provider/ssh_provider.hpp"
#include "launcher/provider/ssh_stager.hpp"
#include "runtime/base/text.hpp"
#include "runtime/head/head.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/failpoint.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"
#include "runtime/os/log.hpp"

namespace cox::coxd {
namespace {

using namespace std::chrono_literals;

/// How long a head whose cluster could not be made still answers, so that its reason is heard.
constexpr auto kLastWords = 10s;
/// The answer to the request that ends the cluster must still get out.
constexpr auto kParting = 50ms;
/// How long the first nodes may take: on this machine, and where an agent is copied to hosts first.
constexpr int kNodesTime = 30'000;
constexpr int kHostsTime = 120'000;
/// Where Slurm decides when they come.
constexpr int kSiteTime = 1'800'000;

os::Fd take(int descriptor) {
  if (::fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0) return {};
  return os::Fd(descriptor);
}

/// What the keeper has passed on; taken before anything else could get such a number.
struct Inherited {
  os::Fd api_listener = take(kApiListener);
  os::Fd agent_listener = take(kAgentListener);
  os::Fd bridge_network = take(kBridgeNetwork);
  os::Fd ready = take(kReady);
  os::Fd child_reports = take(kChildReports);
  os::Fd host_listener = take(kHostListener);
};

/// Looked for each time: it may be installed while the cluster is up.
bool is_in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  for (const auto& directory : split(path == nullptr ? "" : path, ':')) {
    if (::access((directory + "/" + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

Result<provider::LocalClusterPlan> furnish(const std::string& directory,
                                           const Described& described) {
  provider::LocalClusterPlan plan{.cluster_name = described.record.name,
                                  .directory = directory,
                                  .home_directory = directory + "/home",
                                  .api_directory = directory + "/api",
                                  .bin_directory = os::program_directory(),
                                  .os_user = described.settings.os_user,
                                  .region = described.settings.region,
                                  .shared = {}};
  const bool alone = described.hosts && described.hosts->alone;
  for (const config::SharedStorage& storage : described.config.shared) {
    if (alone) break;  // there is no node here to show it to
    if (described.hosts) {
      // What the hosts share, this machine's nodes share with them.
      if (::access(storage.mount_dir.c_str(), X_OK) != 0) {
        return fail(Errc::unavailable,
                    "{} is not on this machine, whose nodes are to share it with the hosts: mount "
                    "it here too",
                    storage.mount_dir);
      }
      plan.shared.emplace_back(storage.mount_dir, storage.mount_dir);
      continue;
    }
    const std::string here = directory_of(directory, storage);
    if (const auto made = make_shared_directory(here); !made) return fail(made.error());
    plan.shared.emplace_back(here, storage.mount_dir);
  }
  const auto head_address = alone ? std::string("127.0.0.1") : provider::node_address(0);
  const auto home = furnish_home(plan.home_directory, described.settings, head_address);
  if (!home) return fail(home.error());
  const auto named =
      os::write_file_atomic(plan.api_directory + "/name", described.record.name + "\n", 0644);
  if (!named) return fail(named.error());
  return plan;
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  return ::gethostname(name.data(), name.size()) == 0 ? name.data() : "localhost";
}

provider::RemoteCluster remote_cluster(const std::string& directory, const Described& described,
                                       const os::Fd& listener) {
  return {.cluster_name = described.record.name,
          .cluster_directory = directory,
          .bin_directory = os::program_directory(),
          .region = described.settings.region,
          .os_user = described.settings.os_user,
          .head_port = os::local_port(listener)};
}

Result<std::unique_ptr<provider::SshProvider>> make_hosts(os::EventLoop& loop,
                                                          const std::string& directory,
                                                          const Described& described,
                                                          const os::Fd& listener) {
  if (!described.hosts) return std::unique_ptr<provider::SshProvider>();
  return provider::make_ssh_provider(
      loop, {remote_cluster(directory, described, listener), *described.hosts});
}

Result<std::unique_ptr<provider::SlurmProvider>> make_site(os::EventLoop& loop,
                                                           const std::string& directory,
                                                           const Described& described,
                                                           const os::Fd& listener) {
  if (!described.site) return std::unique_ptr<provider::SlurmProvider>();
  return provider::make_slurm_provider(
      loop, {remote_cluster(directory, described, listener), *described.site});
}

class Worker {
 public:
  Worker(std::string directory, Described described, Inherited inherited)
      : directory_(std::move(directory)),
        described_(std::move(described)),
        inherited_(std::move(inherited)) {}

  /// Errors: what stands in the way of a provider.
  Result<void> open(provider::LocalClusterPlan plan) {
    auto hosts = make_hosts(loop_, directory_, described_, inherited_.host_listener);
    if (!hosts) return fail(hosts.error());
    auto site = make_site(loop_, directory_, described_, inherited_.host_listener);
    if (!site) return fail(site.error());
    std::unique_ptr<provider::LocalProvider> local;
    if (inherited_.bridge_network) {
      local =
          provider::make_local_provider(loop_, std::move(plan), inherited_.bridge_network,
                                        provider::kHeadPort, std::move(inherited_.child_reports));
    }
    provider_ =
        std::make_unique<NodeSources>(std::move(local), std::move(*hosts), std::move(*site));
    if (described_.hosts) {
      stager_ = provider::make_ssh_stager(
          loop_, {.plan = *described_.hosts,
                  .host_of = [this](const NodeId& id) { return provider_->host_of(id); }});
    }
    return {};
  }

  void refuse(const Error& error) {
    os::log_error("{}", error.message);
    tell(error.message);
  }

  int run() {
    described_.record.keeper_pid = ::getppid();
    save();
    const auto terminated = loop_.on_signal(SIGTERM, [this] { leave(kStopped); });
    if (described_.record.status == "CREATE_FAILED") {
      tell("the cluster could not be made: " + described_.record.status_reason);
      provider_->end_all([this](const auto& troubles) {
        keep_troubles(troubles);
        leave(kClusterEnded);
      });
    } else if (const auto started = start_head(); !started) {
      os::log_error("{}", started.error().message);
      tell(started.error().message);
      return kCannotStart;
    } else {
      updater_->resume([this] { tell("ok"); });
    }
    loop_.run();
    head_.reset();
    described_.record.keeper_pid = 0;
    save();
    return status_;
  }

 private:
  /// The file's port, or one that stays the same for the cluster's life: clients have it in their
  /// environment.
  Result<os::Fd> listen_to_network(const config::ApiSettings& api) {
    const auto path = directory_ + "/api/port";
    const auto kept = os::read_file(path, 16);
    const auto before = kept ? to_int(trim(*kept)).value_or(0) : 0;
    const auto wanted = api.port != 0 ? api.port : static_cast<int>(before);
    auto listener = os::listen_tcp(api.address, wanted);
    if (!listener && api.port == 0 && before != 0) {
      os::log_warn("{}: another port is taken for the API", listener.error().message);
      listener = os::listen_tcp(api.address, 0);
    }
    if (!listener) return fail(within("Coxswain.Api", listener.error()));
    const auto port = fmt::format("{}\n", os::local_port(*listener));
    if (auto saved = os::write_file_atomic(path, port, 0644); !saved) return fail(saved.error());
    return listener;
  }

  /// Signed requests of AWS's clients.
  Result<head::NetworkEndpoint> open_network() {
    const auto& api = described_.config.api;
    head::NetworkEndpoint network{.listener = {},
                                  .host = api.host,
                                  .on_loopback = api.address.starts_with("127."),
                                  .certificate = {},
                                  .ca_file = directory_ + "/api/ca.crt"};
    if (network.host.empty()) {
      network.host = api.address == "0.0.0.0" ? host_name() : api.address;
    }
    if (!api.certificate_file.empty()) {
      auto certificate = os::read_file(api.certificate_file);
      if (!certificate) return fail(within("Coxswain.Api.Certificate", certificate.error()));
      auto key = os::read_file(api.private_key_file);
      if (!key) return fail(within("Coxswain.Api.PrivateKey", key.error()));
      network.certificate = {std::move(*certificate), std::move(*key)};
    }
    auto listener = listen_to_network(api);
    if (!listener) return fail(listener.error());
    network.listener = std::move(*listener);
    return network;
  }

  Result<void> start_head() {
    auto network = open_network();
    if (!network) return fail(network.error());
    head_ =
        head::make_head(loop_, clock_, *provider_,
                        {.cluster = described_.settings,
                         .directory = directory_ + "/head",
                         .api_listener = std::move(inherited_.api_listener),
                         .agent_listener = std::move(inherited_.agent_listener),
                         .network = std::move(*network),
                         .find_types = config::expand_instance_types,
                         .has_podman = [] { return is_in_path("podman") && is_in_path("crun"); },
                         .stager = stager_.get(),
                         .host_listener = std::move(inherited_.host_listener),
                         .fetch_script =
                             [this](const std::string& script, ScriptFetcher::Done done) {
                               scripts_.fetch(script, std::move(done));
                             },
                         .update_goes_on = described_.record.status == "UPDATE_IN_PROGRESS",
                         .creation_ms = described_.site    ? kSiteTime
                                        : described_.hosts ? kHostsTime
                                                           : kNodesTime});
    head_->on_readiness([this](const head::Readiness& readiness) { became(readiness); });
    head_->on_shutdown([this] { shut_down(); });
    updater_ = std::make_unique<Updater>(directory_, described_, *provider_, *head_, clock_);
    head_->on_update([this](const head::UpdateRequest& request, const Updater::Answer& answer) {
      updater_->begin(request, answer);
    });
    return os::failpoint("worker/head").and_then([this] { return head_->start(); }).and_then([] {
      return os::failpoint("worker/serving");
    });
  }

  void became(const head::Readiness& readiness) {
    if (described_.record.status != "CREATE_IN_PROGRESS") return;
    if (readiness.ready) {
      if (auto on = os::failpoint("worker/ready"); !on) os::log_warn("{}", on.error().message);
      set_status("CREATE_COMPLETE", "");
    } else if (!readiness.failure.empty()) {
      set_status("CREATE_FAILED", readiness.failure);
      provider_->end_all([this](const auto& troubles) { keep_troubles(troubles); });
      timer_ = loop_.after(kLastWords, [this] { leave(kClusterEnded); });
    }
  }

  void shut_down() {
    if (described_.record.status != "CREATE_FAILED") set_status("DELETE_IN_PROGRESS", "");
    provider_->end_all([this](const auto& troubles) {
      keep_troubles(troubles);
      timer_ = loop_.after(kParting, [this] { leave(kClusterEnded); });
    });
  }

  /// For whoever removes the cluster's files: hosts that something may be left on.
  void keep_troubles(const std::vector<std::string>& troubles) {
    for (const auto& trouble : troubles) os::log_error("{}", trouble);
    if (!described_.hosts) return;
    const auto path = directory_ + (troubles.empty() ? "/ssh/ended" : "/ssh/left");
    (void)os::write_file_atomic(path, join(troubles, "\n") + "\n");
  }

  void leave(int status) {
    status_ = status;
    loop_.stop();
  }

  void set_status(const char* status, const std::string& reason) {
    os::log_info("the cluster is {}{}{}", status, reason.empty() ? "" : ": ", reason);
    described_.record.status = status;
    described_.record.status_reason = reason;
    described_.record.updated_at = clock_.now();
    save();
  }

  void save() {
    const auto saved = cluster::save_record(directory_, described_.record);
    if (!saved) os::log_error("the cluster's record is not saved: {}", saved.error().message);
  }

  void tell(const std::string& line) {
    if (inherited_.ready) (void)os::write_all(inherited_.ready.get(), line + "\n");
    inherited_.ready.reset();
  }

  std::string directory_;
  Described described_;
  os::EventLoop loop_;
  os::SystemClock clock_;
  ScriptFetcher scripts_{loop_};
  Inherited inherited_;
  std::unique_ptr<NodeSources> provider_;
  std::unique_ptr<Stager> stager_;
  std::unique_ptr<head::Head> head_;
  std::unique_ptr<Updater> updater_;
  os::SubscriptionPtr timer_;
  int status_ = kClusterEnded;
};

int refuse(const os::Fd& ready, const Error& error) {
  os::log_error("{}", error.message);
  if (ready) (void)os::write_all(ready.get(), error.message + "\n");
  return kCannotStart;
}

}  // namespace

int run_worker(const std::string& cluster_directory) {
  Inherited inherited;
  (void)std::signal(SIGPIPE, SIG_IGN);
  if (const auto log = os::open_log(cluster_directory + "/coxd.log"); !log) {
    return refuse(inherited.ready, log.error());
  }
  const auto settled = settle_files(cluster_directory, os::SystemClock().now());
  if (!settled) return refuse(inherited.ready, settled.error());
  auto described = describe(cluster_directory);
  if (!described) return refuse(inherited.ready, described.error());
  auto plan = os::failpoint("worker/described").and_then([&] {
    return furnish(cluster_directory, *described);
  });
  if (!plan) return refuse(inherited.ready, plan.error());
  if (auto on = os::failpoint("worker/furnished"); !on) return refuse(inherited.ready, on.error());
  Worker worker(cluster_directory, std::move(*described), std::move(inherited));
  if (const auto opened = worker.open(std::move(*plan)); !opened) {
    worker.refuse(opened.error());
    return kCannotStart;
  }
  return worker.run();
}

int clear_site_of(const std::string& cluster_directory) {
  const auto plan = provider::load_site(cluster_directory);
  if (!plan) {
    (void)std::fprintf(stderr, "coxd: %s\n", plan.error().message.c_str());
    return 1;
  }
  if (!*plan) return 0;
  for (const auto& trouble : provider::clear_site(**plan)) std::puts(trouble.c_str());
  return 0;
}

}  // namespace cox::coxd
