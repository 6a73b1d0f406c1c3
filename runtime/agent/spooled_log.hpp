#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "runtime/logs/log_store.hpp"
#include "runtime/wire/message.hpp"

namespace cox::agent {

/// One log of a part on its way to the head: numbered, kept on disk until the head has it, sent in
/// batches within a window. What was not acknowledged is sent again after a reconnect.
class SpooledLog {
 public:
  /// `send` may be empty while there is no connection.
  SpooledLog(logs::LogStore& spool, logs::LogName name, wire::PartKey part, int rank);

  /// `lines`: how many the text holds, '\n' between them.
  void add(std::int64_t at_ms, std::uint8_t stream, std::string text, std::uint32_t lines = 1);
  /// The same; a large text of a log that is kept is written at once, and its memory left.
  void add_run(std::int64_t at_ms, std::uint8_t stream, std::string& text, std::uint32_t lines);
  /// Writes what was added to the spool. Errors: as LogStore::append.
  [[nodiscard]] Result<void> store();
  /// Whether the head is only told where lines stand in the spool, as it takes them from there.
  void keep(bool kept);
  /// The head cannot: what it has not acknowledged is sent to it.
  void send_instead();
  /// Sends what the window lets through.
  void pump(const std::function<void(const wire::Message&)>& send);
  void acknowledged(std::uint64_t sequence);
  /// A new connection: everything that was not acknowledged is sent again.
  void rewind() {
    sent_ = acknowledged_;
    in_flight_.clear();
    in_flight_bytes_ = 0;
  }

  [[nodiscard]] bool all_sent() const { return sent_ == last_; }
  /// Lines wait that the window does not let through: the source should pause.
  [[nodiscard]] bool behind() const {
    return fresh_bytes_ > (kept_ ? kKeptBytesMax : kFreshBytesMax);
  }

 private:
  static constexpr std::size_t kWindowBytes = 4u << 20;
  static constexpr std::size_t kBatchBytes = 512u << 10;
  static constexpr std::size_t kFreshBytesMax = 4u << 20;
  // Kept lines take room on the disk alone, whose cache the kernel bounds; these only see to it
  // that the head's syncs, and with them the job's end, are not far behind.
  static constexpr std::size_t kKeptBytesMax = 64u << 20;
  static constexpr std::size_t kLargeRunBytes = 16u << 10;
  static constexpr std::size_t kRunsMax = 256;          ///< in a message
  static constexpr std::size_t kWaitingRunsMax = 8192;  ///< in memory

  [[nodiscard]] bool store_one();
  void tell_unreadable(const Error& error);
  void wait_to_be_told(const std::vector<logs::Run>& runs);
  void wait_to_be_sent(std::vector<OutputLine> lines);
  void pump_runs(const std::function<void(const wire::Message&)>& send);
  void forget_waiting();
  void send_batch(wire::Output& batch, const std::function<void(const wire::Message&)>& send);

  logs::LogStore& spool_;
  logs::LogName name_;
  wire::PartKey part_;
  int rank_;
  std::vector<OutputLine> unstored_;
  std::deque<OutputLine> fresh_;      ///< stored, not yet sent, still in memory; ends at last_
  std::deque<logs::Run> fresh_runs_;  ///< the same while lines are kept
  std::size_t fresh_bytes_ = 0;
  std::uint64_t last_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::deque<std::pair<std::uint64_t, std::size_t>> in_flight_;  ///< last number, bytes
  std::size_t in_flight_bytes_ = 0;
  bool kept_ = false;
  bool was_kept_ = false;  ///< the head's store may have its file
  bool refused_ = false;
  bool unreadable_ = false;
};

}  // namespace cox::agent
