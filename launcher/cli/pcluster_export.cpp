#include <fcntl.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <ostream>

#include "launcher/cli/output.hpp"
#include "launcher/cli/pcluster_answers.hpp"
#include "launcher/cli/pcluster_events.hpp"
#include "launcher/cli/pcluster_json.hpp"
#include "launcher/cli/pcluster_logs.hpp"
#include "launcher/cli/pcluster_verbs.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/process.hpp"

/// export-cluster-logs: a cluster's logs and events as one archive.
namespace cox::cli {

namespace json = boost::json;
namespace fs = std::filesystem;

namespace {

using Takes = VerbOption::Takes;

int fail_with(Streams streams, const std::string& text) {
  streams.err << "ERROR: " << text << '\n';
  return kFailed;
}

/// A directory that goes with the program's scope.
class Stage {
 public:
  static Result<Stage> make() {
    std::error_code error;
    const auto root = fs::temp_directory_path(error);
    std::string path = (error ? fs::path("/tmp") : root).string() + "/cox-export-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) return fail(os::errno_error(errno, path));
    return Stage(path);
  }
  Stage(Stage&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Stage& operator=(Stage&&) = delete;
  ~Stage() {
    if (!path_.empty()) (void)os::remove_tree(path_);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit Stage(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

/// "demo-logs-202611260215", as the original names it.
std::string archive_name(const std::string& cluster) {
  auto minute = render_utc(os::SystemClock().now().value).substr(0, 16);
  std::erase_if(minute, [](char c) { return c < '0' || c > '9'; });
  return cluster + "-logs-" + minute;
}

Result<void> write_plain(const std::string& path, const std::string& text) {
  const os::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return fail(os::errno_error(errno, path));
  return os::write_all(file.get(), text);
}

Result<void> write_logs(const cluster::Record& record, const LogFilter& filter,
                        const LogQuery& times, const std::string& directory) {
  for (const auto& stream : log_streams_of(record)) {
    if (!filter.lets(stream)) continue;
    const auto entries = read_log(stream);
    // A node may go, its log with it, while the others are read.
    if (!entries && entries.error().code == Errc::not_found) continue;
    if (!entries) return fail(entries.error());
    const auto page = select_page(*entries, times);
    if (!page) return fail(page.error());
    std::string text;
    for (const auto index : page->shown) {
      text += render_utc((*entries)[index].at_ms) + " " + (*entries)[index].text + "\n";
    }
    if (auto written = write_plain(directory + "/" + stream.name, text); !written) return written;
  }
  return {};
}

/// Packs `name`, a directory in the stage, into `target`, which is there whole or not at all.
Result<void> pack(const Stage& stage, const std::string& name, const std::string& target) {
  const auto part = target + ".part";
  const auto packed =
      os::run({"tar", "-czf", part, "--owner=0", "--group=0", "-C", stage.path(), name});
  if (packed && packed->exit_code == 0 && std::rename(part.c_str(), target.c_str()) == 0) return {};
  const auto fault = os::errno_error(errno, target);
  (void)::unlink(part.c_str());
  if (!packed) return fail(packed.error());
  if (packed->exit_code == 0) return fail(fault);
  return fail(Errc::internal, "{}: {}", target, packed->err.substr(0, packed->err.find('\n')));
}

Result<void> export_logs(const cluster::Record& record, const LogFilter& filter,
                         const LogQuery& times, const std::string& target) {
  const auto stage = Stage::make();
  if (!stage) return fail(stage.error());
  const auto name = archive_name(record.name);
  const auto directory = stage->path() + "/" + name;
  if (auto made = os::make_directories(directory + "/cloudwatch-logs"); !made) return made;
  const auto events = stack_events_page(record, history_of(record), "", times.limit);
  if (!events) return fail(events.error());
  if (auto written = write_plain(directory + "/" + record.name + "-cfn-events", pretty(*events));
      !written) {
    return written;
  }
  if (auto logs = write_logs(record, filter, times, directory + "/cloudwatch-logs"); !logs) {
    return logs;
  }
  return pack(*stage, name, target);
}

int export_cluster_logs(const Words& words, Streams streams) {
  if (const auto fault = fault_of(words); !fault.empty()) return fail_with(streams, fault);
  const auto filter = parse_log_filter(words.all("--filters"));
  if (!filter) return fail_with(streams, filter.error().message);
  LogQuery times;
  times.limit = std::string::npos;
  if (auto set = set_times(times, words.get("--start-time"), words.get("--end-time")); !set) {
    return fail_with(streams, set.error().message);
  }
  const auto record = find_record(words);
  if (!record) return fail_with(streams, no_such_cluster(words.get("--cluster-name")));
  const auto named = words.get("--output-file");
  std::error_code error;
  const auto target =
      fs::absolute(named.empty() ? archive_name(record->name) + ".tar.gz" : named, error).string();
  if (error || fs::is_directory(target, error)) {
    return fail_with(streams, fmt::format("{}: this is no file", named));
  }
  if (auto made = export_logs(*record, *filter, times, target); !made) {
    return fail_with(streams, made.error().message);
  }
  if (named.empty()) return say(streams, {{"url", "file://" + target}});
  return say(streams, {{"path", target}});
}

}  // namespace

VerbEntry export_logs_verb() {
  return {make_verb("export-cluster-logs",
                    "Packs a cluster's logs and events into an archive (tar.gz).",
                    {name_option(),
                     {"--output-file",
                      {},
                      Takes::one,
                      false,
                      "where to; else CLUSTER-logs-TIME.tar.gz in the current directory"},
                     log_filters_option(),
                     start_time_option(),
                     end_time_option(),
                     {"--bucket", {}, Takes::one, false, "accepted: logs stay on this host"},
                     {"--bucket-prefix", {}, Takes::one, false, "accepted"},
                     {"--keep-s3-objects", {}, Takes::one, false}},
                    "  pcluster export-cluster-logs -n laptop --output-file laptop-logs.tar.gz\n"),
          export_cluster_logs};
}

}  // namespace cox::cli
