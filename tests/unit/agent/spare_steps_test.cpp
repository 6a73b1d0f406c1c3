#include "runtime/agent/spare_steps.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "tests/unit/os/run_until.hpp"

namespace cox::agent {
namespace {

/// A child of this process that waits for a plan, or 0.
pid_t spare_process() {
  const auto children = os::read_file(fmt::format("/proc/self/task/{}/children", ::getpid()));
  for (const auto& word : split(children ? *children : "", ' ')) {
    const auto pid = to_int(word);
    const auto name = pid ? os::read_file(fmt::format("/proc/{}/comm", *pid)) : std::string();
    if (name && *name == "cox-spare\n") return static_cast<pid_t>(*pid);
  }
  return 0;
}

class SpareStepsTest : public testing::Test {
 protected:
  void TearDown() override {
    spares_.reset();  // what waits sees the end of its control, and ends
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
  }

  std::optional<LimitedStep> take() {
    StepEvents events;
    events.prepared = [this](const Result<wire::Meeting>& result) { prepared_ = result; };
    return spares_->take(StepPlan{}, 64, events);
  }
  [[nodiscard]] bool one_is_ready() const {
    const auto all = spares_->processes();
    return all.size() == 2 && all.back() != 0;
  }

  os::EventLoop loop_;
  std::unique_ptr<MemoryCgroups> cgroups_ = make_memory_cgroups("");
  std::unique_ptr<SpareSteps> spares_ = make_spare_steps(loop_, *cgroups_);
  std::optional<Result<wire::Meeting>> prepared_;
};

TEST_F(SpareStepsTest, AreThereOnceOneWasMissed) {
  loop_.run_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(spares_->processes().empty());
  EXPECT_FALSE(take());
  ASSERT_TRUE(os::run_until(loop_, [&] { return one_is_ready(); }));
  const auto ready = spares_->processes().back();
  const auto taken = take();
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->step->pid(), ready);
  EXPECT_EQ(taken->memory, nullptr);
  EXPECT_TRUE(os::run_until(loop_, [&] { return one_is_ready(); }));
}

TEST_F(SpareStepsTest, AreNotTakenOnceTheyHaveEnded) {
  EXPECT_FALSE(take());
  ASSERT_TRUE(os::run_until(loop_, [&] { return !spares_->processes().empty(); }));
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  pid_t spare = 0;
  while ((spare = spare_process()) == 0 && std::chrono::steady_clock::now() < end) {
  }
  ASSERT_NE(spare, 0);
  ::kill(spare, SIGKILL);
  ASSERT_EQ(::waitpid(spare, nullptr, 0), spare);
  spares_->child_ended(spare);

  loop_.run_for(std::chrono::milliseconds(50));

  EXPECT_EQ(spares_->processes().size(), 1u);  // the nursery
  EXPECT_FALSE(take());
}

TEST_F(SpareStepsTest, AreForkedByAnotherNurseryWhereOneWasKilled) {
  EXPECT_FALSE(take());
  ASSERT_TRUE(os::run_until(loop_, [&] { return one_is_ready(); }));
  const auto nursery = spares_->processes().front();
  ::kill(nursery, SIGKILL);
  ASSERT_EQ(::waitpid(nursery, nullptr, 0), nursery);
  spares_->child_ended(nursery);

  ASSERT_TRUE(take());

  ASSERT_TRUE(os::run_until(loop_, [&] { return one_is_ready(); }));
  EXPECT_NE(spares_->processes().front(), nursery);
}

}  // namespace
}  // namespace cox::agent
