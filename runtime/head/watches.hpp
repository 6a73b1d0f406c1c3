#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/base/ids.hpp"

namespace cox::head {

/// Who wants to know when a job has changed.
class Watches {
 public:
  /// Calls after each change, until the token is dropped. A handler may drop tokens, its own too.
  [[nodiscard]] std::shared_ptr<void> watch(const JobId& job, std::function<void()> handler) {
    const auto id = ++handlers_->next;
    handlers_->by_job[job].emplace(id, std::move(handler));
    return std::make_shared<Token>(handlers_, job, id);
  }

  void tell(const JobId& job) {
    const auto found = handlers_->by_job.find(job);
    if (found == handlers_->by_job.end()) return;
    std::vector<std::uint64_t> ids;
    for (const auto& [id, handler] : found->second) ids.push_back(id);
    for (const auto id : ids) {
      if (const auto handler = handlers_->find(job, id)) handler();
    }
  }

 private:
  struct Handlers {
    std::uint64_t next = 0;
    std::unordered_map<JobId, std::map<std::uint64_t, std::function<void()>>> by_job;

    /// A copy, which stays whole when the handler drops its token. Empty when there is none.
    [[nodiscard]] std::function<void()> find(const JobId& job, std::uint64_t id) const {
      const auto list = by_job.find(job);
      if (list == by_job.end()) return {};
      const auto handler = list->second.find(id);
      return handler == list->second.end() ? std::function<void()>() : handler->second;
    }
    void remove(const JobId& job, std::uint64_t id) {
      const auto list = by_job.find(job);
      if (list == by_job.end()) return;
      // Its captures may hold further tokens: they go when the list is whole again.
      const auto gone = list->second.extract(id);
      if (list->second.empty()) by_job.erase(list);
    }
  };

  struct Token {
    Token(const std::shared_ptr<Handlers>& of, JobId watched, std::uint64_t number)
        : handlers(of), job(std::move(watched)), id(number) {}
    ~Token() {
      if (const auto alive = handlers.lock()) alive->remove(job, id);
    }
    Token(const Token&) = delete;
    Token& operator=(const Token&) = delete;

    std::weak_ptr<Handlers> handlers;
    JobId job;
    std::uint64_t id;
  };

  std::shared_ptr<Handlers> handlers_ = std::make_shared<Handlers>();
};

}  // namespace cox::head
