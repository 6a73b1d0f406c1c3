#include "launcher/cli/job_items.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <tuple>

#include "runtime/base/text.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

constexpr std::size_t kIdsPerCall = 100;

std::size_t order_of(const std::string& status) {
  const auto all = split(kAllStatuses, ',');
  return static_cast<std::size_t>(std::find(all.begin(), all.end(), status) - all.begin());
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
      {"jobId", shown_id(job)},
      {"jobName", text_of(job, "jobName")},
      {"createdAt", render_date(int_of(job, "createdAt"))},
      {"startedAt", render_date(int_of(job, "startedAt"))},
      {"stoppedAt", render_date(int_of(job, "stoppedAt"))},
      {"status", text_of(job, "status")},
      {"statusReason", or_dash(text_of(job, "statusReason"))},
      {"jobDefinition", short_id(text_of(job, "jobDefinition"))},
      {"jobQueue", short_id(arn)},
      {"command", or_dash(command_of(shown))},
      {"exitCode", exit_code(job)},
      {"reason", parent ? "-" : or_dash(text_of(shown, "reason"))},
      {"vcpus", std::to_string(int_of(shown, "vcpus"))},
      {"memory[MB]", std::to_string(int_of(shown, "memory"))},
      {"nodes", std::to_string(std::max(1, node_count_of(job)))},
      {"logStream", or_dash(stream)},
      {"log", stream.empty()
                  ? "-"
                  : fmt::format("https://console.aws.amazon.com/cloudwatch/home?region={}"
                                "#logEventViewer:group=/aws/batch/job;stream={}",
                                region, stream)},
      {"s3FolderUrl", s3_folder(shown)}};
  // Ours, where we start the ranks: by which road, and why.
  const auto* ours = object_of(job, "coxswain");
  const auto launch = ours != nullptr ? text_of(*ours, "launch") : "";
  if (!launch.empty()) details.emplace_back("launch", launch);
  return details;
}

}  // namespace

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

std::string short_id(const std::string& id_or_arn) {
  return id_or_arn.substr(id_or_arn.rfind('/') + 1);
}

std::vector<std::string> short_ids(const std::vector<std::string>& words) {
  std::vector<std::string> ids;
  for (const auto& word : words) {
    const auto id = short_id(word);
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

int array_size_of(const json::object& job) {
  const auto* array = object_of(job, "arrayProperties");
  return array != nullptr ? static_cast<int>(int_of(*array, "size")) : 0;
}

int node_count_of(const json::object& job) {
  const auto* nodes = object_of(job, "nodeProperties");
  return nodes != nullptr ? static_cast<int>(int_of(*nodes, "numNodes")) : 0;
}

bool is_parent(const json::object& job) { return array_size_of(job) > 0 || node_count_of(job) > 0; }

std::vector<std::string> children_of(const json::object& job) {
  std::vector<std::string> ids;
  const auto id = text_of(job, "jobId");
  for (int i = 0; i < array_size_of(job); ++i) ids.push_back(fmt::format("{}:{}", id, i));
  for (int i = 0; i < node_count_of(job); ++i) ids.push_back(fmt::format("{}#{}", id, i));
  return ids;
}

std::string shown_id(const json::object& job) {
  const auto id = text_of(job, "jobId");
  if (const int size = array_size_of(job); size > 0) return fmt::format("{} [{}]", id, size);
  if (const int nodes = node_count_of(job); nodes > 0) return fmt::format("{} *{}", id, nodes);
  return id;
}

void sort_by_status(std::vector<json::object>& jobs) {
  std::stable_sort(jobs.begin(), jobs.end(), [](const json::object& a, const json::object& b) {
    const auto key = [](const json::object& job) {
      return std::tuple(order_of(text_of(job, "status")), render_date(int_of(job, "startedAt")),
                        shown_id(job));
    };
    return key(a) < key(b);
  });
}

void sort_by_ids(std::vector<json::object>& jobs, const std::vector<std::string>& ids) {
  const auto position = [&ids](const json::object& job) {
    const auto id = text_of(job, "jobId");
    auto found = std::find(ids.begin(), ids.end(), id.substr(0, id.find_first_of(":#")));
    if (found == ids.end()) found = std::find(ids.begin(), ids.end(), id);
    return found - ids.begin();
  };
  std::stable_sort(jobs.begin(), jobs.end(), [&](const json::object& a, const json::object& b) {
    return std::pair(position(a), shown_id(a)) < std::pair(position(b), shown_id(b));
  });
}

std::vector<std::string> statuses_of(const std::string& list) {
  std::vector<std::string> wanted;
  for (const auto& piece : split(to_upper(list), ',')) {
    const std::string status(trim(piece));
    if (status == "ALL") return split(kAllStatuses, ',');
    if (std::find(wanted.begin(), wanted.end(), status) == wanted.end()) wanted.push_back(status);
  }
  std::stable_sort(wanted.begin(), wanted.end(), [](const std::string& a, const std::string& b) {
    return order_of(a) < order_of(b);
  });
  return wanted;
}

std::string render_jobs(const std::vector<json::object>& jobs, bool colour) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& job : jobs) {
    rows.push_back({shown_id(job), text_of(job, "jobName"), text_of(job, "status"),
                    render_date(int_of(job, "startedAt")), render_date(int_of(job, "stoppedAt")),
                    exit_code(job)});
  }
  return render_table({{"jobId"},
                       {"jobName"},
                       {.name = "status", .is_status = true},
                       {"startedAt"},
                       {"stoppedAt"},
                       {.name = "exitCode", .may_be_numeric = true}},
                      rows, colour);
}

std::string render_job_details(const std::vector<json::object>& jobs, bool colour) {
  std::vector<Details> items;
  for (const auto& job : jobs) items.push_back(details_of(job));
  return render_details(items, colour);
}

}  // namespace cox::cli
