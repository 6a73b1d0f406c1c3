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
#include "runtime/agent/remote_target.hpp"
#include "runtime/agent/topology_probe.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/http.hpp"
#include "runtime/os/log.hpp"

namespace cox::agent {

namespace {

/// What a local program may say at once of a command on another node; it travels within a frame.
constexpr std::size_t kRemoteWordsMax = 1u << 20;
/// Of a command's input: who sends more does not keep to the window.
constexpr std::int64_t kInputUnderWayMax = 32 << 20;
constexpr const char* kMuchWasLost = "the head was lost while much was under way";
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
                [this](LocalServer::ConnectionId id) { local_closed(id); }}) {}

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
        end_remote_streams();
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
    std::visit([this](const auto& m) { on(m); }, *message);
  }

  void on(const wire::Welcome& message) {
    welcome_ = true;
    head_sees_files_ = message.sees_files;
    turned_away_ = 0;
    retry_ = kFirstRetry;
    health_.tell_again();
    os::log_info("connected to the head");
    for (const auto& [key, part] : parts_) part->tell_all();
    for (const auto& each : std::exchange(unsent_, {})) send(each);
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
    part->clear();
  }
  void on(const wire::RemoteStart& message) { start_remote(message); }
  void on(const wire::RemoteInput& message) { input_remote(message); }
  void on(const wire::RemoteOutput& message) {
    const auto asked = remote_targets_.find(message.id);
    if (asked == remote_targets_.end()) return;
    asked->second.moved.add(static_cast<std::int64_t>(message.bytes.size()));
    local_.send(message.id, message);
  }
  void on(const wire::RemoteExited& message) { exited_remote(message); }
  void on(const wire::RemoteTaken& message) { taken_remote(message); }
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
                   [this](const wire::RemoteAnswer& answer) {
                     std::visit([this](const auto& m) { answer_remote(m); }, answer);
                   },
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

  void start_remote(const wire::RemoteStart& message) {
    if (auto* target = part_of(message.from)) return target->run_remote(message);
    answer_remote(wire::RemoteExited{message.id, message.from, message.from_node, 255,
                                     "the job does not run on that node"});
  }

  void input_remote(const wire::RemoteInput& message) {
    if (auto* target = part_of(message.from)) target->remote_input(message);
  }

  void taken_remote(const wire::RemoteTaken& message) {
    const auto asked = remote_targets_.find(message.id);
    if (!message.of_input) {
      if (auto* target = part_of(message.from)) target->remote_output_taken(message);
    } else if (asked != remote_targets_.end()) {
      asked->second.input_under_way -= message.bytes;
      local_.send(message.id, message);
    }
  }

  void exited_remote(const wire::RemoteExited& message) {
    remote_targets_.erase(message.id);
    local_.send(message.id, message);
  }

  /// Back to who asked: here, or on another node through the head.
  template <class Message>
  void answer_remote(const Message& message) {
    pass_on(message.from_node == options_.node, message);
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
      if (start->host.size() + start->command.size() > kRemoteWordsMax) return false;
      start->environment.clear();
      return !remote_targets_.contains(id) && remote_asked(id, uid, std::move(*start));
    } else if (auto* input = std::get_if<wire::RemoteInput>(&message)) {
      return remote_input(id, std::move(*input));
    } else if (auto* taken = std::get_if<wire::RemoteTaken>(&message)) {
      taken->of_input = false;
      pass_to_target(id, *taken);
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
    auto* asking = allowed(start.from, uid);
    if (asking == nullptr) return false;
    start.from = asking->key();
    start.from_node = options_.node;
    start.id = id;
    const auto& peers = asking->peers();
    const bool here = start.host == "localhost" || start.host == "127.0.0.1";
    const auto peer = std::find_if(peers.begin(), peers.end(), [&](const wire::Peer& each) {
      const bool named = each.address == start.host || each.hostname == start.host ||
                         start.host.starts_with(each.hostname + ".");
      return here ? each.node == options_.node : named;
    });
    if (peer == peers.end()) {
      local_.send(id, wire::RemoteExited{id, start.from, options_.node, 255,
                                         "node " + start.host + " is not in this job"});
      return true;
    }
    start.target_index = peer->node_index;
    const bool on_this_node = peer->node == options_.node;
    remote_targets_[id] = {start.from, peer->node_index, on_this_node, {}, 0};
    pass_on(on_this_node, start);
    return true;
  }

  bool remote_input(LocalServer::ConnectionId id, wire::RemoteInput input) {
    const auto asked = remote_targets_.find(id);
    if (asked == remote_targets_.end()) return true;
    const auto size = static_cast<std::int64_t>(input.bytes.size());
    asked->second.moved.add(size);
    asked->second.input_under_way += size;
    const bool fits =
        input.bytes.size() <= kRemoteWordsMax && asked->second.input_under_way <= kInputUnderWayMax;
    if (fits) pass_to_target(id, std::move(input));
    return fits;
  }

  template <class Message>
  void pass_to_target(LocalServer::ConnectionId id, Message message) {
    const auto asked = remote_targets_.find(id);
    if (asked == remote_targets_.end()) return;
    message.id = id;
    message.from = asked->second.from;
    message.from_node = options_.node;
    message.target_index = asked->second.target_index;
    pass_on(asked->second.here, message);
  }

  template <class Message>
  void pass_on(bool here, const Message& message) {
    if (here) {
      on(message);
    } else if (link_ && welcome_) {
      send(message);
    } else {
      unsent_.emplace_back(message);  // the head is away for a moment
    }
  }

  /// cox-rsh is gone: nobody waits for the command's output, nor has more to say to it.
  void local_closed(LocalServer::ConnectionId id) {
    pass_to_target(id, wire::RemoteInput{0, {}, {}, 0, "", true});
    pass_to_target(id, wire::RemoteTaken{0, {}, {}, 0, false, wire::kNobodyReads});
    remote_targets_.erase(id);
  }

  /// What was in the head's hands is gone. Of little, nothing mostly was; a long stream would have
  /// a hole, or stand still.
  void end_remote_streams() {
    std::vector<wire::RemoteExited> ends;
    for (const auto& [id, asked] : remote_targets_) {
      if (asked.here || std::max(asked.moved.count(), asked.input_under_way) < wire::kRemoteTold)
        continue;
      ends.push_back({id, asked.from, options_.node, 255, kMuchWasLost});
    }
    for (const auto& end : ends) {
      local_closed(end.id);
      local_.send(end.id, end);
    }
    for (const auto& [key, part] : parts_) part->end_remote_streams(kMuchWasLost);
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
  std::vector<wire::Message> unsent_;  ///< of commands on other nodes
  std::map<wire::PartKey, std::unique_ptr<Part>> parts_;
  std::map<LocalServer::ConnectionId, RemoteTarget> remote_targets_;
};

}  // namespace

std::unique_ptr<Agent> make_agent(os::EventLoop& loop, AgentOptions options) {
  return std::make_unique<AgentCore>(loop, std::move(options));
}

}  // namespace cox::agent
