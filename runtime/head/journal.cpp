#include "runtime/head/journal.hpp"

#include <cstdlib>
#include <utility>

#include "runtime/os/log.hpp"

namespace cox::head {

Journal::Journal(os::EventLoop& loop, store::Store& store, logs::LogStore& logs)
    : loop_(loop), store_(store), logs_(logs), thread_([this] { work(); }) {}

Journal::~Journal() {
  *alive_ = false;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Journal::add(store::StoredEvent event) {
  open_.changes.events.push_back(std::move(event));
  schedule();
}

void Journal::add(const Node& node) {
  open_.changes.nodes.push_back(node);
  schedule();
}

void Journal::gone(const NodeId& node) {
  std::erase_if(open_.changes.nodes, [&](const Node& each) { return each.id == node; });
  open_.changes.nodes_gone.push_back(node);
  schedule();
}

void Journal::forgotten(const JobId& job) {
  open_.changes.jobs_forgotten.push_back(job);
  schedule();
}

void Journal::add(CatalogItem item) {
  const auto key = key_of(item);
  std::erase(open_.changes.items_gone, key);
  open_.changes.items.push_back(std::move(item));
  schedule();
}

void Journal::gone(const CatalogKey& item) {
  std::erase_if(open_.changes.items, [&](const CatalogItem& each) { return key_of(each) == item; });
  open_.changes.items_gone.push_back(item);
  schedule();
}

void Journal::output_written(std::size_t bytes, std::function<void()> acknowledge) {
  open_.sync_output = true;
  open_.output_bytes += bytes;
  open_.effects.push_back(std::move(acknowledge));
  if (open_.output_bytes >= kOutputBytes) {
    schedule();
  } else if (!output_timer_) {
    output_timer_ = loop_.after(kOutputTime, [this] {
      output_timer_.reset();
      schedule();
    });
  }
}

void Journal::answer(std::function<void()> continuation) {
  open_.answers.push_back(std::move(continuation));
  schedule();
}

void Journal::then(std::function<void()> continuation) {
  open_.effects.push_back(std::move(continuation));
  schedule();
}

void Journal::schedule() {
  wanted_ = true;
  if (scheduled_ || busy_) return;
  scheduled_ = true;
  loop_.post([this, alive = alive_] {
    if (*alive) hand_over();
  });
}

void Journal::hand_over() {
  if (at_turn_end_) at_turn_end_();
  scheduled_ = false;
  wanted_ = false;
  output_timer_.reset();
  under_way_ = std::exchange(open_, Batch{});
  if (!under_way_.needs_disk()) {
    finished();
    return;
  }
  busy_ = true;
  {
    const std::lock_guard lock(mutex_);
    has_work_ = true;
  }
  wake_.notify_one();
}

void Journal::finished() {
  busy_ = false;
  const auto batch = std::exchange(under_way_, {});
  // A continuation may end the head, and the journal with it.
  const auto alive = alive_;
  for (const auto* continuations : {&batch.answers, &batch.effects}) {
    for (const auto& continuation : *continuations) {
      continuation();
      if (!*alive) return;
    }
  }
  if (wanted_) schedule();
}

void Journal::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return has_work_ || stop_; });
    if (!has_work_) return;
    has_work_ = false;
    lock.unlock();
    // Output first: an event that says "ended" must not outlive the output before it.
    if (under_way_.sync_output) {
      if (const auto synced = logs_.sync(); !synced) {
        os::log_error("output cannot be stored: {}; the head stops", synced.error().message);
        std::_Exit(EXIT_FAILURE);
      }
    }
    if (!under_way_.changes.empty()) {
      if (const auto stored = store_.commit(under_way_.changes); !stored) {
        os::log_error("the state cannot be stored: {}; the head stops", stored.error().message);
        std::_Exit(EXIT_FAILURE);
      }
    }
    loop_.post([this, alive = alive_] {
      if (*alive) finished();
    });
    lock.lock();
  }
}

}  // namespace cox::head
