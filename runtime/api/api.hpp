#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/base/result.hpp"
#include "runtime/core/changes.hpp"
#include "runtime/core/scheduler.hpp"
#include "runtime/model/catalog.hpp"
#include "runtime/model/cluster.hpp"
#include "runtime/model/container.hpp"
#include "runtime/model/job.hpp"

/// AWS Batch and CloudWatch Logs as their clients speak them: a request's text in, a decision or an
/// answer's text out. Nothing here changes a job: what must be changed comes back as a command, and
/// the head answers after it has made that durable.
namespace cox::api {

/// Why a RUNNABLE job does not start.
struct Waiting {
  std::vector<core::Block> blocks;
  /// Jobs that hold nodes of each environment that the job could use.
  std::map<ComputeEnvironmentName, std::vector<JobId>> holders;
  std::vector<core::Changes> changes;  ///< each of which would start it now
  std::size_t ahead = 0;               ///< jobs of its queue that are served before it
  bool ahead_is_least = false;         ///< or more
};

/// Where a list of jobs goes on: behind this one, which may have left the list meanwhile.
struct ListPlace {
  Millis created_at;
  JobId id;
};

/// The head's state, to read. Ids of children and nodes are looked up by their parents.
class View {
 public:
  virtual ~View() = default;
  [[nodiscard]] virtual const ClusterSettings& cluster() const = 0;
  [[nodiscard]] virtual const Job* find(const JobId& id) const = 0;
  /// Jobs of a queue in a state, array children left out, oldest first.
  [[nodiscard]] virtual std::vector<const Job*> jobs(const QueueName& queue,
                                                     JobStatus status) const = 0;
  /// The same of several states in one order, from a place on, the newest first if so wanted:
  /// given to `take` until it wants no more.
  virtual void each_job(const QueueName& queue, const std::vector<JobStatus>& states,
                        const std::optional<ListPlace>& after, bool newest_first,
                        const std::function<bool(const Job&)>& take) const;
  [[nodiscard]] virtual std::vector<const Node*> nodes() const = 0;  ///< the head node first
  /// Attempts that hold a part of the node, and what is left of it.
  struct NodeLoad {
    int running_jobs = 0;
    int pending_jobs = 0;  ///< attempts that have not started on it
    int free_vcpus = 0;
    MiB free_memory;
  };
  [[nodiscard]] virtual NodeLoad load(const NodeId& id) const = 0;
  /// Why a RUNNABLE job was not placed at the last pass.
  [[nodiscard]] virtual std::vector<core::Block> blocks(const JobId& id) const = 0;
  /// The first RUNNABLE jobs of a queue, array children too, in the order in which they will be
  /// served.
  [[nodiscard]] virtual std::vector<const Job*> front_of_queue(const QueueName& queue,
                                                               std::size_t count,
                                                               Millis /*now*/) const {
    auto list = jobs(queue, JobStatus::runnable);
    list.resize(std::min(count, list.size()));
    return list;
  }
  /// Share identifiers of the queue's jobs that have not ended.
  [[nodiscard]] virtual std::set<std::string> unfinished_shares(const QueueName& /*queue*/) const {
    return {};
  }
  /// The job that the user submitted with this client token, or null.
  [[nodiscard]] virtual const Job* submitted_with(std::uint32_t /*uid*/,
                                                  const std::string& /*token*/) const {
    return nullptr;
  }
  /// Why a job waits that has what it depends on, and what may be done about it. Empty for others.
  /// `work`: how much may be tried for that, as of core::smallest_changes().
  [[nodiscard]] virtual Waiting waiting(const JobId& id, std::size_t /*work*/) const {
    return {blocks(id), {}, {}, 0, false};
  }
  /// "Growing by 3 c4.large for job X" and the like, for a compute environment; may be empty.
  [[nodiscard]] virtual std::string environment_note(const ComputeEnvironmentName& name) const = 0;

  /// All jobs, array children too, in no order.
  [[nodiscard]] virtual std::vector<const Job*> all_jobs() const { return {}; }

  // What clients made. The cluster's own two job definitions are not among it.
  /// By name, then revision.
  [[nodiscard]] virtual std::vector<const JobDefinition*> definitions() const { return {}; }
  /// Revision 0: the newest that is active.
  [[nodiscard]] virtual const JobDefinition* definition(const std::string& /*name*/,
                                                        int /*revision*/) const {
    return nullptr;
  }
  /// The highest revision that the name ever had; 0: none.
  [[nodiscard]] virtual int last_revision(const std::string& /*name*/) const { return 0; }
  /// By name.
  [[nodiscard]] virtual std::vector<const SchedulingPolicy*> policies() const { return {}; }
  /// Types for a compute environment's words: types, families, "optimal"; smallest first.
  [[nodiscard]] virtual Result<std::vector<InstanceType>> instance_types(
      const std::vector<std::string>& /*words*/) const {
    return std::vector<InstanceType>{};
  }
  /// Where images run: whether there is a podman to run them.
  [[nodiscard]] virtual bool has_podman() const { return true; }
  /// What keeps a STARTING job so long: "Pulling image …"; empty: nothing to tell.
  [[nodiscard]] virtual std::string progress(const JobId& /*id*/) const { return {}; }
};

struct Request {
  std::string method;
  std::string target;      ///< "/v1/submitjob"
  std::string amz_target;  ///< the X-Amz-Target header: "Logs_20140328.GetLogEvents"
  std::string body;
  JobUser user;        ///< who asks; root sees everybody's jobs
  std::string region;  ///< of the credential scope; empty: the cluster's
  Millis now = {};     ///< when it was asked
  bool owner = true;   ///< may change what is everybody's: environments, queues, policies
  std::string client_token = {};  ///< the x-coxswain-client-token header
};

struct Answer {
  int status = 200;
  std::string body;        ///< JSON
  std::string error_type;  ///< for the x-amzn-ErrorType header; empty: no error
};

/// Accept this job (children of an array are made by the head). Files were checked for shape only:
/// the head checks that it has their content.
struct SubmitJob {
  JobSpec spec;
};
/// CancelJob (only_waiting) or TerminateJob. An unknown id is answered 200, as AWS does.
struct KillJob {
  JobId job;
  std::string reason;
  bool only_waiting = false;
};
/// A log of one node's part in one attempt, as a CloudWatch stream.
struct LogStream {
  std::string name;
  JobId job;
  int attempt = 0;
  int node_index = 0;
  std::int64_t created_ms = 0;
  std::optional<std::int64_t> first_ms;  ///< of its events, filled in by the head
  std::optional<std::int64_t> last_ms;
};
/// Fill in the streams' first and last times and answer by render_streams().
struct ListStreams {
  std::vector<LogStream> streams;  ///< all that match, by name
  bool by_last_event = false;
  bool descending = false;
  std::size_t limit = 50;
  std::string after;  ///< the name of the last one shown
};
/// Read the streams' lines within the times and answer by render_found().
struct SearchLogs {
  std::vector<LogStream> streams;
  std::optional<std::int64_t> start_ms;
  std::optional<std::int64_t> end_ms;
  std::vector<std::string> all_of;   ///< words that a line must have
  std::vector<std::string> any_of;   ///< and one of these, where there are any
  std::vector<std::string> none_of;  ///< and none of these
  std::size_t limit = 10'000;
  /// Where an earlier page ended: on in this stream behind this record, then in those after it.
  std::string after_stream;
  std::uint64_t after_sequence = 0;
};
/// Read lines of a log and answer by render_log_events().
struct ReadLog {
  std::string stream;  ///< logStreamName
  std::optional<std::int64_t> start_ms;
  std::optional<std::int64_t> end_ms;           ///< exclusive
  std::optional<std::uint64_t> after_sequence;  ///< from a token
  bool backward = false;                        ///< token was a backward one
  std::size_t limit = 10'000;
  bool limited = false;  ///< by the client; else the answer has what fits one megabyte
  bool from_head = false;
  std::string token;  ///< as sent
};

/// Make these changes durable, then answer.
struct ChangeCatalog {
  std::vector<CatalogItem> put;
  std::vector<CatalogKey> gone;
  std::vector<JobId> killed;  ///< jobs of a queue that is gone
  std::string kill_reason;
  Answer answer;
};
/// Give the job these tags and no others, then answer.
struct TagJob {
  JobId job;
  std::map<std::string, std::string> tags;
  Answer answer;
};

using Outcome = std::variant<Answer, SubmitJob, KillJob, ReadLog, ListStreams, SearchLogs,
                             ChangeCatalog, TagJob>;

/// One request of AWS Batch (`/v1/…`) or CloudWatch Logs (X-Amz-Target).
/// Operations served: the 24 of AWS Batch's API of 2022 and GetJobQueueSnapshot; GetLogEvents,
/// DescribeLogStreams, DescribeLogGroups and FilterLogEvents. Anything wrong with a request is an
/// Answer with AWS's error shape. Pure.
[[nodiscard]] Outcome handle(const View& view, const Request& request);

/// `region`: as in the request; empty: the cluster's.
[[nodiscard]] Answer render_submitted(const View& view, const JobId& id, const JobSpec& spec,
                                      const std::string& region = {});
[[nodiscard]] Answer render_killed();

struct LogEvent {
  std::uint64_t sequence = 0;
  std::int64_t at_ms = 0;
  std::string message;
};
[[nodiscard]] Answer render_log_events(const ReadLog& asked, const std::vector<LogEvent>& events);
[[nodiscard]] Answer render_no_such_log(const ReadLog& asked);
[[nodiscard]] Answer render_streams(const View& view, const Request& request,
                                    const ListStreams& asked);
struct FoundEvent {
  const LogStream* stream = nullptr;
  LogEvent event;
};
/// True when the line has what the search asks for.
[[nodiscard]] bool is_sought(const SearchLogs& asked, std::string_view line);
/// What one look found, in any order, and where the next must go on; null: all was looked at.
struct FoundPage {
  std::vector<FoundEvent> events;
  const LogStream* next_stream = nullptr;
  std::uint64_t next_sequence = 0;
};
[[nodiscard]] Answer render_found(FoundPage page);

/// The container that a node of the job runs in: as its definition says, with the cluster's shared
/// directories at their places unless the definition mounts something there. Without an image where
/// the definition has none, or where the cluster ignores images. Pure.
[[nodiscard]] Container container_of(const View& view, const Job& job, int node_index);

/// Any failure as AWS's clients expect it: ClientException 400, or ServerException 500.
[[nodiscard]] Answer render_error(const Error& error);

/// Our own additions to the API, below /cox/v1/, share these shapes.
[[nodiscard]] std::string render_nodes(const View& view);  ///< for awsbhosts
/// {"reasons":[{"kind","text",…}],"changes":[{"text","changes":[{"kind","to","from"}]}]} of a job
/// that waits, for `awsbstat --why`; both are empty for another.
[[nodiscard]] std::string render_waiting(const View& view, const Job& job);
/// Which of the kept jobs that have ended; array children are not among them.
struct HistoryQuery {
  JobUser asker;           ///< root sees everybody's
  std::string user = {};   ///< name; empty: all that the asker may see
  std::string queue = {};  ///< empty: all
  std::optional<JobStatus> status = {};
  Millis ended_from = {};    ///< the end's time; not set: any
  Millis ended_before = {};  ///< exclusive
  std::size_t limit = 1000;
};
/// {"jobs":[…, the last to end first],"more":jobs left out,"keptDays":days} for `cox history`.
[[nodiscard]] std::string render_history(const View& view, const HistoryQuery& query);
[[nodiscard]] std::string render_job(const View& view,
                                     const JobRef& ref);  ///< one of describe_jobs

}  // namespace cox::api
