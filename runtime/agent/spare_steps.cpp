#include "runtime/agent/spare_steps.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "runtime/agent/step_messages.hpp"
#include "runtime/agent/step_plan_text.hpp"

namespace cox::agent {

namespace {

constexpr auto kUrgent = std::chrono::milliseconds(1);
constexpr std::size_t kWantedMax = 4;
// A user's groups, and whatever else was set in such a process, stay no longer than this.
constexpr auto kUsedFor = std::chrono::seconds(10);
constexpr std::size_t kUsedMax = 32;

class Spares : public SpareSteps {
 public:
  Spares(os::EventLoop& loop, MemoryCgroups& cgroups) : loop_(loop), cgroups_(cgroups) {}

  [[nodiscard]] std::optional<LimitedStep> take(const StepPlan& plan, std::int64_t memory_mib,
                                                StepEvents& events, OutputEnds& ends) override {
    const auto text = text_of_plan(plan);
    if (!text) return {};
    auto spare = take_used(plan);
    // Another job of the user's may have stopped it.
    if (spare) ::kill(spare->process.pid, SIGCONT);
    if (!spare) spare = take_fresh();
    if (!spare) return {};
    const auto pid = spare->process.pid;
    const bool is_limited = !spare->cgroup || spare->cgroup->limit(memory_mib);
    auto step =
        is_limited ? Step::adopt(loop_, std::move(spare->process), *text, events, ends) : nullptr;
    if (step) return LimitedStep{std::move(step), std::move(spare->cgroup)};
    ::kill(pid, SIGKILL);
    return {};
  }

  void give(std::unique_ptr<Step> step, std::unique_ptr<MemoryLimit> memory,
            const JobUser& user) override {
    const auto pid = step->pid();
    auto* const cgroup = dynamic_cast<MemoryCgroup*>(memory.get());
    const bool is_as_new = cgroup != nullptr
                               ? cgroup->is_as_new()
                               : !cgroups_.are_there() && !(memory && memory->exceeded());
    const bool is_usable = used_.size() < kUsedMax && is_as_new;
    auto process = is_usable ? step->release() : std::nullopt;
    const auto left = process ? process->begun + kUsedFor - std::chrono::steady_clock::now()
                              : std::chrono::steady_clock::duration::zero();
    if (left <= left.zero()) {
      ::kill(pid, SIGKILL);
      return;
    }
    auto spare = std::make_unique<Spare>(std::move(*process));
    if (cgroup != nullptr) {
      (void)memory.release();
      spare->cgroup.reset(cgroup);
    }
    spare->user = user;
    spare->is_ready = true;
    listen(*used_.emplace_back(std::move(spare)));
    auto& timer = timers_[pid];
    if (!timer) {
      timer = loop_.after(std::chrono::duration_cast<std::chrono::milliseconds>(left),
                          [this, pid] { end_used(pid); });
    }
  }

  void child_ended(pid_t pid) override {
    if (nursery_ && nursery_->pid == pid) nursery_.reset();  // somebody killed it: there is another
    const auto is_it = [&](const auto& spare) { return spare->process.pid == pid; };
    std::erase_if(fresh_, is_it);
    std::erase_if(used_, is_it);
    timers_.erase(pid);
    // It may be one whose number has not been heard yet.
    if (some_is_unready()) ended_.insert(pid);
  }

  [[nodiscard]] std::vector<pid_t> processes() const override {
    std::vector<pid_t> all;
    if (nursery_) all.push_back(nursery_->pid);
    for (const auto& spare : fresh_) all.push_back(spare->process.pid);
    for (const auto& spare : used_) all.push_back(spare->process.pid);
    return all;
  }

 private:
  struct Spare {
    explicit Spare(SpareProcess from) : process(std::move(from)) {}

    SpareProcess process;  ///< a fresh one's number is 0 until it is ready
    std::unique_ptr<MemoryCgroup> cgroup;
    JobUser user;           ///< of one that was used
    bool is_ready = false;  ///< it waits for a plan
  };
  using SparePtr = std::unique_ptr<Spare>;

  /// The first that is ready and for which `is_meant`, or null.
  template <class Condition>
  static SparePtr take_from(std::vector<SparePtr>& spares, const Condition& is_meant) {
    const auto found = std::find_if(spares.begin(), spares.end(), [&](const auto& spare) {
      return spare->is_ready && is_meant(*spare);
    });
    if (found == spares.end()) return nullptr;
    auto spare = std::move(*found);
    spares.erase(found);
    return spare;
  }

  SparePtr take_used(const StepPlan& plan) {
    return take_from(used_, [&](const Spare& spare) { return spare.user == plan.user; });
  }

  SparePtr take_fresh() {
    auto spare = take_from(fresh_, [](const Spare&) { return true; });
    if (!spare) wanted_ = std::min(wanted_ + 1, kWantedMax);
    if (spare) spare->process.begun = std::chrono::steady_clock::now();
    make_soon();
    return spare;
  }

  /// After what is urgent: the step that is being made.
  void make_soon() {
    if (!timer_ && !gave_up_) timer_ = loop_.after(kUrgent, [this] { make(); });
  }

  void make() {
    timer_.reset();
    while (fresh_.size() < wanted_) {
      auto cgroup = cgroups_.take();
      // It would start its command before it could be put into another one.
      if (!cgroup && cgroups_.are_there()) return;
      const auto file = cgroup ? cgroup->processes_file() : std::string();
      auto control = have_nursery() ? order(file) : os::Fd();
      if (!control) return;
      SpareProcess process{0, std::make_unique<StepControl>(loop_, std::move(control))};
      auto& spare = *fresh_.emplace_back(std::make_unique<Spare>(std::move(process)));
      spare.cgroup = std::move(cgroup);
      listen(spare);
    }
  }

  bool have_nursery() {
    if (nursery_) return true;
    auto ends = step_sockets();
    const pid_t pid = ends ? ::fork() : -1;
    if (pid == 0) be_nursery(ends->theirs.release());
    if (pid > 0) nursery_.emplace(Nursery{pid, std::move(ends->ours)});
    return pid > 0;
  }

  /// The control of a process that is asked for.
  os::Fd order(std::string processes_file) {
    auto ends = step_sockets();
    if (!ends) return {};
    StepMessage message;
    message.kind = 'N';
    message.text = std::move(processes_file);
    message.descriptors.push_back(std::move(ends->theirs));
    return send_step_message(nursery_->control.get(), message) ? std::move(ends->ours) : os::Fd();
  }

  [[nodiscard]] bool some_is_unready() const {
    return std::any_of(fresh_.begin(), fresh_.end(),
                       [](const auto& spare) { return spare->process.pid == 0; });
  }

  void listen(Spare& spare) {
    spare.process.control->on_readable([this, &spare] { heard(spare); });
  }

  void heard(Spare& spare) {
    StepMessage message;
    const bool told = receive_step_message(spare.process.control->get(), message);
    const auto pid = static_cast<pid_t>(message.number);
    if (told && spare.process.pid == 0 && !ended_.contains(pid)) {
      spare.process.pid = pid;
      spare.is_ready = true;
      proven_ = true;
    } else {
      // It could not enter its cgroup, or was killed: a step that is forked when needed tells why.
      // One that was used has its user's rights, and nothing to say.
      gave_up_ = !told && !proven_;
      if (spare.process.pid != 0) ::kill(spare.process.pid, SIGKILL);
      const auto is_meant = [&](const auto& each) { return each.get() == &spare; };
      if (std::erase_if(fresh_, is_meant) == 0) std::erase_if(used_, is_meant);
    }
    if (!some_is_unready()) ended_.clear();
  }

  void end_used(pid_t pid) {
    timers_.erase(pid);
    const bool was_there =
        std::erase_if(used_, [&](const auto& spare) { return spare->process.pid == pid; }) > 0;
    if (was_there) ::kill(pid, SIGKILL);  // whatever state somebody has left it in
  }

  os::EventLoop& loop_;
  MemoryCgroups& cgroups_;
  struct Nursery {
    pid_t pid = 0;
    os::Fd control;
  };
  std::optional<Nursery> nursery_;
  std::vector<SparePtr> fresh_;
  std::vector<SparePtr> used_;
  /// Of those that were used, by their numbers, until their time is up.
  std::map<pid_t, os::SubscriptionPtr> timers_;
  std::set<pid_t> ended_;   ///< children that have, while some spare's number is not known
  std::size_t wanted_ = 0;  ///< one more each time that there was none
  os::SubscriptionPtr timer_;
  bool proven_ = false;  ///< there was one that became ready
  bool gave_up_ = false;
};

}  // namespace

std::unique_ptr<SpareSteps> make_spare_steps(os::EventLoop& loop, MemoryCgroups& cgroups) {
  return std::make_unique<Spares>(loop, cgroups);
}

}  // namespace cox::agent
