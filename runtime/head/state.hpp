#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/api/api.hpp"
#include "runtime/base/result.hpp"
#include "runtime/core/lifecycle.hpp"
#include "runtime/core/scheduler.hpp"
#include "runtime/model/cluster.hpp"
#include "runtime/model/job.hpp"

namespace cox::head {

/// What a job's event did to it.
struct Applied {
  const Job* job = nullptr;  ///< as it is now
  JobStatus before = JobStatus::submitted;
  bool is_new = false;
  [[nodiscard]] bool changed_status() const { return is_new || before != job->status; }
};

/// Everything the head knows, in memory, with the indexes that keep a turn's cost to what it
/// changes. Jobs change only by apply(), which folds core::after. Not thread-safe.
class State : public api::View {
 public:
  explicit State(ClusterSettings cluster) : cluster_(std::move(cluster)) {}

  /// Folds an event into its job (a new one for Submitted) and keeps the indexes.
  /// Errors: conflict as core::after; not_found when there is no such job.
  [[nodiscard]] Result<Applied> apply(const JobId& id, const core::JobEvent& event);
  /// Removes a job that ended long ago.
  void forget(const JobId& id);

  void put_node(Node node);
  void remove_node(const NodeId& id);
  [[nodiscard]] const Node* node(const NodeId& id) const;
  /// The smallest ordinal from 1 that no node has.
  [[nodiscard]] int free_ordinal() const;

  /// Jobs whose current attempt holds a part of the node.
  [[nodiscard]] std::vector<const Job*> holders(const NodeId& id) const;
  /// Jobs that wait for this one to end.
  [[nodiscard]] std::vector<JobId> dependents(const JobId& id) const;
  [[nodiscard]] std::vector<const Job*> all_jobs() const;
  [[nodiscard]] core::Snapshot snapshot(Millis now) const;

  void set_blocks(std::map<JobId, std::vector<core::Block>> blocks) { blocks_ = std::move(blocks); }
  void set_note(const ComputeEnvironmentName& name, std::string note) {
    notes_[name] = std::move(note);
  }
  void enable_environments(bool enabled);
  [[nodiscard]] bool environments_enabled() const;

  // api::View
  [[nodiscard]] const ClusterSettings& cluster() const override { return cluster_; }
  [[nodiscard]] const Job* find(const JobId& id) const override;
  [[nodiscard]] std::vector<const Job*> jobs(const QueueName& queue,
                                             JobStatus status) const override;
  [[nodiscard]] std::vector<const Node*> nodes() const override;
  [[nodiscard]] NodeLoad load(const NodeId& id) const override;
  [[nodiscard]] std::vector<core::Block> blocks(const JobId& id) const override;
  [[nodiscard]] std::string environment_note(const ComputeEnvironmentName& name) const override;

 private:
  struct Entry {
    Job job;
    std::uint64_t order = 0;  ///< of submission
  };
  using InOrder = std::map<std::uint64_t, const Job*>;

  void index(const Entry& entry);
  void unindex(const Entry& entry);
  [[nodiscard]] int priority_of(const QueueName& queue) const;

  ClusterSettings cluster_;
  std::unordered_map<JobId, std::unique_ptr<Entry>> jobs_;
  std::uint64_t next_order_ = 1;
  std::map<std::pair<QueueName, JobStatus>, InOrder> listed_;    ///< without array children
  std::map<std::pair<int, std::uint64_t>, const Job*> waiting_;  ///< RUNNABLE; -priority, order
  InOrder active_;                                               ///< those that hold nodes
  std::map<NodeId, Node> nodes_;
  std::map<NodeId, InOrder> holders_;
  std::unordered_map<JobId, std::set<JobId>> dependents_;
  std::map<JobId, std::vector<core::Block>> blocks_;
  std::map<ComputeEnvironmentName, std::string> notes_;
};

}  // namespace cox::head
