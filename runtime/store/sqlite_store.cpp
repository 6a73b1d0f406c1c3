#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>

#include "runtime/store/read_ahead.hpp"
#include "runtime/store/row_text.hpp"
#include "runtime/store/store.hpp"

namespace cox::store {
namespace {

// The file's format. Raised whenever an older program could not read what a newer one writes.
// 2: an array's first event has its children in it.
constexpr int kFormat = 2;
constexpr int kApplicationId = 0x636f7873;  // "coxs", in the file's header

constexpr const char* kReadApplicationId = "PRAGMA application_id";
constexpr const char* kWriteApplicationId = "PRAGMA application_id = 1668249715";
constexpr const char* kCountTables = "SELECT count(*) FROM sqlite_schema";
constexpr const char* kUseWriteAheadLog = "PRAGMA journal_mode = WAL";
constexpr const char* kSettings =
    "PRAGMA synchronous = FULL;"
    "PRAGMA journal_size_limit = 67108864;"
    "PRAGMA trusted_schema = OFF";
constexpr const char* kCreateTables =
    "CREATE TABLE IF NOT EXISTS meta(format INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS events(seq INTEGER PRIMARY KEY, job TEXT NOT NULL,"
    "                                  event TEXT NOT NULL);"
    "CREATE INDEX IF NOT EXISTS events_by_job ON events(job);"
    "CREATE TABLE IF NOT EXISTS nodes(id TEXT PRIMARY KEY, row TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS items(kind TEXT NOT NULL, name TEXT NOT NULL, row TEXT NOT NULL,"
    "                                 PRIMARY KEY(kind, name))";
constexpr const char* kWriteFormat =
    "INSERT INTO meta(format) SELECT 2 WHERE NOT EXISTS (SELECT * FROM meta);"
    // What older ones wrote is read as it is; from now on they could not read what is added.
    "UPDATE meta SET format = 2 WHERE format < 2";
constexpr const char* kCountFormats = "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'";
constexpr const char* kReadFormat = "SELECT format FROM meta";

constexpr const char* kBegin = "BEGIN IMMEDIATE";
constexpr const char* kCommit = "COMMIT";
constexpr const char* kRollBack = "ROLLBACK";
constexpr const char* kAddEvent = "INSERT INTO events(job, event) VALUES(?1, ?2)";
constexpr const char* kPutNode =
    "INSERT INTO nodes(id, row) VALUES(?1, ?2) ON CONFLICT(id) DO UPDATE SET row = excluded.row";
constexpr const char* kRemoveNode = "DELETE FROM nodes WHERE id = ?1";
constexpr const char* kForgetJob = "DELETE FROM events WHERE job = ?1";
constexpr const char* kPutItem =
    "INSERT INTO items(kind, name, row) VALUES(?1, ?2, ?3)"
    " ON CONFLICT(kind, name) DO UPDATE SET row = excluded.row";
constexpr const char* kRemoveItem = "DELETE FROM items WHERE kind = ?1 AND name = ?2";
constexpr const char* kReadItems = "SELECT kind, name, row FROM items ORDER BY rowid";
constexpr const char* kReadEvents = "SELECT seq, job, event FROM events ORDER BY seq";
constexpr const char* kReadNodes = "SELECT id, row FROM nodes ORDER BY rowid";

static_assert(kApplicationId == 1668249715 && kFormat == 2, "named in the statements above");

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

Error database_error(sqlite3* database, std::string_view path) {
  const char* const text = sqlite3_errmsg(database);
  switch (sqlite3_errcode(database) & 0xff) {
    case SQLITE_NOTADB:
      return {Errc::invalid_argument,
              fmt::format("{} is no file of this program: move it away or name another", path)};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {Errc::conflict, fmt::format("{} is in use by another program", path)};
    case SQLITE_CORRUPT:
      return {Errc::internal,
              fmt::format("{} is damaged ({}): put a copy of it back, or move it away and begin "
                          "without its jobs",
                          path, text)};
    default:
      return {Errc::internal, fmt::format("{}: {}", path, text)};
  }
}

/// A prepared statement, used again and again.
class Statement {
 public:
  Statement() = default;
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  [[nodiscard]] bool prepare(sqlite3* database, const char* sql) {
    return sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr) ==
           SQLITE_OK;
  }

  /// Makes it ready for the next use, with these texts for ?1, ?2. They must outlive the run.
  template <class... Texts>
  [[nodiscard]] bool bind(const Texts&... texts) {
    sqlite3_reset(statement_);
    int place = 0;
    return (bind_one(++place, texts) && ...);
  }

  /// SQLITE_ROW while there are rows, then SQLITE_DONE; anything else is a failure.
  [[nodiscard]] int step() { return sqlite3_step(statement_); }
  /// Runs a statement without rows to its end.
  [[nodiscard]] bool run() {
    const int status = step();
    return status == SQLITE_DONE && sqlite3_reset(statement_) == SQLITE_OK;
  }
  void reset() { sqlite3_reset(statement_); }

  [[nodiscard]] std::string text(int column) const {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    return bytes == nullptr ? std::string() : std::string(bytes, size);
  }
  [[nodiscard]] std::int64_t integer(int column) const {
    return sqlite3_column_int64(statement_, column);
  }

 private:
  [[nodiscard]] bool bind_one(int place, const std::string& text) {
    return sqlite3_bind_text64(statement_, place, text.data(), text.size(), SQLITE_STATIC,
                               SQLITE_UTF8) == SQLITE_OK;
  }

  sqlite3_stmt* statement_ = nullptr;
};

/// Keeps other processes from writing as long as it lives; the kernel gives it up with the process.
class WriterLock {
 public:
  WriterLock() = default;
  WriterLock(WriterLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  WriterLock& operator=(WriterLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;
  ~WriterLock() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] static Result<WriterLock> take(const std::string& path) {
    WriterLock lock;
    lock.fd_ = ::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock.fd_ < 0) return fail(Errc::internal, "{}.lock: {}", path, std::strerror(errno));
    if (::flock(lock.fd_, LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno == EWOULDBLOCK) {
      return fail(Errc::conflict, "{} is open in another process", path);
    }
    return fail(Errc::internal, "{}.lock: {}", path, std::strerror(errno));
  }

 private:
  int fd_ = -1;
};

class SqliteStore final : public Store {
 public:
  /// Both come open and checked. The lock is given up after the database is closed.
  SqliteStore(std::string path, WriterLock lock, Database database)
      : path_(std::move(path)), lock_(std::move(lock)), database_(std::move(database)) {}

  [[nodiscard]] bool prepare() {
    auto* const database = database_.get();
    return begin_.prepare(database, kBegin) && commit_.prepare(database, kCommit) &&
           roll_back_.prepare(database, kRollBack) && add_event_.prepare(database, kAddEvent) &&
           put_node_.prepare(database, kPutNode) && remove_node_.prepare(database, kRemoveNode) &&
           forget_job_.prepare(database, kForgetJob) && put_item_.prepare(database, kPutItem) &&
           remove_item_.prepare(database, kRemoveItem);
  }

  Result<void> commit(const Changes& changes) override;
  Result<Stored> load_rows() override;
  Result<void> each_event(const TakeEvent& take) override;

 private:
  [[nodiscard]] bool write(const Changes& changes);
  [[nodiscard]] Result<void> read_events(ReadAhead& ahead);
  [[nodiscard]] Result<void> load_nodes(std::vector<Node>& nodes);
  [[nodiscard]] Result<void> load_items(std::vector<CatalogItem>& items);
  [[nodiscard]] Error error() const { return database_error(database_.get(), path_); }

  std::string path_;
  WriterLock lock_;
  Database database_;
  Statement begin_;
  Statement commit_;
  Statement roll_back_;
  Statement add_event_;
  Statement put_node_;
  Statement remove_node_;
  Statement forget_job_;
  Statement put_item_;
  Statement remove_item_;
};

bool SqliteStore::write(const Changes& changes) {
  for (const auto& [job, event] : changes.events) {
    const auto text = to_text(event);
    if (!add_event_.bind(job.value, text) || !add_event_.run()) return false;
  }
  for (const auto& node : changes.nodes) {
    const auto text = to_text(node);
    if (!put_node_.bind(node.id.value, text) || !put_node_.run()) return false;
  }
  for (const auto& id : changes.nodes_gone) {
    if (!remove_node_.bind(id.value) || !remove_node_.run()) return false;
  }
  for (const auto& id : changes.jobs_forgotten) {
    if (!forget_job_.bind(id.value) || !forget_job_.run()) return false;
  }
  for (const auto& item : changes.items) {
    const auto key = key_of(item);
    const auto text = to_text(item);
    if (!put_item_.bind(key.kind, key.name, text) || !put_item_.run()) return false;
  }
  for (const auto& key : changes.items_gone) {
    if (!remove_item_.bind(key.kind, key.name) || !remove_item_.run()) return false;
  }
  return commit_.bind() && commit_.run();
}

Result<void> SqliteStore::commit(const Changes& changes) {
  if (changes.empty()) return {};
  if (!begin_.bind() || !begin_.run()) return fail(error());
  if (write(changes)) return {};
  auto cause = error();
  for (auto* statement : {&add_event_, &put_node_, &remove_node_, &forget_job_, &put_item_,
                          &remove_item_, &commit_}) {
    statement->reset();
  }
  // Some failures have rolled back by themselves; then there is no transaction any more.
  if (sqlite3_get_autocommit(database_.get()) == 0 && (!roll_back_.bind() || !roll_back_.run())) {
    return fail(within("not rolled back", std::move(cause)));
  }
  return fail(std::move(cause));
}

Result<void> SqliteStore::read_events(ReadAhead& ahead) {
  Statement rows;
  if (!rows.prepare(database_.get(), kReadEvents)) return fail(error());
  int status = rows.step();
  for (; status == SQLITE_ROW; status = rows.step()) {
    auto event = event_from_text(rows.text(2));
    if (!event) {
      return fail(
          within(fmt::format("{}: event {} of job {}", path_, rows.integer(0), rows.text(1)),
                 event.error()));
    }
    if (!ahead.put({JobId{rows.text(1)}, std::move(*event)})) return {};
  }
  if (status != SQLITE_DONE) return fail(error());
  return {};
}

Result<void> SqliteStore::each_event(const TakeEvent& take) {
  ReadAhead ahead;
  Result<void> read;
  std::thread reader([&] {
    read = read_events(ahead);
    ahead.end();
  });
  Result<void> taken;
  while (auto events = ahead.next()) {
    for (auto& event : *events) {
      if (taken) taken = take(std::move(event));
    }
    if (taken) continue;
    ahead.give_up();
    break;
  }
  reader.join();
  return taken ? read : taken;
}

Result<void> SqliteStore::load_nodes(std::vector<Node>& nodes) {
  Statement rows;
  if (!rows.prepare(database_.get(), kReadNodes)) return fail(error());
  int status = rows.step();
  for (; status == SQLITE_ROW; status = rows.step()) {
    auto node = node_from_text(rows.text(1));
    if (!node) return fail(within(fmt::format("{}: {}", path_, rows.text(0)), node.error()));
    nodes.push_back(std::move(*node));
  }
  if (status != SQLITE_DONE) return fail(error());
  return {};
}

Result<void> SqliteStore::load_items(std::vector<CatalogItem>& items) {
  Statement rows;
  if (!rows.prepare(database_.get(), kReadItems)) return fail(error());
  int status = rows.step();
  for (; status == SQLITE_ROW; status = rows.step()) {
    auto item = item_from_text(rows.text(0), rows.text(2));
    if (!item) return fail(within(fmt::format("{}: {}", path_, rows.text(1)), item.error()));
    items.push_back(std::move(*item));
  }
  if (status != SQLITE_DONE) return fail(error());
  return {};
}

Result<Stored> SqliteStore::load_rows() {
  Stored stored;
  if (auto loaded = load_nodes(stored.nodes); !loaded) return fail(loaded.error());
  if (auto loaded = load_items(stored.items); !loaded) return fail(loaded.error());
  return stored;
}

/// The number in the first column of the first row.
Result<std::int64_t> read_number(sqlite3* database, std::string_view path, const char* sql) {
  Statement statement;
  if (!statement.prepare(database, sql)) return fail(database_error(database, path));
  if (statement.step() != SQLITE_ROW) return fail(database_error(database, path));
  return statement.integer(0);
}

Result<void> execute(sqlite3* database, std::string_view path, const char* sql) {
  if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return fail(database_error(database, path));
  }
  return {};
}

/// True for a new file that is still to be furnished. Changes nothing in a foreign one.
Result<bool> is_new(sqlite3* database, const std::string& path) {
  const auto id = read_number(database, path, kReadApplicationId);
  if (!id) return fail(id.error());
  if (*id == kApplicationId) return false;
  const auto tables = read_number(database, path, kCountTables);
  if (!tables) return fail(tables.error());
  if (*id == 0 && *tables == 0) return true;
  return fail(Errc::invalid_argument,
              "{} is a database of another program: move it away or name another", path);
}

Result<void> refuse_newer_format(sqlite3* database, const std::string& path) {
  const auto known = read_number(database, path, kCountFormats);
  if (!known) return fail(known.error());
  if (*known == 0) return {};  // its creation was interrupted
  const auto format = read_number(database, path, kReadFormat);
  if (!format) return fail(format.error());
  if (*format <= kFormat) return {};
  return fail(Errc::invalid_argument,
              "{} has format {}, and this program reads up to {}: use the newer version that wrote "
              "it, or move the file away and begin without its jobs",
              path, *format, kFormat);
}

/// Makes what is missing, so that a creation that was interrupted is taken up again.
Result<void> furnish(sqlite3* database, const std::string& path, bool fresh) {
  // The mark comes first: without it nobody would take up what was begun.
  for (const char* sql : {fresh ? kWriteApplicationId : "", kUseWriteAheadLog, kSettings, kBegin,
                          kCreateTables, kWriteFormat, kCommit}) {
    if (auto done = execute(database, path, sql); !done) return done;
  }
  return {};
}

Result<Database> open_database(const std::string& path) {
  sqlite3* raw = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int status = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  Database database(raw);
  if (status != SQLITE_OK) return fail(database_error(raw, path));
  sqlite3_extended_result_codes(raw, 1);
  sqlite3_busy_timeout(raw, 5000);  // someone who only looks may hold a lock for a moment
  sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);  // it may not be ours
  const auto fresh = is_new(raw, path);
  if (!fresh) return fail(fresh.error());
  if (!*fresh) {
    if (auto readable = refuse_newer_format(raw, path); !readable) return fail(readable.error());
  }
  if (auto done = furnish(raw, path, *fresh); !done) return fail(done.error());
  sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
  return database;
}

}  // namespace

Result<Stored> Store::load() {
  auto stored = load_rows();
  if (!stored) return stored;
  auto all = each_event([&](StoredEvent event) -> Result<void> {
    stored->events.push_back(std::move(event));
    return {};
  });
  if (!all) return fail(all.error());
  return stored;
}

Result<std::unique_ptr<Store>> open_store(const std::string& path) {
  WriterLock lock;
  if (path != ":memory:") {
    // SQLite would make the file readable for everyone; it holds the jobs' environments.
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fail(Errc::internal, "{}: {}", path, std::strerror(errno));
    ::close(fd);
    auto taken = WriterLock::take(path);
    if (!taken) return fail(taken.error());
    lock = std::move(*taken);
  }
  auto database = open_database(path);
  if (!database) return fail(database.error());
  auto* const raw = database->get();
  auto store = std::make_unique<SqliteStore>(path, std::move(lock), std::move(*database));
  if (!store->prepare()) return fail(database_error(raw, path));
  return store;
}

}  // namespace cox::store
