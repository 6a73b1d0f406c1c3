#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "runtime/store/store.hpp"
#include "tests/unit/store/samples.hpp"

namespace cox::store {
namespace {

namespace fs = std::filesystem;

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class SqliteStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    auto pattern = (fs::temp_directory_path() / "cox-store-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = (directory_ / "state.db").string();
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::unique_ptr<Store> open() const {
    auto store = open_store(path_);
    EXPECT_TRUE(store) << store.error().message;
    return store ? std::move(*store) : nullptr;
  }

  /// Runs SQL on the file behind the store's back. Returns the first value of the last row.
  std::string sql(const char* text) const {
    sqlite3* database = nullptr;
    EXPECT_EQ(sqlite3_open(path_.c_str(), &database), SQLITE_OK);
    std::string value;
    const auto take = [](void* out, int, char** values, char**) {
      *static_cast<std::string*>(out) = values[0] == nullptr ? "" : values[0];
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(database, text, take, &value, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
    return value;
  }

  std::string bytes() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write_bytes(const std::string& content) const {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << content;
  }

  fs::path directory_;
  std::string path_;
};

StoredEvent stopped(const std::string& job, int attempt) {
  return {JobId{job}, core::TimedOut{Millis{1}, attempt}};
}

std::vector<std::string> jobs_of(const Result<Stored>& stored) {
  EXPECT_TRUE(stored) << stored.error().message;
  std::vector<std::string> jobs;
  if (stored) {
    for (const auto& event : stored->events) jobs.push_back(event.job.value);
  }
  return jobs;
}

TEST_F(SqliteStoreTest, BeginsEmpty) {
  const auto stored = open()->load();

  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_THAT(stored->events, IsEmpty());
  EXPECT_THAT(stored->nodes, IsEmpty());
}

TEST_F(SqliteStoreTest, BringsBackEverythingInOrderAfterARestart) {
  const auto events = one_of_each();
  {
    const auto store = open();
    Changes changes;
    for (std::size_t i = 0; i < events.size(); ++i) {
      changes.events.push_back({JobId{i % 2 == 0 ? "b" : "a"}, events[i]});
    }
    changes.nodes = {full_node("i-2"), full_node("i-1")};
    ASSERT_TRUE(store->commit(changes));
    ASSERT_TRUE(store->commit(
        {.events = {stopped("c", 9)}, .nodes = {}, .nodes_gone = {}, .jobs_forgotten = {}}));
  }

  const auto stored = open()->load();

  ASSERT_TRUE(stored) << stored.error().message;
  ASSERT_THAT(stored->events, SizeIs(events.size() + 1));
  for (std::size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(stored->events[i].job.value, i % 2 == 0 ? "b" : "a");
    EXPECT_TRUE(same(stored->events[i].event, events[i])) << "event " << i;
  }
  EXPECT_EQ(stored->events.back().job.value, "c");
  EXPECT_EQ(stored->nodes, (std::vector{full_node("i-2"), full_node("i-1")}));
}

TEST_F(SqliteStoreTest, ReplacesAndRemovesNodes) {
  const auto store = open();
  auto changed = full_node("i-1");
  changed.status = NodeStatus::terminating;
  Changes first;
  first.nodes = {full_node("i-1"), full_node("i-2"), full_node("i-3")};
  Changes second;
  second.nodes = {changed, full_node("i-4")};
  second.nodes_gone = {NodeId{"i-2"}, NodeId{"i-4"}, NodeId{"i-9"}};

  ASSERT_TRUE(store->commit(first));
  ASSERT_TRUE(store->commit(second));

  EXPECT_EQ(store->load()->nodes, (std::vector{changed, full_node("i-3")}));
}

TEST_F(SqliteStoreTest, ForgetsJobsAndKeepsTheOrderOfTheOthers) {
  const auto store = open();
  Changes changes;
  for (const auto* job : {"a", "b", "a", "c", "b"}) changes.events.push_back(stopped(job, 1));
  ASSERT_TRUE(store->commit(changes));

  Changes forget;
  forget.events = {stopped("d", 1)};
  forget.jobs_forgotten = {JobId{"b"}, JobId{"d"}, JobId{"never seen"}};
  ASSERT_TRUE(store->commit(forget));
  ASSERT_TRUE(store->commit({{stopped("e", 1)}, {}, {}, {}}));

  EXPECT_EQ(jobs_of(store->load()), (std::vector<std::string>{"a", "a", "c", "e"}));
}

TEST_F(SqliteStoreTest, LosesNothingWhenTheProcessIsKilled) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = open_store(path_);
    const bool written = store && (*store)->commit({{stopped("a", 1)}, {}, {}, {}}) &&
                         (*store)->commit({{stopped("b", 1)}, {}, {}, {}});
    ::raise(written ? SIGKILL : SIGTERM);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(WTERMSIG(status), SIGKILL);

  EXPECT_EQ(jobs_of(open()->load()), (std::vector<std::string>{"a", "b"}));
}

TEST_F(SqliteStoreTest, KeepsNothingOfATurnThatFailed) {
  const auto store = open();
  ASSERT_TRUE(store->commit({{stopped("a", 1)}, {}, {}, {}}));
  sql("CREATE TRIGGER refuse BEFORE INSERT ON nodes BEGIN SELECT RAISE(ABORT, 'disk on fire'); "
      "END");
  Changes changes;
  changes.events = {stopped("b", 1)};
  changes.nodes = {full_node()};

  const auto committed = store->commit(changes);

  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error(), (Error{Errc::internal, path_ + ": disk on fire"}));
  sql("DROP TRIGGER refuse");
  ASSERT_TRUE(store->commit({{stopped("c", 1)}, {}, {}, {}}));
  EXPECT_EQ(jobs_of(store->load()), (std::vector<std::string>{"a", "c"}));
}

TEST_F(SqliteStoreTest, CommitsFromAnotherThreadThanItWasOpenedBy) {
  const auto store = open();

  std::thread([&] { EXPECT_TRUE(store->commit({{stopped("a", 1)}, {}, {}, {}})); }).join();

  EXPECT_THAT(jobs_of(store->load()), SizeIs(1));
}

TEST_F(SqliteStoreTest, IsReadableForItsOwnerAlone) {
  const auto store = open();
  ASSERT_TRUE(store->commit({{stopped("a", 1)}, {}, {}, {}}));

  for (const auto* suffix : {"", "-wal", "-shm", ".lock"}) {
    struct stat status {};
    ASSERT_EQ(::stat((path_ + suffix).c_str(), &status), 0) << suffix;
    EXPECT_EQ(status.st_mode & 0777u, 0600u) << suffix;
  }
  EXPECT_EQ(sql("PRAGMA journal_mode"), "wal");
  EXPECT_EQ(sql("PRAGMA application_id"), "1668249715");
}

TEST_F(SqliteStoreTest, RefusesASecondWriterAndLetsItInAfterTheFirst) {
  auto store = open();

  const auto second = open_store(path_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), (Error{Errc::conflict, path_ + " is open in another process"}));

  store.reset();
  EXPECT_TRUE(open_store(path_));
}

TEST_F(SqliteStoreTest, LetsOthersLookMeanwhile) {
  const auto store = open();
  ASSERT_TRUE(store->commit({{stopped("a", 1), stopped("b", 1)}, {}, {}, {}}));

  EXPECT_EQ(sql("SELECT count(*) FROM events"), "2");
}

TEST_F(SqliteStoreTest, RefusesANewerFormatAndSaysWhatToDo) {
  open().reset();
  sql("UPDATE meta SET format = 3; DROP TABLE nodes");

  const auto store = open_store(path_);

  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::invalid_argument);
  EXPECT_THAT(store.error().message, HasSubstr("has format 3, and this program reads up to 2"));
  EXPECT_THAT(store.error().message, HasSubstr("use the newer version"));
  EXPECT_EQ(sql("SELECT count(*) FROM sqlite_schema WHERE name = 'nodes'"), "0") << "not touched";
}

TEST_F(SqliteStoreTest, TakesAnOlderFormatAndMakesItItsOwn) {
  ASSERT_TRUE(open()->commit({{stopped("a", 1)}, {}, {}, {}}));
  sql("UPDATE meta SET format = 1");

  const auto stored = open()->load();

  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(stored->events.size(), 1u);
  EXPECT_EQ(sql("SELECT format FROM meta"), "2");
}

TEST_F(SqliteStoreTest, RefusesADatabaseOfAnotherProgram) {
  sql("CREATE TABLE meta(format INTEGER); INSERT INTO meta VALUES(1)");
  const auto before = bytes();

  const auto store = open_store(path_);

  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::invalid_argument);
  EXPECT_THAT(store.error().message, HasSubstr("is a database of another program"));
  EXPECT_EQ(bytes(), before);
}

TEST_F(SqliteStoreTest, RefusesAFileThatIsNoDatabase) {
  write_bytes(std::string(5000, 'x'));

  const auto store = open_store(path_);

  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::invalid_argument);
  EXPECT_THAT(store.error().message, HasSubstr("is no file of this program"));
  EXPECT_EQ(bytes(), std::string(5000, 'x'));
}

TEST_F(SqliteStoreTest, TellsOfADamagedFile) {
  {
    const auto store = open();
    Changes changes;
    for (int i = 0; i < 2000; ++i) changes.events.push_back(stopped("a", i));
    ASSERT_TRUE(store->commit(changes));
  }
  auto content = bytes();
  ASSERT_GT(content.size(), 60'000u);
  std::fill(content.begin() + 8192, content.end() - 4096, '\x5a');
  write_bytes(content);

  auto store = open_store(path_);
  const auto outcome =
      store ? (*store)->load().map([](const Stored&) {}) : Result<void>(fail(store.error()));

  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Errc::internal);
  EXPECT_THAT(outcome.error().message, HasSubstr("state.db is damaged"));
}

TEST_F(SqliteStoreTest, NamesTheEventThatItCannotRead) {
  open().reset();
  sql("INSERT INTO events(job, event) VALUES('a', '{\"v\":1,\"event\":\"Eaten\"}')");

  const auto stored = open()->load();

  ASSERT_FALSE(stored);
  EXPECT_EQ(stored.error().message,
            path_ + ": event 1 of job a: stored event: 'Eaten' is not known here");
}

TEST_F(SqliteStoreTest, TakesUpACreationThatWasInterrupted) {
  sql("PRAGMA application_id = 1668249715");

  const auto store = open();

  ASSERT_TRUE(store->commit({{stopped("a", 1)}, {}, {}, {}}));
  EXPECT_THAT(jobs_of(store->load()), SizeIs(1));
}

TEST_F(SqliteStoreTest, RefusesAPlaceThatCannotBe) {
  const auto store = open_store((directory_ / "missing/state.db").string());

  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Errc::internal);
  EXPECT_THAT(store.error().message, HasSubstr("No such file or directory"));
}

TEST(MemoryStore, Works) {
  const auto store = open_store(":memory:");

  ASSERT_TRUE(store) << store.error().message;
  ASSERT_TRUE((*store)->commit({{stopped("a", 1)}, {}, {}, {}}));
  EXPECT_THAT(jobs_of((*store)->load()), SizeIs(1));
}

}  // namespace
}  // namespace cox::store
