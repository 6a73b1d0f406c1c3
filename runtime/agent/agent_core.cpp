#include <dirent.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>
#include <memory>
#include <set>
#include <variant>

#include "runtime/agent/agent.hpp"
#include "runtime/agent/host_health.hpp"
#include "runtime/agent/hub_link.hpp"
#include "runtime/agent/local_server.hpp"
#include "runtime/agent/metadata_service.hpp"
#include "runtime/agent/open_mpi.hpp"
#include "runtime/agent/part.hpp"
#include "runtime/agent/remote_asks.hpp"
#include "runtime/agent/topology_probe.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/http.hpp"
#include "runtime/os/log.hpp"

namespace cox::agent {

namespace {

/// Of what is not settled about commands on other nodes.
constexpr auto kRemoteTick = std::chrono::milliseconds(200);
constexpr auto kFirstRetry = std::chrono::milliseconds(10);
constexpr auto kLastRetry = std::chrono::milliseconds(1000);
constexpr int kTurnsTillSure = 3;
constexpr const char* kMetadataAddress = "169.254.169.254";

class AgentCore : public Agent {
 public:
  AgentCore(os::EventLoop& loop, AgentOptions options)
      : loop_(loop),
        options_(std::move(options)),
        metadata_(options_),
        health_(loop, options_.scratch, [this](const wire::Health& said) { send(said); }),
        local_(loop,
               {[this](LocalServer::ConnectionId id, std::uint32_t uid, wire::Message message) {
                  return from_local(id, uid, std::move(message));
                },
                [this](LocalServer::ConnectionId id) { asks_.closed(id); }}) {}

  [[nodiscard]] bool was_turned_away() const override { return turned_away_ >= kTurnsTillSure; }

  [[nodiscard]] Result<void> start() override {
    if (auto ready = open_scratch(); !ready) return ready;
    if (auto listening = local_.listen(options_.socket); !listening) return listening;
    reaper_ = loop_.on_child_exit([this](int pid, int status) { child_ended(pid, status); });
    if (options_.metadata) serve_metadata();
    topology_ = export_topology();
    get_ready_for_steps();
    if (!options_.head_file.empty()) health_.watch();
    dial();
    return {};
  }

 private:
  [[nodiscard]] Result<void> open_scratch() {
    // Jobs pass through it to their own directories and cannot see what else is there.
    if (auto made = os::make_directories(options_.scratch, 0711); !made) return made;
    ::chmod(options_.scratch.c_str(), 0711);
    const auto spool = options_.scratch + "/" + wire::kSpoolDirectory;
    for (const auto& left : {spool, options_.scratch + "/.spare"}) {
      if (auto removed = os::remove_tree(left); !removed) return removed;
    }
    if (::mkdir(spool.c_str(), 0700) != 0) return fail(os::errno_error(errno, spool));
    auto store = logs::open_log_store(spool);
    if (!store) return fail(store.error());
    spool_ = std::move(*store);
    return {};
  }

  void serve_metadata() {
    auto listener = os::listen_tcp(kMetadataAddress, 80);
    auto server =
        listener
            ? os::serve_http(
                  loop_, std::move(*listener),
                  [this](os::HttpRequest request, const std::shared_ptr<os::HttpReply>& reply) {
                    reply->send(metadata_.answer(request, os::SystemClock().now().value));
                  })
            : fail(listener.error());
    if (!server) {
      os::log_warn("no instance metadata service: {}", server.error().message);
      return;
    }
    metadata_server_ = std::move(*server);
  }

  // The connection to the head.

  void dial() {
    if (!find_head()) return dial_later("there is no way to it yet");
    os::connect_frames(loop_, options_.head_address, options_.head_port, options_.identity,
                       [this](Result<std::unique_ptr<os::FrameLink>> link) {
                         if (link) {
                           connected(std::move(*link));
                         } else {
                           dial_later(link.error().message);
                         }
                       });
  }

  /// Where a tunnel leads to the head, its end may be another one each time.
  bool find_head() {
    if (options_.head_file.empty()) return true;
    const auto text = os::read_file(options_.head_file, 256);
    const auto words = text ? split(trim(*text), ' ') : std::vector<std::string>{};
    const auto port = words.size() == 2 ? to_int(words[1]) : std::nullopt;
    if (!port) return false;
    options_.head_address = words[0];
    options_.head_port = static_cast<int>(*port);
    return true;
  }

  /// A head that was removed with its machine tells nobody.
  [[nodiscard]] bool is_forsaken() const {
    const auto limit = std::chrono::seconds(options_.leave_after_s);
    return options_.leave_after_s > 0 && parts_.empty() &&
           std::chrono::steady_clock::now() - last_contact_ > limit;
  }

  void dial_later(const std::string& why) {
    if (is_forsaken()) {
      os::log_warn("there has been no head for {} s: this node leaves", options_.leave_after_s);
      turned_away_ = kTurnsTillSure;
      return loop_.stop();
    }
    if (retry_ == kFirstRetry) os::log_warn("the head cannot be reached: {}", why);
    retry_timer_ = loop_.after(retry_, [this] { dial(); });
    retry_ = std::min(retry_ * 2, kLastRetry);
  }

  void connected(std::unique_ptr<os::FrameLink> link) {
    if (link->peer_name() != "head") return dial_later("another node answered in its place");
    link_ = std::move(link);
    welcome_ = false;
    link_->on_frame([this](const std::string& bytes) { frame(bytes); });
    link_->on_closed([this](const std::string& why) {
      loop_.post([this, why] {
        // A head that hangs up without a welcome does not know this node.
        if (!welcome_ && link_ && link_->peer_name() == "head") ++turned_away_;
        link_.reset();
        if (welcome_) last_contact_ = std::chrono::steady_clock::now();
        welcome_ = false;
        for (const auto& [key, part] : parts_) part->connection_lost();
        if (!options_.head_file.empty() && was_turned_away()) return loop_.stop();
        dial_later(why);
      });
    });
    wire::Hello hello;
    hello.node = options_.node;
    hello.hardware_threads = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
    hello.memory_mib = options_.memory_mib;
    hello.hwloc_xml = topology_;
    hello.open_mpi_flux = has_open_mpi_flux(options_);
    hello.bin_dir = options_.bin_dir;
    hello.mpirun = options_.mpi_bin_dir + "/mpirun";
    hello.topology_file = options_.topology_file;
    hello.network = options_.network;
    hello.whole_machine = options_.whole_machine;
    hello.address = options_.address;
    hello.hostname = options_.hostname;
    hello.life = life_;
    for (const auto& [key, part] : parts_) {
      if (part->is_prepared()) hello.parts.push_back(key);
    }
    link_->send(wire::encode(hello));
  }

  void send(const wire::Message& message) {
    if (link_ && welcome_) link_->send(wire::encode(message));
  }

  void frame(const std::string& bytes) {
    const auto message = wire::decode(bytes);
    if (!message) {
      os::log_error("the head sent what is no message: {}", message.error().message);
      return;
    }
    take(*message);
  }

  void take(const wire::Message& message) {
    std::visit([this](const auto& m) { on(m); }, message);
  }

  void on(const wire::Welcome& message) {
    welcome_ = true;
    head_sees_files_ = message.sees_files;
    turned_away_ = 0;
    retry_ = kFirstRetry;
    health_.tell_again();
    os::log_info("connected to the head");
    remotes_stirred();
    asks_.tell_again();
    for (const auto& [key, part] : parts_) {
      part->tell_remotes_again();
      part->tell_all();
    }
  }
  void on(const wire::FilePiece& piece) { part(piece.part).add_piece(piece); }
  void on(wire::Prepare prepare) {
    if (options_.own_user) prepare.user = own_user();
    const auto key = prepare.part;
    part(key).prepare(std::move(prepare));
  }
  void on(const wire::Launch& message) {
    const auto found = parts_.find(message.part);
    if (found != parts_.end()) found->second->launch(message);
  }
  void on(const wire::Stop& message) {
    const auto found = parts_.find(message.part);
    if (found != parts_.end()) {
      found->second->stop(message);
    } else {
      // It is not here, so it runs no more: that is all there is to say.
      send(wire::Exited{message.part, os::SystemClock().now().value, 137, message.reason});
    }
  }
  void on(const wire::OutputAck& message) {
    const auto found = parts_.find(message.part);
    if (found != parts_.end()) found->second->acknowledged(message);
  }
  void on(const wire::OutputUnseen& message) {
    const auto found = parts_.find(message.part);
    if (found != parts_.end()) found->second->unseen(message);
  }
  void on(const wire::ExitedAck& message) {
    const auto found = parts_.find(message.part);
    if (found == parts_.end()) return;
    const auto part = std::move(found->second);
    parts_.erase(found);
    asks_.part_is_over(message.part);
    part->clear();
  }
  void on(const wire::RemoteStart& message) {
    if (message.route.to_target) to_part(message, &Part::run_remote);
  }
  void on(const wire::RemoteInput& message) {
    if (message.route.to_target) to_part(message, &Part::remote_input);
  }
  void on(const wire::RemoteOutput& message) { to_ask(message); }
  void on(const wire::RemoteExited& message) { to_ask(message); }
  void on(const wire::RemoteTaken& message) {
    message.route.to_target ? to_part(message, &Part::remote_output_taken) : to_ask(message);
  }
  void on(const wire::RemoteHave& message) {
    message.route.to_target ? to_part(message, &Part::remote_have) : to_ask(message);
  }
  void on(const wire::RemoteLost& message) {
    asks_.target_is_lost(message);
    if (auto* part = part_of(message.part)) part->asker_is_lost(message.part);
  }
  template <class Other>
  void on(const Other&) {
    os::log_warn("the head sent a message that only agents send");
  }

  static JobUser own_user() {
    const auto* entry = ::getpwuid(::geteuid());
    return {::geteuid(), ::getegid(), entry != nullptr ? entry->pw_name : "nobody"};
  }

  Part& part(const wire::PartKey& key) {
    auto& entry = parts_[key];
    if (!entry) {
      entry = std::make_unique<Part>(
          PartHost{loop_, options_, *spool_, *cgroups_, homes_, *spare_steps_,
                   [this](const wire::Message& m) { send(m); },
                   [this] { return link_ && welcome_; }, [this] { return head_sees_files_; },
                   [this](const wire::Message& m) { take(m); }, [this] { remotes_stirred(); },
                   [this] { return orphans(); }, [this] { return processors_in_use(); }},
          key);
    }
    return *entry;
  }

  /// The part of a job's attempt on this node, whichever node index was named: on another node
  /// mpirun's environment names the main node's part.
  Part* part_of(const wire::PartKey& key) {
    for (const auto& [each, part] : parts_) {
      if (each.job == key.job && each.attempt == key.attempt && part->is_prepared())
        return part.get();
    }
    return nullptr;
  }

  // Commands on other nodes, for cox-rsh.

  template <class Message>
  void to_part(const Message& message, void (Part::*takes)(const Message&)) {
    const auto& route = message.route;
    if (auto* target = part_of(route.from)) return (target->*takes)(message);
    bool wants_answer = std::is_same_v<Message, wire::RemoteStart>;
    if constexpr (std::is_same_v<Message, wire::RemoteHave>) {
      wants_answer = message.again && message.begun;
    }
    if (!wants_answer) return;
    const wire::RemoteExited refusal{wire::way_back(route), 255,
                                     "the job does not run on that node"};
    route.from_node == options_.node ? to_ask(refusal) : send(refusal);
  }

  template <class Message>
  void to_ask(const Message& message) {
    const auto& route = message.route;
    if (!route.to_target && route.from_node == options_.node) asks_.on(message);
  }

  void remotes_stirred() {
    if (!remote_timer_) remote_timer_ = loop_.after(kRemoteTick, [this] { tick_remotes(); });
  }

  void tick_remotes() {
    remote_timer_.reset();
    if (!link_ || !welcome_) return;  // all is said again over the next connection
    bool is_unsettled = asks_.tick();
    for (const auto& [key, part] : parts_) is_unsettled = part->tick_remotes() || is_unsettled;
    if (is_unsettled) remotes_stirred();
  }

  // cox-rank and cox-rsh.

  bool from_local(LocalServer::ConnectionId id, std::uint32_t uid, wire::Message message) {
    if (auto* output = std::get_if<wire::Output>(&message)) {
      auto* target = allowed(output->part, uid);
      if (target == nullptr || output->rank < 0) return false;
      target->rank_lines(std::move(*output));
    } else if (auto* ended = std::get_if<wire::RankExited>(&message)) {
      auto* target = allowed(ended->part, uid);
      if (target == nullptr) return false;
      target->rank_ended(*ended);
      local_.send(id, wire::ExitedAck{ended->part});
    } else if (auto* start = std::get_if<wire::RemoteStart>(&message)) {
      return remote_asked(id, uid, std::move(*start));
    } else if (auto* input = std::get_if<wire::RemoteInput>(&message)) {
      return asks_.input(id, std::move(*input));
    } else if (const auto* taken = std::get_if<wire::RemoteTaken>(&message)) {
      return asks_.output_taken(id, *taken);
    } else {
      return false;
    }
    return true;
  }

  Part* allowed(const wire::PartKey& key, std::uint32_t uid) {
    auto* target = part_of(key);
    return target != nullptr && target->belongs_to(uid) ? target : nullptr;
  }

  bool remote_asked(LocalServer::ConnectionId id, std::uint32_t uid, wire::RemoteStart start) {
    auto* asking = allowed(start.route.from, uid);
    if (asking == nullptr || !asks_.may_start(id, start)) return false;
    const auto& peers = asking->peers();
    const bool here = start.host == "localhost" || start.host == "127.0.0.1";
    const auto peer = std::find_if(peers.begin(), peers.end(), [&](const wire::Peer& each) {
      const bool named = each.address == start.host || each.hostname == start.host ||
                         start.host.starts_with(each.hostname + ".");
      return here ? each.node == options_.node : named;
    });
    if (peer == peers.end()) {
      local_.send(
          id, wire::RemoteExited{start.route, 255, "node " + start.host + " is not in this job"});
      return true;
    }
    start.route.from = asking->key();
    start.route.from_node = options_.node;
    start.route.target_index = peer->node_index;
    asks_.start(id, std::move(start), peer->node == options_.node);
    return true;
  }

  // Children: steps, and as first process of the node whatever lost its parent.

  std::vector<pid_t> orphans() {
    const auto spare = spare_steps_->processes();
    std::set<pid_t> of_steps(spare.begin(), spare.end());
    for (const auto& [key, part] : parts_) {
      if (part->step_pid() == 0) continue;
      of_steps.insert(part->step_pid());
      for (const auto pid : processes_below(part->step_pid())) of_steps.insert(pid);
    }
    auto all = options_.first_process ? processes_below(::getpid()) : std::vector<pid_t>{};
    std::erase_if(all, [&](pid_t pid) { return of_steps.contains(pid); });
    return all;
  }

  std::map<int, int> processors_in_use() const {
    std::map<int, int> used;
    for (const auto& [key, part] : parts_) {
      for (const int each : part->processors()) ++used[each];
    }
    return used;
  }

  void child_ended(int pid, int status) {
    spare_steps_->child_ended(pid);
    for (const auto& [key, part] : parts_) part->child_ended(pid, status);
  }

  os::EventLoop& loop_;
  AgentOptions options_;
  MetadataService metadata_;
  HostHealth health_;
  LocalServer local_;
  std::unique_ptr<logs::LogStore> spool_;
  std::unique_ptr<MemoryCgroups> cgroups_ = make_memory_cgroups(options_.cgroup);
  SpareHomes homes_{loop_, options_.scratch};
  std::unique_ptr<SpareSteps> spare_steps_ = make_spare_steps(loop_, *cgroups_);
  std::unique_ptr<os::HttpServer> metadata_server_;
  std::string topology_;
  os::SubscriptionPtr reaper_;
  std::unique_ptr<os::FrameLink> link_;
  const std::string life_ = random_word().value_or("");
  bool welcome_ = false;
  bool head_sees_files_ = false;  ///< as the last head said that it does
  int turned_away_ = 0;           ///< times in a row
  std::chrono::steady_clock::time_point last_contact_ = std::chrono::steady_clock::now();
  std::chrono::milliseconds retry_ = kFirstRetry;
  os::SubscriptionPtr retry_timer_;
  std::map<wire::PartKey, std::unique_ptr<Part>> parts_;
  RemoteAsks asks_{{[this](auto id, const wire::Message& m) { local_.send(id, m); },
                    [this](const wire::Message& m) { take(m); },
                    [this](const wire::Message& m) { send(m); }, [this] { remotes_stirred(); }}};
  os::SubscriptionPtr remote_timer_;
};

}  // namespace

std::unique_ptr<Agent> make_agent(os::EventLoop& loop, AgentOptions options) {
  return std::make_unique<AgentCore>(loop, std::move(options));
}

}  // namespace cox::agent
