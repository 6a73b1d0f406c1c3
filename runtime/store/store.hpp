#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/core/lifecycle.hpp"
#include "runtime/model/catalog.hpp"
#include "runtime/model/cluster.hpp"

/// What must outlive the head: every job's events, the nodes asked for and what
/// clients made through the API.
namespace cox::store {

struct StoredEvent {
  JobId job;
  core::JobEvent event;
};

/// All changes of one turn. They become durable together or not at all.
struct Changes {
  std::vector<StoredEvent> events;  ///< in the order they happened
  std::vector<Node> nodes;          ///< inserted, or replaced by id
  std::vector<NodeId> nodes_gone;
  std::vector<JobId> jobs_forgotten;    ///< ended long ago: their events are removed
  std::vector<CatalogItem> items = {};  ///< inserted, or replaced by key
  std::vector<CatalogKey> items_gone = {};
  [[nodiscard]] bool empty() const {
    return events.empty() && nodes.empty() && nodes_gone.empty() && jobs_forgotten.empty() &&
           items.empty() && items_gone.empty();
  }
};

/// Everything stored, in the order it was written; for replay.
struct Stored {
  std::vector<StoredEvent> events;
  std::vector<Node> nodes;
  std::vector<CatalogItem> items;
};

/// SQLite in WAL mode; every commit is an fsync. Blocking: the head calls commit() from a thread
/// of its own. One writer.
class Store {
 public:
  virtual ~Store() = default;
  [[nodiscard]] virtual Result<void> commit(const Changes& changes) = 0;

  /// All that is stored but the events.
  [[nodiscard]] virtual Result<Stored> load_rows() = 0;
  /// Gives all events, in the order in which they were written, until `take` fails. It is called
  /// on the caller's thread, while the next events are read and made sense of on another.
  using TakeEvent = std::function<Result<void>(StoredEvent event)>;
  [[nodiscard]] virtual Result<void> each_event(const TakeEvent& take) = 0;
  /// Everything at once.
  [[nodiscard]] Result<Stored> load();
};

/// Opens or creates the database file; ":memory:" for tests. A file of a newer format is refused.
/// Errors: conflict when another process has it open for writing; invalid_argument when it is not
///         ours or is newer, with what to do; internal otherwise.
[[nodiscard]] Result<std::unique_ptr<Store>> open_store(const std::string& path);

/// One event as the text that is stored, and back. Versioned: members may be added, never renamed.
[[nodiscard]] std::string to_text(const core::JobEvent& event);
[[nodiscard]] Result<core::JobEvent> event_from_text(const std::string& text);

}  // namespace cox::store
