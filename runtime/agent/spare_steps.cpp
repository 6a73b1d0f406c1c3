#include "runtime/agent/spare_steps.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <utility>

#include "runtime/agent/step_messages.hpp"
#include "runtime/agent/step_plan_text.hpp"

namespace cox::agent {

namespace {

constexpr auto kUrgent = std::chrono::milliseconds(1);
constexpr std::size_t kWantedMax = 4;

class Spares : public SpareSteps {
 public:
  Spares(os::EventLoop& loop, MemoryCgroups& cgroups) : loop_(loop), cgroups_(cgroups) {}

  [[nodiscard]] std::optional<LimitedStep> take(const StepPlan& plan, std::int64_t memory_mib,
                                                StepEvents& events) override {
    const auto found = std::find_if(spares_.begin(), spares_.end(),
                                    [](const auto& spare) { return spare->process.pid != 0; });
    if (found == spares_.end()) wanted_ = std::min(wanted_ + 1, kWantedMax);
    make_soon();
    if (found == spares_.end()) return {};
    const auto text = text_of_plan(plan);
    if (!text || ((*found)->cgroup && !(*found)->cgroup->limit(memory_mib))) return {};
    const auto spare = std::move(*found);
    spares_.erase(found);
    auto step = Step::adopt(loop_, std::move(spare->process), *text, events);
    if (!step) return {};
    return LimitedStep{std::move(step), std::move(spare->cgroup)};
  }

  void child_ended(pid_t pid) override {
    if (nursery_ && nursery_->pid == pid) nursery_.reset();  // somebody killed it: there is another
    std::erase_if(spares_, [&](const auto& spare) { return spare->process.pid == pid; });
    // It may be one whose number has not been heard yet.
    if (some_is_unready()) ended_.insert(pid);
  }

  [[nodiscard]] std::vector<pid_t> processes() const override {
    std::vector<pid_t> all;
    if (nursery_) all.push_back(nursery_->pid);
    for (const auto& spare : spares_) all.push_back(spare->process.pid);
    return all;
  }

 private:
  struct Spare {
    SpareProcess process;  ///< its number is 0 until it is ready
    std::unique_ptr<MemoryCgroup> cgroup;
    os::SubscriptionPtr watch;
  };

  /// After what is urgent: the step that is being made.
  void make_soon() {
    if (!timer_ && !gave_up_) timer_ = loop_.after(kUrgent, [this] { make(); });
  }

  void make() {
    timer_.reset();
    while (spares_.size() < wanted_) {
      auto cgroup = cgroups_.take();
      const auto file = cgroup ? cgroup->processes_file() : std::string();
      auto control = have_nursery() ? order(file) : os::Fd();
      if (!control) return;
      spares_.push_back(
          std::make_unique<Spare>(Spare{{0, std::move(control)}, std::move(cgroup), nullptr}));
      auto& spare = *spares_.back();
      spare.watch =
          loop_.when_readable(spare.process.control.get(), [this, &spare] { heard(spare); });
    }
  }

  bool have_nursery() {
    if (nursery_) return true;
    auto ends = step_sockets();
    const pid_t pid = ends ? ::fork() : -1;
    if (pid == 0) be_nursery(ends->theirs.release());
    if (pid > 0) nursery_.emplace(SpareProcess{pid, std::move(ends->ours)});
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
    return std::any_of(spares_.begin(), spares_.end(),
                       [](const auto& spare) { return spare->process.pid == 0; });
  }

  void heard(Spare& spare) {
    StepMessage message;
    spare.watch.reset();
    const bool told = receive_step_message(spare.process.control.get(), message);
    const auto pid = static_cast<pid_t>(message.number);
    if (told && !ended_.contains(pid)) {
      spare.process.pid = pid;
      proven_ = true;
    } else {
      // It could not enter its cgroup, or was killed: a step that is forked when needed tells why.
      gave_up_ = !told && !proven_;
      std::erase_if(spares_, [&](const auto& each) { return each.get() == &spare; });
    }
    if (!some_is_unready()) ended_.clear();
  }

  os::EventLoop& loop_;
  MemoryCgroups& cgroups_;
  std::optional<SpareProcess> nursery_;
  std::vector<std::unique_ptr<Spare>> spares_;
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
