#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "runtime/api/api.hpp"
#include "runtime/base/result.hpp"
#include "runtime/core/fair_share.hpp"
#include "runtime/core/first_jobs.hpp"
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

struct AlikeJobs;

/// Everything the head knows, in memory, with the indexes that keep a turn's cost to what it
/// changes. Jobs change only by apply(), which folds core::after. Not thread-safe.
class State : public api::View {
 public:
  explicit State(ClusterSettings cluster) : cluster_(std::move(cluster)) {}

  /// Folds an event into its job (a new one for Submitted) and keeps the indexes.
  /// Errors: conflict as core::after; not_found when there is no such job.
  [[nodiscard]] Result<Applied> apply(const JobId& id, const core::JobEvent& event);

  // arrays.cpp
  /// True for what follows from events that are stored, and is not stored itself: what an array
  /// began with, and that its children have changed, where its first event has its children in it.
  [[nodiscard]] bool is_implied(const JobId& id, const core::JobEvent& event) const;
  /// What the event leads to within the job's array; to be applied in this order.
  [[nodiscard]] std::vector<std::pair<JobId, core::JobEvent>> follow_ups(
      const Applied& applied, const core::JobEvent& event) const;
  /// Applies a stored event with what it implies. Errors: as apply().
  [[nodiscard]] Result<void> replay(const JobId& id, const core::JobEvent& event);

  /// Lets a job that is new hold together with others what it has like them: an array's child
  /// everything, another what jobs of its definition had. Many jobs are the same work again.
  void share_alike(const JobId& id, std::optional<int> array_index, Shared<JobSpec>& spec);

  /// Removes a job that ended long ago, an array's children with it. Returns all ids that are gone
  /// and adds files that no other job needs to `unused`.
  [[nodiscard]] std::vector<JobId> forget(const JobId& id, std::vector<std::string>& unused);
  /// True while a job needs the file of this hash.
  [[nodiscard]] bool needs_file(const std::string& sha256) const { return files_.contains(sha256); }

  void put_node(Node node);
  void remove_node(const NodeId& id);
  [[nodiscard]] const Node* node(const NodeId& id) const;
  /// The smallest ordinal from 1 that no node has.
  [[nodiscard]] int free_ordinal() const;
  /// Nodes of the environment (the empty name: the head node) in this status.
  [[nodiscard]] int count(const ComputeEnvironmentName& environment, NodeStatus status) const;
  [[nodiscard]] int count(NodeStatus status) const;

  /// Jobs whose current attempt holds a part of the node.
  [[nodiscard]] std::vector<const Job*> holders(const NodeId& id) const;
  /// Jobs that wait for this one to end.
  [[nodiscard]] std::vector<JobId> dependents(const JobId& id) const;

  /// One scheduling pass: what is to be placed now. What the others wait for is found out when
  /// somebody asks.
  [[nodiscard]] std::vector<core::Placement> place(Millis now);
  /// What scale() says now; where that is surely nothing, without a look at all nodes. Such a look
  /// is made again only after a time in proportion to what it cost: then this says when.
  [[nodiscard]] core::ScalePlan scale(Millis now);
  [[nodiscard]] std::optional<Millis> next_scale() const { return next_scale_; }
  /// Jobs and nodes that passes have looked at, in all.
  [[nodiscard]] const core::Work& work() const { return work_; }

  /// The scheduler's look. Of waiting jobs that are alike (same queue, same needs) only as many as
  /// their environments could ever hold at once, and one more: a long queue costs nothing.
  [[nodiscard]] core::Snapshot snapshot(Millis now) const;

  // What is due by time.
  [[nodiscard]] std::optional<Millis> next_deadline() const;
  [[nodiscard]] std::vector<JobId> past_deadline(Millis now) const;
  /// When the next idle node may be given back; times up to `now` do not count.
  [[nodiscard]] std::optional<Millis> next_release(Millis now) const;
  /// When the job that ended first did so, array children left out; and those up to a moment.
  [[nodiscard]] std::optional<Millis> first_end() const;
  [[nodiscard]] std::vector<JobId> ended_until(Millis moment) const;

  /// What the pass at this time has found.
  void set_blocks(std::map<JobId, std::vector<core::Block>> blocks, Millis at = {});
  /// What is to be told of an environment. `trouble` also becomes part of why its jobs wait.
  void set_note(const ComputeEnvironmentName& name, std::string note, bool trouble = false);
  void enable_environments(bool enabled);

  /// Takes an item in, in the place of the one with its key; or lets it go.
  void put(CatalogItem item);
  void remove(const CatalogKey& key);
  /// True for what put() brought: it is stored, also where the cluster's file has its like.
  [[nodiscard]] bool is_kept(const CatalogKey& key) const { return kept_.contains(key); }
  /// Why the settings of the cluster's file cannot go from one to the other as things are. Errors:
  /// conflict.
  [[nodiscard]] Result<void> may_take_over(const ClusterSettings& from,
                                           const ClusterSettings& to) const;
  /// What take_over() changed of what is stored.
  struct TakenOver {
    std::vector<CatalogItem> put;
    std::vector<CatalogKey> gone;
  };
  /// Takes over what has changed between two settings of the cluster's file. What clients have set
  /// of the same environments and queues stays where the file says the same as before.
  TakenOver take_over(const ClusterSettings& from, const ClusterSettings& to);
  /// How to find the types that a compute environment's words mean.
  using TypeFinder =
      std::function<Result<std::vector<InstanceType>>(const std::vector<std::string>&)>;
  void find_types_by(TypeFinder finder) { find_types_ = std::move(finder); }
  void find_podman_by(std::function<bool()> finder) { find_podman_ = std::move(finder); }
  /// What a job's nodes tell while they get ready; forgotten when the job is no longer STARTING.
  void set_progress(const JobId& id, std::string text) { progress_[id] = std::move(text); }
  void clear_progress(const JobId& id) { progress_.erase(id); }
  [[nodiscard]] bool environments_enabled() const { return enabled_; }

  // api::View
  [[nodiscard]] const ClusterSettings& cluster() const override { return cluster_; }
  [[nodiscard]] const Job* find(const JobId& id) const override;
  [[nodiscard]] std::vector<const Job*> jobs(const QueueName& queue,
                                             JobStatus status) const override;
  void each_job(const QueueName& queue, const std::vector<JobStatus>& states,
                const std::optional<api::ListPlace>& after, bool newest_first,
                const std::function<bool(const Job&)>& take) const override;
  [[nodiscard]] std::vector<const Node*> nodes() const override;
  [[nodiscard]] NodeLoad load(const NodeId& id) const override;
  [[nodiscard]] std::vector<core::Block> blocks(const JobId& id) const override;
  [[nodiscard]] std::vector<const Job*> front_of_queue(const QueueName& queue, std::size_t count,
                                                       Millis now) const override;
  [[nodiscard]] std::set<std::string> unfinished_shares(const QueueName& queue) const override;
  [[nodiscard]] const Job* submitted_with(std::uint32_t uid,
                                          const std::string& token) const override;
  [[nodiscard]] api::Waiting waiting(const JobId& id, std::size_t work) const override;
  [[nodiscard]] std::string environment_note(const ComputeEnvironmentName& name) const override;
  [[nodiscard]] std::vector<const Job*> all_jobs() const override;
  [[nodiscard]] std::vector<const JobDefinition*> definitions() const override;
  [[nodiscard]] const JobDefinition* definition(const std::string& name,
                                                int revision) const override;
  [[nodiscard]] int last_revision(const std::string& name) const override;
  [[nodiscard]] std::vector<const SchedulingPolicy*> policies() const override;
  [[nodiscard]] Result<std::vector<InstanceType>> instance_types(
      const std::vector<std::string>& words) const override;
  [[nodiscard]] bool has_podman() const override { return !find_podman_ || find_podman_(); }
  [[nodiscard]] std::string progress(const JobId& id) const override;

 private:
  using Order = std::uint64_t;  ///< of submission
  struct Entry {
    Job job;
    Order order = 0;
  };
  using InOrder = std::map<Order, const Job*>;

  /// What makes waiting jobs alike to the scheduler: queue, vCPUs, memory, nodes (0: no
  /// multi-node), timeout (0: none), share, and its priority within that.
  using Needs = std::tuple<QueueName, int, MiB, int, int, std::string, int>;

  /// What jobs take of a node.
  struct Use {
    InOrder holders;
    int running = 0;
    int pending = 0;
    int vcpus = 0;
    MiB memory;
    int whole = 0;  ///< multi-node jobs, which have it to themselves
  };
  struct Note {
    std::string text;
    bool trouble = false;
  };

  /// Waiting jobs of a queue, of those that are alike the first.
  using Heads = std::set<std::pair<Order, const Needs*>>;
  class PlainLine;
  class SharedLine;
  class AllLines;

  [[nodiscard]] Order order_at(const std::vector<const InOrder*>& lists,
                               const api::ListPlace& place) const;
  [[nodiscard]] AlikeJobs alike(const Needs& needs) const;
  void index(const Entry& entry);
  void add_waiting(const Entry& entry);
  void remove_waiting(const Entry& entry);
  void put_free(const NodeId& id);
  [[nodiscard]] std::map<QueueName, core::QueueUse> queue_uses() const;
  [[nodiscard]] const std::map<JobId, std::vector<core::Block>>& known_blocks() const;
  void unindex(const Entry& entry);
  void use_nodes(const Entry& entry, int sign);
  void count_files(const Job& job, int sign, std::vector<std::string>* unused);
  void keep_idle(const NodeId& id);
  [[nodiscard]] int vcpus_of(const ComputeEnvironmentName& name) const;
  [[nodiscard]] std::optional<Millis> release_at(const Node& node) const;
  [[nodiscard]] static Needs needs_of(const Job& job);
  [[nodiscard]] std::size_t most_at_once(const Needs& needs) const;
  void add_shares(core::Snapshot& snapshot) const;
  [[nodiscard]] const SchedulingPolicy* policy_of(const QueueName& queue) const;
  [[nodiscard]] std::map<QueueName, int> decays() const;
  void count_shares(const Job& before, const Job& after, bool is_new);
  void forget_shares(const Job& job);
  [[nodiscard]] const core::Snapshot& last_look() const;
  [[nodiscard]] const std::vector<JobId>& holders_in(const ComputeEnvironmentName& name) const;
  void recount_shares();
  [[nodiscard]] int priority_of(const QueueName& queue) const;
  [[nodiscard]] bool is_idle(const NodeId& id) const;

  ClusterSettings cluster_;
  std::map<std::string, std::map<int, JobDefinition>> definitions_;
  std::map<std::string, SchedulingPolicy> policies_;
  TypeFinder find_types_;
  std::function<bool()> find_podman_;
  std::unordered_map<JobId, std::string> progress_;
  std::set<CatalogKey> kept_;
  bool enabled_ = true;
  /// Entries by their job's id, which is not kept twice.
  struct ById {
    using is_transparent = void;
    static const JobId& id(const JobId& id) { return id; }
    static const JobId& id(const std::unique_ptr<Entry>& entry) { return entry->job.id; }
    std::size_t operator()(const auto& each) const { return std::hash<JobId>{}(id(each)); }
    bool operator()(const auto& a, const auto& b) const { return id(a) == id(b); }
  };
  std::unordered_set<std::unique_ptr<Entry>, ById, ById> jobs_;
  std::unordered_set<JobId> whole_arrays_;  ///< whose first event has their children in it
  std::unordered_map<std::string, JobSpec> last_of_;  ///< by definition: only what may be shared
  Order next_order_ = 1;
  std::map<std::pair<QueueName, JobStatus>, InOrder> listed_;  ///< without array children
  std::map<Needs, InOrder> waiting_;                           ///< RUNNABLE and holding no node
  std::map<QueueName, Heads> heads_;                           ///< of waiting_
  InOrder active_;                                             ///< those that hold nodes
  /// What the jobs of each share that hold nodes asked for.
  struct Held {
    int jobs = 0;
    int vcpus = 0;
  };
  std::map<std::pair<QueueName, std::string>, Held> held_;
  core::ShareUse share_use_;
  std::map<std::pair<QueueName, std::string>, int> unfinished_;  ///< jobs of each share
  std::set<std::pair<Millis, JobId>> deadlines_;
  std::set<std::pair<Millis, JobId>> ended_;  ///< without array children
  std::unordered_map<JobId, std::set<JobId>> dependents_;
  std::unordered_map<std::string, int> files_;  ///< hash → jobs that need it

  std::map<NodeId, Node> nodes_;
  std::map<int, NodeId> by_ordinal_;
  std::set<int> free_ordinals_;  ///< below the highest that was ever taken
  std::map<std::pair<ComputeEnvironmentName, NodeStatus>, int> counts_;  ///< of nodes
  std::map<NodeId, Use> use_;
  core::FreeNodes free_;
  mutable core::Work work_;
  Millis scaled_at_;                          ///< the last look at everything for scale()
  std::int64_t scale_pause_ms_ = 0;           ///< after it
  std::optional<Millis> next_scale_;          ///< when a look that was put off is due
  std::set<std::pair<Millis, NodeId>> idle_;  ///< when each idle node may be given back
  std::unordered_map<NodeId, Millis> idle_at_;

  std::map<std::pair<std::uint32_t, std::string>, JobId> by_token_;  ///< user and client token
  Millis passed_at_;                                                 ///< the last pass
  // One look for all the waiting jobs that one answer tells of: good until something changes.
  std::uint64_t changes_ = 0;
  mutable std::optional<std::uint64_t> looked_after_;  ///< so many changes
  mutable core::Snapshot look_;
  mutable std::map<ComputeEnvironmentName, std::vector<JobId>> holders_of_look_;
  bool are_blocks_given_ = true;                        ///< by set_blocks(): not to be found out
  mutable std::optional<std::uint64_t> blocked_after_;  ///< so many changes
  mutable std::map<JobId, std::vector<core::Block>> blocks_;
  mutable std::map<Needs, std::vector<core::Block>> blocks_of_alike_;
  std::map<ComputeEnvironmentName, Note> notes_;
};

}  // namespace cox::head
