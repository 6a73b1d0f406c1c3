#include "runtime/head/journal.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "tests/unit/os/run_until.hpp"

/// Commit, then answer, then act.
namespace cox::head {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// What happened, in order, from both threads.
class Story {
 public:
  void add(const std::string& line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(line);
  }
  [[nodiscard]] std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

/// "commit j k +n1 -n2 forget x": what a commit held.
class ToldStore : public store::Store {
 public:
  explicit ToldStore(Story& story) : story_(story) {}
  Result<void> commit(const store::Changes& changes) override {
    if (begun != nullptr) std::exchange(begun, nullptr)->set_value();
    if (hold != nullptr) std::exchange(hold, nullptr)->get_future().wait();
    std::string line = "commit";
    for (const auto& event : changes.events) line += " " + event.job.value;
    for (const auto& node : changes.nodes) line += " +" + node.id.value;
    for (const auto& node : changes.nodes_gone) line += " -" + node.value;
    for (const auto& job : changes.jobs_forgotten) line += " forget " + job.value;
    story_.add(line);
    if (refuses) return fail(Errc::internal, "the disk is full");
    return {};
  }
  Result<store::Stored> load_rows() override { return store::Stored{}; }
  Result<void> each_event(const TakeEvent& /*take*/) override { return {}; }

  std::promise<void>* begun = nullptr;  ///< told when the next commit begins
  std::promise<void>* hold = nullptr;   ///< the next commit waits for it
  bool refuses = false;

 private:
  Story& story_;
};

class ToldLogs : public logs::LogStore {
 public:
  explicit ToldLogs(Story& story) : story_(story) {}
  Result<void> append(const logs::LogName&, std::span<const OutputLine>,
                      std::vector<logs::Run>*) override {
    return {};
  }
  void forget(const logs::LogName&, std::uint64_t) override {}
  Result<std::vector<logs::Run>> runs(const logs::LogName&, std::uint64_t,
                                      std::size_t) const override {
    return std::vector<logs::Run>{};
  }
  Result<void> merge(const logs::LogName&, const logs::LogName&,
                     std::span<const logs::Run>) override {
    return {};
  }
  Result<void> adopt(const logs::LogName&, int) override { return {}; }
  Result<void> extend(const logs::LogName&, std::span<const logs::Run>) override { return {}; }
  Result<std::vector<OutputLine>> read(const logs::LogName&, const logs::ReadSpec&) const override {
    return std::vector<OutputLine>{};
  }
  Result<logs::LogInfo> info(const logs::LogName&) const override { return logs::LogInfo{}; }
  std::vector<logs::LogName> list(std::string_view) const override { return {}; }
  Result<void> sync() override {
    story_.add("sync");
    return {};
  }
  std::shared_ptr<void> follow(const logs::LogName&, std::function<void()>) override {
    return nullptr;
  }
  Result<void> remove(std::string_view) override { return {}; }

 private:
  Story& story_;
};

store::StoredEvent event_of(const std::string& job) {
  return {JobId{job}, core::KillAsked{Millis{1}, "enough"}};
}

Node node_of(const std::string& id) {
  Node node;
  node.id = NodeId{id};
  return node;
}

class JournalTest : public testing::Test {
 protected:
  /// Runs the loop until so many lines are told.
  std::vector<std::string> told(std::size_t lines) {
    EXPECT_TRUE(os::run_until(loop_, [&] { return story_.lines().size() >= lines; }));
    loop_.run_for(std::chrono::milliseconds(5));  // and nothing more
    return story_.lines();
  }
  std::function<void()> tell(const std::string& line) {
    return [this, line] { story_.add(line); };
  }

  /// Adds the event and runs the loop until its commit has begun; it ends with `hold`.
  void hold_commit_of(const store::StoredEvent& event, std::promise<void>& hold) {
    std::promise<void> begun;
    store_.begun = &begun;
    store_.hold = &hold;
    journal_->add(event);
    auto has_begun = begun.get_future();
    ASSERT_TRUE(os::run_until(loop_, [&] {
      return has_begun.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    }));
  }

  Story story_;
  os::EventLoop loop_;
  ToldStore store_{story_};
  ToldLogs logs_{story_};
  std::unique_ptr<Journal> journal_ = std::make_unique<Journal>(loop_, store_, logs_);
};

TEST_F(JournalTest, CommitsThenAnswersThenActs) {
  journal_->then(tell("act"));
  journal_->add(event_of("j"));
  journal_->answer(tell("answer"));
  journal_->then(tell("act again"));
  EXPECT_THAT(story_.lines(), IsEmpty());

  EXPECT_THAT(told(4), ElementsAre("commit j", "answer", "act", "act again"));
}

TEST_F(JournalTest, CommitsATurnTogether) {
  loop_.post([this] { journal_->add(event_of("j")); });
  loop_.post([this] {
    journal_->add(event_of("k"));
    journal_->add(node_of("n1"));
    journal_->gone(NodeId{"n2"});
    journal_->forgotten(JobId{"x"});
  });

  EXPECT_THAT(told(1), ElementsAre("commit j k +n1 -n2 forget x"));
}

TEST_F(JournalTest, SyncsOutputBeforeTheEventsAfterIt) {
  journal_->add(event_of("j"));
  journal_->output_written(1, tell("acknowledged"));
  journal_->answer(tell("answer"));

  EXPECT_THAT(told(4), ElementsAre("sync", "commit j", "answer", "acknowledged"));
}

TEST_F(JournalTest, SyncsOutputWithoutACommit) {
  journal_->output_written(1, tell("acknowledged"));

  EXPECT_THAT(told(2), ElementsAre("sync", "acknowledged"));
}

TEST_F(JournalTest, SyncsOutputThatComesInSmallPiecesTogether) {
  for (const auto* piece : {"a", "b", "c"}) {
    loop_.post([this, piece] { journal_->output_written(1, tell(piece)); });
  }

  EXPECT_THAT(told(4), ElementsAre("sync", "a", "b", "c"));
}

TEST_F(JournalTest, SyncsMuchOutputAtOnce) {
  journal_->output_written(Journal::kOutputBytes, tell("acknowledged"));
  journal_->then(tell("act"));

  EXPECT_THAT(told(3), ElementsAre("sync", "acknowledged", "act"));
}

TEST_F(JournalTest, GathersWhileACommitIsUnderWayAndSharesTheNext) {
  std::promise<void> hold;
  journal_->answer(tell("answer first"));
  hold_commit_of(event_of("first"), hold);

  for (const auto* job : {"a", "b", "c"}) {
    loop_.post([this, job] {
      journal_->add(event_of(job));
      journal_->answer(tell(std::string("answer ") + job));
    });
    loop_.run_for(std::chrono::milliseconds(1));
  }
  EXPECT_THAT(story_.lines(), IsEmpty());
  hold.set_value();

  EXPECT_THAT(told(6), ElementsAre("commit first", "answer first", "commit a b c", "answer a",
                                   "answer b", "answer c"));
}

TEST_F(JournalTest, NeedsNoDiskForWhatChangedNothing) {
  journal_->answer(tell("answer"));
  journal_->then(tell("act"));

  EXPECT_THAT(told(2), ElementsAre("answer", "act"));
}

TEST_F(JournalTest, TakesWhatTheEndOfATurnAddsIntoTheSameCommit) {
  journal_->at_turn_end([this] { journal_->add(event_of("placed")); });
  journal_->add(event_of("submitted"));

  EXPECT_THAT(told(1), ElementsAre("commit submitted placed"));
}

TEST_F(JournalTest, EndsATurnThatWasWoken) {
  journal_->at_turn_end(tell("end of turn"));
  journal_->wake();
  journal_->wake();

  EXPECT_THAT(told(1), ElementsAre("end of turn"));
}

TEST_F(JournalTest, CommitsWhatEffectsAdd) {
  journal_->add(event_of("j"));
  journal_->then([this] { journal_->add(event_of("k")); });

  EXPECT_THAT(told(2), ElementsAre("commit j", "commit k"));
}

TEST_F(JournalTest, StoresNoNodeThatIsGoneInTheSameTurn) {
  journal_->add(node_of("n1"));
  journal_->add(node_of("n2"));
  journal_->gone(NodeId{"n1"});

  EXPECT_THAT(told(1), ElementsAre("commit +n2 -n1"));
}

TEST_F(JournalTest, MayEndInItsOwnAnswer) {
  journal_->add(event_of("j"));
  journal_->answer([this] {
    story_.add("answer");
    journal_.reset();
  });
  journal_->then(tell("never"));

  EXPECT_THAT(told(2), ElementsAre("commit j", "answer"));
}

TEST_F(JournalTest, CallsNobodyOnceItIsGone) {
  std::promise<void> hold;
  journal_->answer(tell("never"));
  hold_commit_of(event_of("j"), hold);
  hold.set_value();
  journal_.reset();  // the commit is over, its answers are not called yet

  EXPECT_THAT(told(1), ElementsAre("commit j"));
}

TEST(JournalDeath, EndsTheProcessRatherThanAnswerWhatIsNotStored) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        Story story;
        os::EventLoop loop;
        ToldStore store(story);
        ToldLogs logs(story);
        store.refuses = true;
        Journal journal(loop, store, logs);
        journal.add(event_of("j"));
        journal.answer([] { std::_Exit(0); });
        loop.run_for(std::chrono::seconds(20));
      },
      testing::ExitedWithCode(EXIT_FAILURE), "");
}

}  // namespace
}  // namespace cox::head
