#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/output.hpp"
#include "runtime/base/text.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

constexpr const char* kDefaultStatuses = "SUBMITTED,PENDING,RUNNABLE,STARTING,RUNNING";
constexpr const char* kAllStatuses = "SUBMITTED,PENDING,RUNNABLE,STARTING,RUNNING,SUCCEEDED,FAILED";
constexpr std::size_t kIdsPerCall = 100;

struct StatOptions {
  std::string cluster;
  std::string status = kDefaultStatuses;
  bool expand_children = false;
  bool details = false;
  bool json = false;
  std::vector<std::string> job_ids;
};

std::string last_part(const std::string& arn, char mark) { return arn.substr(arn.rfind(mark) + 1); }

int size_of_array(const json::object& job) {
  const auto* array = object_of(job, "arrayProperties");
  return array != nullptr ? static_cast<int>(int_of(*array, "size")) : 0;
}

int nodes_of(const json::object& job) {
  const auto* nodes = object_of(job, "nodeProperties");
  return nodes != nullptr ? static_cast<int>(int_of(*nodes, "numNodes")) : 0;
}

bool is_parent(const json::object& job) { return size_of_array(job) > 0 || nodes_of(job) > 0; }

/// "ID", "ID [size]" of an array's parent, "ID *n" of a multi-node job.
std::string shown_id(const json::object& job) {
  const auto id = text_of(job, "jobId");
  if (const int size = size_of_array(job); size > 0) return fmt::format("{} [{}]", id, size);
  if (const int nodes = nodes_of(job); nodes > 0) return fmt::format("{} *{}", id, nodes);
  return id;
}

/// The container that the item shows: its own, or of a multi-node job's first range.
const json::object* container_of(const json::object& job) {
  if (const auto* own = object_of(job, "container")) return own;
  const auto* nodes = object_of(job, "nodeProperties");
  const auto* ranges = nodes != nullptr ? nodes->if_contains("nodeRangeProperties") : nullptr;
  if (ranges == nullptr || ranges->as_array().empty()) return nullptr;
  return object_of(ranges->as_array().front().as_object(), "container");
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

std::string exit_code(const json::object& job) {
  const auto* container = object_of(job, "container");
  if (is_parent(job) || container == nullptr || !container->contains("exitCode")) return "-";
  return std::to_string(int_of(*container, "exitCode"));
}

std::string command_of(const json::object& container) {
  std::vector<std::string> words;
  if (const auto* list = container.if_contains("command")) {
    for (const auto& word : list->as_array()) words.emplace_back(word.as_string());
  }
  return shell_quote(words);
}

std::string s3_folder(const json::object& container) {
  const auto* list = container.if_contains("environment");
  for (std::size_t i = 0; list != nullptr && i < list->as_array().size(); ++i) {
    const auto& variable = list->as_array()[i].as_object();
    if (text_of(variable, "name") == "PCLUSTER_JOB_S3_URL") return text_of(variable, "value");
  }
  return "-";
}

Details details_of(const json::object& job) {
  const auto* container = container_of(job);
  const json::object none;
  const auto& shown = container != nullptr ? *container : none;
  const bool parent = is_parent(job);
  const auto stream = parent ? "" : text_of(shown, "logStreamName");
  const auto arn = text_of(job, "jobQueue");
  const auto pieces = split(arn, ':');
  const auto region = pieces.size() > 3 ? pieces[3] : "";
  Details details{
      {"jobId", text_of(job, "jobId")},
      {"jobName", text_of(job, "jobName")},
      {"createdAt", render_date(int_of(job, "createdAt"))},
      {"startedAt", render_date(int_of(job, "startedAt"))},
      {"stoppedAt", render_date(int_of(job, "stoppedAt"))},
      {"status", text_of(job, "status")},
      {"statusReason", or_dash(text_of(job, "statusReason"))},
      {"jobDefinition", last_part(text_of(job, "jobDefinition"), '/')},
      {"jobQueue", last_part(arn, '/')},
      {"command", or_dash(command_of(shown))},
      {"exitCode", exit_code(job)},
      {"reason", parent ? "-" : or_dash(text_of(shown, "reason"))},
      {"vcpus", std::to_string(int_of(shown, "vcpus"))},
      {"memory[MB]", std::to_string(int_of(shown, "memory"))},
      {"nodes", std::to_string(std::max(1, nodes_of(job)))},
      {"logStream", or_dash(stream)},
      {"log", stream.empty()
                  ? "-"
                  : fmt::format("https://console.aws.amazon.com/cloudwatch/home?region={}"
                                "#logEventViewer:group=/aws/batch/job;stream={}",
                                region, stream)},
      {"s3FolderUrl", s3_folder(shown)}};
  if (const auto* own = object_of(job, "coxswain"))
    details.emplace_back("launch", text_of(*own, "launch"));
  return details;
}

Result<std::vector<json::object>> describe(Connection& connection,
                                           const std::vector<std::string>& ids) {
  std::vector<json::object> jobs;
  for (std::size_t at = 0; at < ids.size(); at += kIdsPerCall) {
    json::array chunk;
    for (std::size_t i = at; i < std::min(ids.size(), at + kIdsPerCall); ++i)
      chunk.emplace_back(ids[i]);
    auto answer = connection.batch("describejobs", json::object{{"jobs", std::move(chunk)}});
    if (!answer) return fail(answer.error());
    for (auto& job : answer->as_object().at("jobs").as_array())
      jobs.push_back(std::move(job.as_object()));
  }
  return jobs;
}

std::vector<std::string> children_of(const json::object& job) {
  std::vector<std::string> ids;
  const auto id = text_of(job, "jobId");
  for (int i = 0; i < size_of_array(job); ++i) ids.push_back(fmt::format("{}:{}", id, i));
  for (int i = 0; i < nodes_of(job); ++i) ids.push_back(fmt::format("{}#{}", id, i));
  return ids;
}

/// The jobs named on the command line, parents with all their children, in that order.
Result<std::vector<json::object>> by_ids(Connection& connection,
                                         const std::vector<std::string>& asked) {
  std::vector<std::string> ids;
  for (const auto& id : asked) {
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(last_part(id, '/'));
  }
  auto jobs = describe(connection, ids);
  if (!jobs) return jobs;
  std::vector<std::string> below;
  for (const auto& job : *jobs) {
    const auto children = children_of(job);
    below.insert(below.end(), children.begin(), children.end());
  }
  auto more = describe(connection, below);
  if (!more) return more;
  for (auto& job : *more) {
    const auto id = text_of(job, "jobId");
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) jobs->push_back(std::move(job));
  }
  const auto position = [&ids](const json::object& job) {
    const auto id = text_of(job, "jobId");
    const auto parent = id.substr(0, id.find_first_of(":#"));
    auto found = std::find(ids.begin(), ids.end(), parent);
    if (found == ids.end()) found = std::find(ids.begin(), ids.end(), id);
    return found - ids.begin();
  };
  std::stable_sort(jobs->begin(), jobs->end(), [&](const json::object& a, const json::object& b) {
    return std::pair(position(a), shown_id(a)) < std::pair(position(b), shown_id(b));
  });
  return jobs;
}

std::size_t rank_of(const std::string& status) {
  const auto all = split(kAllStatuses, ',');
  return static_cast<std::size_t>(std::find(all.begin(), all.end(), status) - all.begin());
}

Result<std::vector<json::object>> listed(Connection& connection, const std::string& status) {
  std::vector<json::object> jobs;
  std::string token;
  const auto queues = connection.batch("describejobqueues", json::object{});
  if (!queues) return fail(queues.error());
  for (const auto& queue : queues->as_object().at("jobQueues").as_array()) {
    do {
      auto answer = connection.batch(
          "listjobs", json::object{{"jobStatus", status},
                                   {"jobQueue", text_of(queue.as_object(), "jobQueueArn")},
                                   {"nextToken", token}});
      if (!answer) return fail(answer.error());
      auto& object = answer->as_object();
      for (auto& job : object.at("jobSummaryList").as_array())
        jobs.push_back(std::move(job.as_object()));
      token = text_of(object, "nextToken");
    } while (!token.empty());
  }
  return jobs;
}

/// All jobs of the queues in the states asked for.
Result<std::vector<json::object>> by_status(Connection& connection, const StatOptions& options) {
  std::vector<json::object> jobs;
  std::string wanted = to_upper(options.status);
  std::vector<std::string> statuses;
  for (const auto& piece : split(wanted, ',')) {
    const std::string status(trim(piece));
    if (status == "ALL") {
      statuses = split(kAllStatuses, ',');
      break;
    }
    statuses.push_back(status);
  }
  for (const auto& status : statuses) {
    auto list = listed(connection, status);
    if (!list) return list;
    std::move(list->begin(), list->end(), std::back_inserter(jobs));
  }
  if (options.expand_children || options.details) {
    std::vector<std::string> ids;
    for (const auto& job : jobs) {
      const bool swap = options.expand_children && is_parent(job);
      const auto below = swap ? children_of(job) : std::vector<std::string>{text_of(job, "jobId")};
      ids.insert(ids.end(), below.begin(), below.end());
    }
    auto described = describe(connection, ids);
    if (!described) return described;
    jobs = std::move(*described);
  }
  std::stable_sort(jobs.begin(), jobs.end(), [](const json::object& a, const json::object& b) {
    const auto key = [](const json::object& job) {
      return std::tuple(rank_of(text_of(job, "status")), render_date(int_of(job, "startedAt")),
                        shown_id(job));
    };
    return key(a) < key(b);
  });
  return jobs;
}

void print(const std::vector<json::object>& jobs, bool as_details, bool as_json, Streams streams) {
  if (as_json) {
    json::array list;
    for (const auto& job : jobs) list.push_back(job);
    streams.out << json::serialize(list) << '\n';
  } else if (as_details) {
    std::vector<Details> items;
    for (const auto& job : jobs) items.push_back(details_of(job));
    streams.out << render_details(items);
  } else {
    std::vector<std::vector<std::string>> rows;
    for (const auto& job : jobs) {
      rows.push_back({shown_id(job), text_of(job, "jobName"), text_of(job, "status"),
                      render_date(int_of(job, "startedAt")), render_date(int_of(job, "stoppedAt")),
                      exit_code(job)});
    }
    streams.out << render_table({{"jobId", false},
                                 {"jobName", false},
                                 {"status", false},
                                 {"startedAt", false},
                                 {"stoppedAt", false},
                                 {"exitCode", true}},
                                rows);
  }
}

}  // namespace

int run_awsbstat(const std::vector<std::string>& args, Streams streams) {
  exit_quietly_on_interrupt();
  StatOptions options;
  std::string log_level;
  CLI::App app("Shows the jobs of a cluster.", "awsbstat");
  app.add_option("--cluster", options.cluster, "-c: the cluster");
  app.add_option("--status", options.status, "-s: states, comma-separated, or ALL")
      ->capture_default_str();
  app.add_flag("--expand-children", options.expand_children,
               "-e: children in place of arrays and multi-node jobs");
  app.add_flag("--details", options.details, "-d: all that is known of each job");
  app.add_flag("--json", options.json, "print JSON: DescribeJobs' or ListJobs' objects");
  app.add_option("--log-level", log_level)->group("");
  app.add_option("job_ids", options.job_ids, "jobs to show; all in the asked states if omitted");
  app.footer(
      "Examples:\n  awsbstat                 jobs that have not ended\n  awsbstat -s ALL          "
      "all jobs\n"
      "  awsbstat ID              one job, with its nodes or children\n  awsbstat -d ID#0         "
      "all about the main node\n");
  auto names = common_options();
  names.push_back({"--status", {"-s"}, true});
  names.push_back({"--expand-children", {"-e"}, false});
  names.push_back({"--details", {"-d"}, false});
  names.push_back({"--json", {}, false});
  if (const int status = parse(app, args, names, false, streams); status >= 0) return status;

  auto connection = Connection::open(options.cluster);
  if (!connection) {
    streams.err << "Error: " << connection.error().message << '\n';
    return kFailed;
  }
  const auto jobs = options.job_ids.empty() ? by_status(*connection, options)
                                            : by_ids(*connection, options.job_ids);
  if (!jobs) {
    streams.err << "Error listing jobs from AWS Batch. Failed with exception: "
                << jobs.error().message << '\n';
    return kFailed;
  }
  const bool one = options.job_ids.size() == 1 && jobs->size() == 1;
  print(*jobs, options.details || one, options.json, streams);
  return kDone;
}

}  // namespace cox::cli
