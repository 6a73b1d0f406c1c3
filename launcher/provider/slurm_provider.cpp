#include "launcher/provider/slurm_provider.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "launcher/provider/agent_bundle.hpp"
#include "launcher/provider/program_run.hpp"
#include "launcher/provider/slurm_command.hpp"
#include "launcher/provider/slurm_pilots.hpp"
#include "launcher/provider/slurm_site.hpp"
#include "launcher/provider/slurm_stage.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

namespace cox::provider {
namespace {

using namespace std::chrono_literals;

using ProvisionDone = std::function<void(Result<ProvisionedNode>)>;
using TerminateDone = std::function<void(Result<void>)>;
using Said = std::function<void(Result<std::string>)>;

constexpr auto kGatherTime = 5ms;  ///< until all nodes of an allocation have been asked for
constexpr auto kCommandTime = 60s;
constexpr auto kLookOften = 1s;    ///< while a pilot waits for its turn, or something is odd
constexpr auto kLookSeldom = 15s;  ///< while all is well: their agents are connected
constexpr auto kOddTime = 30s;     ///< how long something stays odd
constexpr auto kCancelAgain = 2s;
constexpr auto kEndTime = 60s;
constexpr std::int64_t kSameTimeMs = 3000;  ///< Slurm counts in seconds, and we ask in between
constexpr int kAtOnce = 8;                  ///< that sbatch runs for
constexpr int kTimesUnseen = 3;  ///< until a job that Slurm does not name is taken for gone

enum class Phase : std::uint8_t {
  gathering,   ///< more nodes may come
  submitting,  ///< sbatch runs, or ran when the head ended
  submitted,
  over,  ///< Slurm runs it no more, or never will
};

struct Pilot {
  PilotRecord record;
  Phase phase = Phase::gathering;
  InstanceType type;
  std::set<NodeId> left;  ///< nodes that have not been given back
  std::vector<NodeRequest> requests;
  std::vector<std::pair<NodeId, ProvisionDone>> when_submitted;
  std::vector<TerminateDone> when_ended;
  bool ending = false;  ///< nobody wants it any more
  bool runs = false;
  bool is_broken = false;                ///< a node of it could not start: it is being given up
  std::optional<std::string> told = {};  ///< why it waits, as last told
  int seconds = 0;                       ///< for how long it was asked for
  Millis lent_until = {};                ///< not later than Slurm ends it; not set: not known
  int unseen = 0;
  std::unique_ptr<ProgramRun> task;
  os::SubscriptionPtr again;
};

class Provider : public SlurmProvider {
 public:
  Provider(os::EventLoop& loop, SlurmProviderOptions options, std::string hash)
      : loop_(loop), options_(std::move(options)), hash_(std::move(hash)) {}
  ~Provider() override { *alive_ = false; }

  bool serves(const ComputeEnvironmentName& environment) const override {
    const auto& all = options_.plan.environments;
    return std::find(all.begin(), all.end(), environment.value) != all.end();
  }
  void serve(std::vector<std::string> names) override {
    options_.plan.environments = std::move(names);
  }
  bool knows(const NodeId& id) const override { return pilot_of_.contains(id); }
  bool may_wait(const NodeId& id) const override { return knows(id); }

  void provision(NodeRequest request, ProvisionDone done) override;
  void terminate(const NodeId& id, TerminateDone done) override;
  void on_node_ended(std::function<void(NodeId, std::string)> handler) override {
    ended_ = std::move(handler);
  }
  void on_node_waiting(std::function<void(NodeId, std::string)> handler) override {
    waiting_ = std::move(handler);
  }
  void on_node_lent(std::function<void(NodeId)> handler) override { lent_ = std::move(handler); }
  Millis lent_until(const NodeId& id) const override {
    const auto found = pilot_of_.find(id);
    return found == pilot_of_.end() ? Millis{} : pilots_.at(found->second).lent_until;
  }
  void suspect(const NodeId& id) override {
    if (!knows(id)) return;
    odd_until_ = Clock::now() + kOddTime;
    look_in(0ms);
  }
  std::vector<NodeId> adopt(const std::vector<Node>& known) override;
  void end_all(std::function<void(std::vector<std::string>)> done) override;

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] Pilot& gathering_for(const NodeRequest& request);
  void submit(const std::string& id);
  void submitted(const std::string& id, const Result<std::string>& said);
  void refused(const std::string& id, const Error& why);
  void cancel(const std::string& id);
  void forget(const std::string& id, const Result<void>& result);
  void look_in(std::chrono::milliseconds time);
  void look();
  void looked(const Result<std::string>& said);
  void saw(Pilot& pilot, const PilotState& state);
  void tell_waiting(Pilot& pilot, const std::string& why);
  void note_time(Pilot& pilot, const PilotState& state, bool waits);
  void is_over(Pilot& pilot, std::string why);
  void tell_ended(const Pilot& pilot, std::string why);
  std::unique_ptr<ProgramRun> call(const std::vector<std::string>& argv, const std::string& input,
                                   Said done);
  void later(std::function<void()> action) {
    loop_.post([alive = alive_, action = std::move(action)] {
      if (*alive) action();
    });
  }

  os::EventLoop& loop_;
  SlurmProviderOptions options_;
  std::string hash_;
  std::map<std::string, Pilot> pilots_;
  std::map<NodeId, std::string> pilot_of_;
  std::function<void(NodeId, std::string)> ended_;
  std::function<void(NodeId, std::string)> waiting_;
  std::function<void(NodeId)> lent_;
  std::unique_ptr<ProgramRun> looking_;
  os::SubscriptionPtr next_look_;
  Clock::time_point odd_until_{};
  std::string trouble_;  ///< why Slurm cannot be asked; empty: it can
  bool stopped_ = false;
  std::unique_ptr<ProgramRun> last_task_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

/// Runs one of Slurm's commands and answers on the loop, not from inside the run.
std::unique_ptr<ProgramRun> Provider::call(const std::vector<std::string>& argv,
                                           const std::string& input, Said done) {
  auto run =
      run_program(loop_, {argv, input, kCommandTime},
                  [this, done, program = argv.front()](const os::RunResult& result) {
                    later([done, program, result] {
                      if (result.exit_code == 0) return done(result.out);
                      done(fail(explain_slurm_failure(program, result.exit_code, result.err)));
                    });
                  });
  if (run) return std::move(*run);
  later([done, program = argv.front(), error = run.error()] {
    const int code = error.code == Errc::not_found ? 127 : 1;
    done(fail(explain_slurm_failure(program, code, error.message)));
  });
  return nullptr;
}

void Provider::provision(NodeRequest request, ProvisionDone done) {
  const auto id = request.id;
  if (stopped_) {
    later([done] { done(fail(Errc::unavailable, "the cluster is being ended")); });
    return;
  }
  if (const auto found = pilot_of_.find(id); found != pilot_of_.end()) {
    auto& pilot = pilots_.at(found->second);
    if (pilot.phase == Phase::gathering || pilot.phase == Phase::submitting) {
      pilot.when_submitted.emplace_back(id, std::move(done));
    } else {
      later([done, id] { done(ProvisionedNode{id, "", "", 0, {}}); });
    }
    return;
  }
  auto& pilot = gathering_for(request);
  if (pilot.phase != Phase::gathering) {
    later([done] { done(fail(Errc::conflict, "its allocation was asked for without it")); });
    return;
  }
  pilot.record.nodes.push_back(id);
  pilot.left.insert(id);
  pilot_of_[id] = pilot.record.id;
  pilot.when_submitted.emplace_back(id, std::move(done));
  pilot.requests.push_back(std::move(request));
}

/// The pilot that such a node is to be part of: an allocation is one.
Pilot& Provider::gathering_for(const NodeRequest& request) {
  const auto& id = request.allocation;
  const auto [found, is_new] = pilots_.try_emplace(id);
  auto& pilot = found->second;
  if (!is_new) return pilot;
  pilot.record = {id, "", request.environment.value, {}};
  pilot.type = request.type;
  pilot.seconds = request.lent_s;
  pilot.again = loop_.after(kGatherTime, [this, id] { submit(id); });
  return pilot;
}

void Provider::submit(const std::string& id) {
  auto& pilot = pilots_.at(id);
  const auto under_way = std::count_if(pilots_.begin(), pilots_.end(), [](const auto& each) {
    return each.second.phase == Phase::submitting && each.second.task != nullptr;
  });
  if (under_way >= kAtOnce) {
    pilot.again = loop_.after(kGatherTime, [this, id] { submit(id); });
    return;
  }
  pilot.phase = Phase::submitting;
  pilot.again.reset();
  // Nodes that were given back before they were asked for are none.
  std::erase_if(pilot.requests, [&](const auto& each) { return !pilot.left.contains(each.id); });
  if (pilot.requests.empty()) return forget(id, {});
  // What was asked for is written down first, so that the pilot is never forgotten.
  auto kept = save_pilot(options_.cluster_directory, pilot.record).and_then([&] {
    return stage_pilot(options_, id, pilot.requests);
  });
  if (!kept) {
    later([this, id, error = kept.error()] { refused(id, error); });
    return;
  }
  const PilotShape shape{.id = id,
                         .nodes = static_cast<int>(pilot.requests.size()),
                         .vcpus = pilot.type.vcpus,
                         .memory_mib = pilot.type.memory.value,
                         .seconds = pilot.seconds};
  pilot.lent_until = os::SystemClock().now() + std::int64_t{1000} * pilot.seconds;
  pilot.task = call(sbatch_argv(options_.plan, shape), pilot_script(options_.plan, id, hash_),
                    [this, id](const Result<std::string>& said) { submitted(id, said); });
}

void Provider::submitted(const std::string& id, const Result<std::string>& said) {
  auto& pilot = pilots_.at(id);
  pilot.task.reset();
  const auto job = said ? submitted_job(*said) : Result<std::string>(fail(said.error()));
  if (!job) return refused(id, job.error());
  os::log_info("pilot {} of {} nodes is Slurm job {}", id, pilot.requests.size(), *job);
  pilot.record.job = *job;
  pilot.phase = Phase::submitted;
  pilot.requests.clear();
  if (const auto kept = save_pilot(options_.cluster_directory, pilot.record); !kept) {
    os::log_error("{}", kept.error().message);
  }
  const auto waiting = std::exchange(pilot.when_submitted, {});
  if (pilot.ending) cancel(id);
  look_in(kLookOften);
  for (const auto& [node, done] : waiting) done(ProvisionedNode{node, "", "", 0, {}});
}

/// Slurm did not take it. One that it took without being able to say so is found by its comment.
void Provider::refused(const std::string& id, const Error& why) {
  auto& pilot = pilots_.at(id);
  const auto waiting = std::exchange(pilot.when_submitted, {});
  const auto ending = std::exchange(pilot.when_ended, {});
  (void)os::remove_tree(pilot_stage(options_.plan, id));
  forget(id, {});
  for (const auto& [node, done] : waiting) done(fail(why));
  for (const auto& done : ending) done({});
}

void Provider::terminate(const NodeId& id, TerminateDone done) {
  const auto found = pilot_of_.find(id);
  if (found == pilot_of_.end()) {
    later([done] { done({}); });
    return;
  }
  const auto name = found->second;
  auto& pilot = pilots_.at(name);
  pilot.left.erase(id);
  if (!pilot.left.empty()) {
    // Its agent leaves when the head does not know it any more; the others' allocation goes on.
    pilot_of_.erase(found);
    later([done] { done({}); });
    return;
  }
  pilot.when_ended.push_back(std::move(done));
  if (pilot.ending) return;
  pilot.ending = true;
  if (pilot.phase == Phase::submitted || pilot.phase == Phase::over) cancel(name);
}

/// Tried until Slurm has taken it.
void Provider::cancel(const std::string& id) {
  auto& pilot = pilots_.at(id);
  pilot.again.reset();
  if (pilot.phase == Phase::over) {
    later([this, id] { forget(id, {}); });
    return;
  }
  pilot.task = call({"scancel", pilot.record.job}, "", [this, id](const Result<std::string>& said) {
    auto& cancelled = pilots_.at(id);
    cancelled.task.reset();
    // Slurm has forgotten jobs that ended long ago.
    if (said || said.error().message.find("Invalid job id") != std::string::npos) {
      return forget(id, {});
    }
    os::log_warn("{}", said.error().message);
    for (const auto& done : std::exchange(cancelled.when_ended, {})) done(fail(said.error()));
    cancelled.again = loop_.after(kCancelAgain, [this, id] { cancel(id); });
  });
}

void Provider::forget(const std::string& id, const Result<void>& result) {
  const auto found = pilots_.find(id);
  if (found == pilots_.end()) return;
  const auto waiting = std::exchange(found->second.when_ended, {});
  (void)os::remove_tree(pilot_stage(options_.plan, id));
  forget_pilot(options_.cluster_directory, id);
  for (const auto& node : found->second.record.nodes) pilot_of_.erase(node);
  pilots_.erase(found);
  for (const auto& done : waiting) done(result);
}

void Provider::look_in(std::chrono::milliseconds time) {
  if (looking_ || stopped_) return;
  next_look_ = loop_.after(time, [this] { look(); });
}

void Provider::look() {
  next_look_.reset();
  if (looking_ || pilots_.empty() || stopped_) return;
  looking_ = call(squeue_argv(), "", [this](const Result<std::string>& said) { looked(said); });
}

void Provider::looked(const Result<std::string>& said) {
  looking_.reset();
  if (!said) {
    if (trouble_ != said.error().message) os::log_warn("{}", said.error().message);
    trouble_ = said.error().message;
    return look_in(kLookOften);
  }
  trouble_.clear();
  std::map<std::string, PilotState> states;
  for (auto& state : parse_squeue(options_.plan, *said)) {
    const auto pilot = state.pilot;
    states.insert_or_assign(pilot, std::move(state));
  }
  bool often = Clock::now() < odd_until_;
  std::vector<std::pair<std::string, std::string>> gone;
  for (auto& [id, pilot] : pilots_) {
    if (pilot.phase == Phase::gathering || pilot.phase == Phase::over || pilot.task) continue;
    if (const auto state = states.find(id); state != states.end()) {
      saw(pilot, state->second);
    } else if (++pilot.unseen >= kTimesUnseen) {
      is_over(pilot, pilot.record.job.empty()
                         ? "the head ended before Slurm was asked for it"
                         : fmt::format("Slurm does not know job {} any more", pilot.record.job));
    }
    often = often || !pilot.runs || pilot.unseen > 0;
  }
  if (!pilots_.empty()) look_in(often ? std::chrono::milliseconds(kLookOften) : kLookSeldom);
}

void Provider::saw(Pilot& pilot, const PilotState& state) {
  pilot.unseen = 0;
  if (pilot.record.job.empty()) {
    pilot.record.job = state.job;
    pilot.phase = Phase::submitted;
    (void)save_pilot(options_.cluster_directory, pilot.record);
    if (pilot.ending) return cancel(pilot.record.id);
  }
  if (provider::is_over(state)) {
    auto why = why_it_ended(state);
    const auto words = last_words(options_.plan, pilot.record.id);
    // What its agents could say tells more than that they failed.
    if (state.state == "FAILED" && !words.empty()) why += ": " + words;
    return is_over(pilot, std::move(why));
  }
  const auto failure = state.state == "RUNNING" && !pilot.is_broken
                           ? start_failure(options_.plan, pilot.record.id)
                           : std::string();
  if (!failure.empty()) {
    pilot.is_broken = true;
    return tell_ended(pilot,
                      fmt::format("Slurm job {} did not start whole: {}", state.job, failure));
  }
  const bool waits = is_waiting(state);
  pilot.runs = !waits && state.state != "COMPLETING";
  note_time(pilot, state, waits);
  tell_waiting(pilot, waits ? why_it_waits(state) : "");
}

/// Of a pilot that waits it is known that it does not start before now.
void Provider::note_time(Pilot& pilot, const PilotState& state, bool waits) {
  const auto seconds = waits ? state.limit_s : state.left_s;
  if (!seconds) return;
  const auto until = os::SystemClock().now() + std::int64_t{1000} * *seconds;
  const auto moved = until - pilot.lent_until;
  if (moved > -kSameTimeMs && moved < kSameTimeMs) return;
  pilot.lent_until = until;
  if (waits) return;  // who asks when it comes is told
  later([this, nodes = pilot.left] {
    for (const auto& node : nodes) {
      if (lent_) lent_(node);
    }
  });
}

void Provider::tell_waiting(Pilot& pilot, const std::string& why) {
  if (pilot.told == why) return;
  pilot.told = why;
  const auto nodes = pilot.left;
  later([this, nodes, why] {
    for (const auto& node : nodes) {
      if (waiting_) waiting_(node, why);
    }
  });
}

/// The head gives each node up, and so the pilot is forgotten.
void Provider::is_over(Pilot& pilot, std::string why) {
  pilot.phase = Phase::over;
  pilot.runs = false;
  os::log_info("pilot {}: {}", pilot.record.id, why);
  if (pilot.ending) return cancel(pilot.record.id);
  tell_ended(pilot, std::move(why));
}

void Provider::tell_ended(const Pilot& pilot, std::string why) {
  later([this, nodes = pilot.left, why = std::move(why)] {
    for (const auto& node : nodes) {
      if (ended_) ended_(node, why);
    }
  });
}

std::vector<NodeId> Provider::adopt(const std::vector<Node>& known) {
  for (auto& record : load_pilots(options_.cluster_directory)) {
    auto& pilot = pilots_[record.id];
    pilot.phase = record.job.empty() ? Phase::submitting : Phase::submitted;
    for (const auto& node : known) {
      const bool its =
          std::find(record.nodes.begin(), record.nodes.end(), node.id) != record.nodes.end();
      if (!its) continue;
      pilot.left.insert(node.id);
      pilot.lent_until = node.lent_until;
      pilot_of_[node.id] = record.id;
    }
    pilot.record = std::move(record);
    pilot.ending = pilot.left.empty();
    if (pilot.ending && pilot.phase == Phase::submitted) {
      later([this, id = pilot.record.id] {
        if (pilots_.contains(id)) cancel(id);
      });
    }
  }
  odd_until_ = Clock::now() + kOddTime;
  if (!pilots_.empty()) look_in(0ms);
  std::vector<NodeId> living;
  for (const auto& [node, pilot] : pilot_of_) living.push_back(node);
  return living;
}

/// A thread may wait here; the loop must not. So it is another program that does: ourselves.
void Provider::end_all(std::function<void(std::vector<std::string>)> done) {
  stopped_ = true;
  next_look_.reset();
  looking_.reset();
  for (auto& [id, pilot] : pilots_) {
    pilot.again.reset();
    pilot.task.reset();
  }
  auto run =
      run_program(loop_,
                  {{options_.bin_directory + "/coxd", "--clear-site", options_.cluster_directory},
                   "",
                   kEndTime},
                  [this, done](const os::RunResult& result) {
                    std::vector<std::string> troubles;
                    for (const auto& line : split(result.out, '\n')) {
                      if (!trim(line).empty()) troubles.emplace_back(trim(line));
                    }
                    if (result.exit_code != 0 && troubles.empty()) {
                      troubles.push_back("Slurm's jobs could not be cancelled: " +
                                         std::string(trim(result.err)));
                    }
                    later([done, troubles] { done(troubles); });
                  });
  if (run) {
    last_task_ = std::move(*run);
  } else {
    later([done, error = run.error()] { done({error.message}); });
  }
}

}  // namespace

Result<std::unique_ptr<SlurmProvider>> make_slurm_provider(os::EventLoop& loop,
                                                           SlurmProviderOptions options) {
  const auto bundle = pack_agent(options.bin_directory);
  if (!bundle) return fail(bundle.error());
  if (auto staged = stage_agent(options.plan, *bundle); !staged) return fail(staged.error());
  return std::make_unique<Provider>(loop, std::move(options), bundle->hash);
}

}  // namespace cox::provider
