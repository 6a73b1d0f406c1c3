#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/logs/log_store.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/store/store.hpp"

namespace cox::head {

/// Commit, then answer, then act. What a turn of the loop changes is gathered; when the turn is
/// over it is committed on a thread of its own, and what was to come after it is called on the
/// loop. While one commit is under way the next turns gather: they share the fsync after it.
///
/// A disk that refuses ends the process: nothing that was not stored is ever answered.
class Journal {
 public:
  Journal(os::EventLoop& loop, store::Store& store, logs::LogStore& logs);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void add(store::StoredEvent event);
  void add(const Node& node);
  void gone(const NodeId& node);
  void forgotten(const JobId& job);
  void add(CatalogItem item);
  void gone(const CatalogKey& item);
  /// So many bytes of output were appended: they are synced with the next commit, at the latest
  /// after kOutputTime or with kOutputBytes, so that what comes in small pieces shares a sync.
  /// `acknowledge` is called as by then().
  void output_written(std::size_t bytes, std::function<void()> acknowledge);
  static constexpr std::chrono::milliseconds kOutputTime{20};
  static constexpr std::size_t kOutputBytes = 2u << 20;

  /// Called on the loop once everything added before this is durable; soon, when nothing is open.
  /// Of one commit, answers to clients go before all else.
  void answer(std::function<void()> continuation);
  void then(std::function<void()> continuation);

  /// Called at the end of each turn, before what was gathered is handed over: what it adds shares
  /// the turn's commit. wake() sees to it that there is such an end.
  void at_turn_end(std::function<void()> handler) { at_turn_end_ = std::move(handler); }
  void wake() { schedule(); }

 private:
  struct Batch {
    store::Changes changes;
    bool sync_output = false;
    std::size_t output_bytes = 0;
    std::vector<std::function<void()>> answers;
    std::vector<std::function<void()>> effects;
    [[nodiscard]] bool needs_disk() const { return sync_output || !changes.empty(); }
  };

  void schedule();
  void hand_over();
  void finished();
  void work();

  os::EventLoop& loop_;
  store::Store& store_;
  logs::LogStore& logs_;
  Batch open_;
  Batch under_way_;
  std::function<void()> at_turn_end_;
  os::SubscriptionPtr output_timer_;  ///< output waits for others to share its sync with
  bool busy_ = false;                 ///< the thread has a batch
  bool scheduled_ = false;            ///< hand_over() is posted
  bool wanted_ = false;               ///< somebody called while the thread was busy

  std::mutex mutex_;  ///< guards the rest
  std::condition_variable wake_;
  bool has_work_ = false;
  bool stop_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::thread thread_;
};

}  // namespace cox::head
