#include "launcher/cli/pcluster_logs.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>

#include "launcher/cli/output.hpp"
#include "launcher/cli/pcluster_answers.hpp"
#include "launcher/cli/pcluster_events.hpp"
#include "launcher/cli/pcluster_file.hpp"
#include "launcher/cli/pcluster_verbs.hpp"
#include "launcher/provider/node_files.hpp"
#include "runtime/base/text.hpp"
#include "runtime/core/retention.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/files.hpp"

/// list-cluster-log-streams and get-cluster-log-events.
namespace cox::cli {

namespace json = boost::json;

namespace {

using Takes = VerbOption::Takes;

// No log that is of use to anybody is larger.
constexpr std::size_t kLogBytesMax = 1u << 30;

std::int64_t modified_at(const std::string& path) {
  struct stat seen {};
  if (::stat(path.c_str(), &seen) != 0) return 0;
  return std::int64_t{seen.st_mtim.tv_sec} * 1000 + seen.st_mtim.tv_nsec / 1'000'000;
}

bool has(const std::vector<std::string>& list, const std::string& word) {
  return list.empty() || std::find(list.begin(), list.end(), word) != list.end();
}

json::object shown(const cluster::Record& record, const LogStream& stream,
                   const std::vector<LogEntry>& entries) {
  const auto modified = modified_at(stream.path);
  const auto first = entries.empty() ? modified : entries.front().at_ms;
  const auto last = entries.empty() ? modified : entries.back().at_ms;
  return {{"logStreamName", stream.name},
          {"creationTime", render_utc(first)},
          {"firstEventTimestamp", render_utc(first)},
          {"lastEventTimestamp", render_utc(last)},
          {"lastIngestionTime", render_utc(modified)},
          {"uploadSequenceToken", std::to_string(entries.size())},
          {"logStreamArn", fmt::format("arn:aws:logs:{}:123456789012:log-group:/aws/"
                                       "parallelcluster/{}:log-stream:{}",
                                       record.region, record.name, stream.name)}};
}

bool shows_no_logs(const cluster::Record& record) {
  const auto config = stored_config(record);
  return config && !config->logs_enabled;
}

std::string not_enabled(const cluster::Record& record) {
  return fmt::format("CloudWatch logging is not enabled for cluster {}.", record.name);
}

int list_streams(const Words& words, Streams streams) {
  if (const auto fault = fault_of(words); !fault.empty()) return bad_request(streams, fault);
  const auto filter = parse_log_filter(words.all("--filters"));
  if (!filter) return bad_request(streams, filter.error().message);
  const auto record = find_record(words);
  if (!record) return refuse(streams, no_such_cluster(words.get("--cluster-name")));
  if (shows_no_logs(*record)) return bad_request(streams, not_enabled(*record));
  json::array list;
  for (const auto& stream : log_streams_of(*record)) {
    if (!filter->lets(stream)) continue;
    // A node may go while its log is looked at.
    if (const auto entries = read_log(stream)) list.push_back(shown(*record, stream, *entries));
  }
  return say(streams, {{"logStreams", std::move(list)}});
}

/// What get-cluster-log-events is asked for.
Result<LogQuery> query_of(const Words& words) {
  LogQuery query;
  if (auto set = set_times(query, words.get("--start-time"), words.get("--end-time")); !set) {
    return fail(set.error());
  }
  if (words.has("--limit")) {
    const auto limit = to_int(words.get("--limit"));
    if (!limit) {
      return fail(Errc::invalid_argument, "expected 'integer' value for --limit, not {}",
                  words.get("--limit"));
    }
    if (*limit <= 0) return fail(Errc::invalid_argument, "'limit' must be a positive integer.");
    query.limit = std::min(query.limit, static_cast<std::size_t>(*limit));
  }
  query.from_head = *boolean(words.get("--start-from-head", "false"));
  query.token = words.get("--next-token");
  return query;
}

int get_events(const Words& words, Streams streams) {
  if (const auto fault = fault_of(words); !fault.empty()) return bad_request(streams, fault);
  const auto query = query_of(words);
  if (!query) return bad_request(streams, query.error().message);
  const auto record = find_record(words);
  if (!record) return refuse(streams, no_such_cluster(words.get("--cluster-name")));
  if (shows_no_logs(*record)) return bad_request(streams, not_enabled(*record));
  const auto name = words.get("--log-stream-name");
  const auto all = log_streams_of(*record);
  const auto stream = std::find_if(all.begin(), all.end(),
                                   [&](const LogStream& other) { return other.name == name; });
  if (stream == all.end()) {
    return refuse(streams, fmt::format("The specified log stream {} does not exist.", name));
  }
  const auto entries = read_log(*stream);
  if (!entries) return refuse(streams, entries.error().message);
  const auto page = select_page(*entries, *query);
  if (!page) return bad_request(streams, page.error().message);
  return say(streams, log_events_answer(*entries, *page));
}

/// What custom actions wrote: "<host name>.<instance id>.<action>.log". They stay when the node has
/// gone.
std::vector<LogStream> action_streams(const std::string& directory, const std::string& head) {
  std::vector<LogStream> list;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    const auto name = entry.path().stem().string();
    const auto words = split(name, '.');
    if (words.size() != 3 || entry.path().extension() != ".log") continue;
    list.push_back(
        {name, entry.path().string(), words[1] == head ? "HeadNode" : "ComputeNode", words[0]});
  }
  std::sort(list.begin(), list.end(),
            [](const LogStream& a, const LogStream& b) { return a.name < b.name; });
  return list;
}

}  // namespace

bool LogFilter::lets(const LogStream& stream) const {
  return has(hosts, stream.host) && has(node_types, stream.node_type);
}

Result<LogFilter> parse_log_filter(const std::vector<std::string>& words) {
  LogFilter filter;
  for (const auto& word : split(join(words, " "), ' ')) {
    if (word.empty()) continue;
    constexpr std::string_view kValues = ",Values=";
    const auto middle = word.find(kValues);
    const auto name = word.substr(0, middle);
    const auto values = middle == std::string::npos
                            ? std::vector<std::string>{""}
                            : split(word.substr(middle + kValues.size()), ',');
    auto* const list = name == "Name=private-dns-name" ? &filter.hosts
                       : name == "Name=node-type"      ? &filter.node_types
                                                       : nullptr;
    if (list == nullptr || std::find(values.begin(), values.end(), "") != values.end()) {
      return fail(Errc::invalid_argument,
                  "filters parameter must be in the form "
                  "Name=private-dns-name|node-type,Values=a,b; not {}",
                  word);
    }
    list->insert(list->end(), values.begin(), values.end());
  }
  for (const auto& type : filter.node_types) {
    if (type != "HeadNode" && type != "ComputeNode") {
      return fail(Errc::invalid_argument, "node-type is HeadNode or ComputeNode, not {}", type);
    }
  }
  return filter;
}

std::vector<LogStream> log_streams_of(const cluster::Record& record) {
  const auto directory = cluster::directory_of(record.name);
  const auto config = stored_config(record);
  const auto kept_from =
      core::logs_kept_from(config ? config->log_retention_days : 0, os::SystemClock().now());
  std::vector<LogStream> list;
  if (config && !config->logs_enabled) return list;
  const auto add = [&](LogStream stream) {
    stream.from_ms = kept_from ? kept_from->value : 0;
    if (modified_at(stream.path) != 0) list.push_back(std::move(stream));
  };
  add({"coxd", directory + "/coxd.log", "HeadNode", ""});
  const auto head = history_of(record).head_id;
  for (const auto& id : provider::nodes_on_disk(directory)) {
    const auto node = provider::node_directory(directory, id);
    const auto host = os::read_file(node + "/hostname");
    const std::string name(trim(host ? *host : ""));
    add({fmt::format("{}.{}.agent", name.substr(0, name.find('.')), id), node + "/agent.log",
         id.value == head ? "HeadNode" : "ComputeNode", name});
  }
  for (auto& stream : action_streams(directory + "/head/actions", head)) add(std::move(stream));
  return list;
}

Result<std::vector<LogEntry>> read_log(const LogStream& stream) {
  const auto text = os::read_file(stream.path, kLogBytesMax);
  if (!text) return fail(text.error());
  auto entries = parse_log(*text, modified_at(stream.path));
  std::erase_if(entries, [&](const LogEntry& entry) { return entry.at_ms < stream.from_ms; });
  return entries;
}

Result<void> set_times(LogQuery& query, const std::string& start, const std::string& end) {
  const auto set = [](std::optional<std::int64_t>& time, const std::string& text,
                      const char* name) -> Result<void> {
    if (text.empty()) return {};
    time = parse_iso_time(text);
    if (time) return {};
    return fail(Errc::invalid_argument,
                "{} filter must be in the ISO 8601 format: YYYY-MM-DDThh:mm:ssZ. (e.g. "
                "1984-09-15T19:20:30Z or 1984-09-15).",
                name);
  };
  if (auto good = set(query.start_ms, start, "start_time"); !good) return good;
  if (auto good = set(query.end_ms, end, "end_time"); !good) return good;
  if (query.start_ms && query.end_ms && *query.start_ms >= *query.end_ms) {
    return fail(Errc::invalid_argument, "start_time filter must be earlier than end_time filter.");
  }
  return {};
}

json::object log_events_answer(const std::vector<LogEntry>& entries, const LogPage& page) {
  json::array events;
  for (const auto index : page.shown) {
    events.push_back(json::object{{"message", entries[index].text},
                                  {"timestamp", render_utc(entries[index].at_ms)}});
  }
  return {{"nextToken", page.next_token},
          {"prevToken", page.prev_token},
          {"events", std::move(events)}};
}

VerbEntry log_streams_verb() {
  return {make_verb("list-cluster-log-streams", "Lists a cluster's logs.",
                    {name_option(), log_filters_option(), {"--next-token", {}, Takes::one, false}},
                    "  pcluster list-cluster-log-streams -n laptop\n"
                    "  pcluster list-cluster-log-streams -n laptop --filters "
                    "Name=node-type,Values=HeadNode\n"),
          list_streams};
}

VerbEntry log_events_verb() {
  return {make_verb(
              "get-cluster-log-events", "Shows a log of a cluster.",
              {name_option(),
               {"--log-stream-name", {}, Takes::one, true, "as list-cluster-log-streams has it"},
               {"--start-from-head", {}, Takes::one, false, "true: the first events, not the last"},
               {"--limit", {}, Takes::one, false, "so many events at most (10000)"},
               start_time_option(),
               end_time_option(),
               {"--next-token",
                {},
                Takes::one,
                false,
                "of an answer before: the page after or before"}},
              "  pcluster get-cluster-log-events -n laptop --log-stream-name coxd --limit 20\n"),
          get_events};
}

VerbOption log_filters_option() {
  return {"--filters",
          {},
          Takes::many,
          false,
          "Name=private-dns-name,Values=A,B or Name=node-type,Values=HeadNode"};
}

VerbOption start_time_option() {
  return {
      "--start-time", {}, Takes::one, false, "events from then on, such as 2026-01-31T12:00:00Z"};
}

VerbOption end_time_option() { return {"--end-time", {}, Takes::one, false, "events before then"}; }

}  // namespace cox::cli
