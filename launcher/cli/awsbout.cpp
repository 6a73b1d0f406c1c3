#include <unistd.h>

#include <CLI/CLI.hpp>
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

struct OutOptions {
  std::string cluster;
  std::optional<int> head;
  std::optional<int> tail;
  bool stream = false;
  std::optional<int> stream_period;
  std::string ranks;
  std::optional<int> rank;
  bool only_out = false;
  bool only_err = false;
  bool tag = false;
  bool json = false;
  std::string job_id;
};

Result<void> check(const OutOptions& options) {
  const auto refuse = [](const char* text) {
    return fail(Errc::invalid_argument, "Parameters validation error: {}", text);
  };
  if (options.head && options.tail)
    return refuse("please specify --head or --tail parameter, not both");
  if (options.head && options.stream)
    return refuse("--head parameter cannot be set with the --stream");
  if (options.stream_period && !options.stream) {
    return refuse("--stream-period can be used only with --stream parameter");
  }
  if (options.rank && !options.ranks.empty())
    return refuse("please specify --rank or --ranks, not both");
  if (options.only_out && options.only_err)
    return refuse("please specify --stdout or --stderr, not both");
  return {};
}

std::string route_of(const OutOptions& options) {
  auto route = "output?job=" + encoded(options.job_id);
  if (options.rank) route += fmt::format("&ranks={}", *options.rank);
  if (!options.ranks.empty()) route += "&ranks=" + encoded(options.ranks);
  if (options.only_out) route += "&stream=stdout";
  if (options.only_err) route += "&stream=stderr";
  if (options.head) route += fmt::format("&head={}", *options.head);
  if (options.tail) route += fmt::format("&tail={}", *options.tail);
  if (options.stream) route += "&follow=1";
  return route;
}

std::string tag_of(const json::object& line) {
  const auto where = text_of(line, "h");
  const auto* rank = line.if_contains("r");
  return fmt::format("[{}@{} {}] ", rank != nullptr ? std::to_string(int_of(line, "r")) : "-",
                     where, text_of(line, "s"));
}

json::parse_options lenient() {
  json::parse_options options;
  options.allow_invalid_utf8 = true;
  return options;
}

int print_output(const OutOptions& options, Connection& connection, Streams streams) {
  bool any = false;
  const bool interactive = options.stream;
  const auto done = connection.lines(route_of(options), [&](std::string_view text) {
    boost::system::error_code error;
    const auto parsed = json::parse(text, error, {}, lenient());
    if (error || !parsed.is_object()) return true;
    const auto& line = parsed.get_object();
    if (line.contains("end")) return true;
    any = true;
    if (options.json) {
      streams.out << text << '\n';
    } else {
      streams.out << render_date(int_of(line, "t")) << ": " << (options.tag ? tag_of(line) : "")
                  << text_of(line, "m") << '\n';
    }
    if (interactive) streams.out.flush();
    return streams.out.good();
  });
  if (!done) {
    streams.err << "Error: " << done.error().message << '\n';
    return kFailed;
  }
  if (!any && !options.json) streams.out << "No events found.\n";
  return kDone;
}

int show(const OutOptions& options, Streams streams) {
  auto connection = Connection::open(options.cluster);
  if (!connection) {
    streams.err << "Error: " << connection.error().message << '\n';
    return kFailed;
  }
  const auto answer =
      connection->batch("describejobs", json::object{{"jobs", json::array{options.job_id}}});
  if (!answer) {
    streams.err << "Error getting details about the Job. Failed with exception: "
                << answer.error().message << '\n';
    return kFailed;
  }
  const auto& jobs = answer->as_object().at("jobs").as_array();
  if (jobs.empty()) {
    streams.err << fmt::format("Error getting details about the Job ({}). Job not found.\n",
                               options.job_id);
    return kFailed;
  }
  const auto& job = jobs.front().as_object();
  const auto* array = object_of(job, "arrayProperties");
  const bool array_parent = array != nullptr && array->contains("size");
  const bool multi_node = job.contains("nodeProperties");
  const bool by_rank = options.rank || !options.ranks.empty();
  if ((array_parent || multi_node) && !(by_rank && multi_node)) {
    streams.err << fmt::format(
        "No output available for the Job ({}). Please ask for its children.\n", options.job_id);
    return kFailed;
  }
  const auto* container = object_of(job, "container");
  const bool has_log = multi_node || (container != nullptr && container->contains("logStreamName"));
  const auto status = text_of(job, "status");
  const bool over = status == "SUCCEEDED" || status == "FAILED";
  if (!has_log && (over || !options.stream)) {
    streams.out << fmt::format("No log available for the Job ({}) in status ({}).\n",
                               options.job_id, status);
    return kDone;
  }
  return print_output(options, *connection, streams);
}

}  // namespace

int run_awsbout(const std::vector<std::string>& args, Streams streams) {
  exit_quietly_on_interrupt();
  OutOptions options;
  std::string log_level;
  CLI::App app("Shows what a job wrote.", "awsbout");
  app.add_option("--cluster", options.cluster, "-c: the cluster");
  app.add_option("--head", options.head, "-hd: only the first lines")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--tail", options.tail, "-t: only the last lines")->check(CLI::NonNegativeNumber);
  app.add_flag("--stream", options.stream, "-s: follow until the job ends");
  app.add_option("--stream-period", options.stream_period,
                 "-sp: taken for the original's sake; nothing polls here");
  app.add_option("--rank", options.rank, "what one MPI rank wrote")->check(CLI::NonNegativeNumber);
  app.add_option("--ranks", options.ranks, "what several ranks wrote, by time: 0,2-4");
  app.add_flag("--stdout", options.only_out, "only the standard output");
  app.add_flag("--stderr", options.only_err, "only the standard error");
  app.add_flag("--tag", options.tag, "put [rank@host stream] before each line");
  app.add_flag("--json", options.json, "print a JSON object a line");
  app.add_option("--log-level", log_level)->group("");
  app.add_option("job_id", options.job_id, "the job, a child of an array (ID:3) or a node (ID#0)")
      ->required();
  app.footer(
      "Examples:\n  awsbout ID#0                      what the main node wrote\n  awsbout -s ID#0  "
      "                 as it comes, until the job ends\n"
      "  awsbout ID --rank 3 -t 10         the last ten lines of rank 3\n  awsbout ID --ranks "
      "0,2-4 --tag    several ranks, told apart\n");
  auto names = common_options();
  for (const auto& option : std::vector<OptionNames>{{"--head", {"-hd"}, true},
                                                     {"--tail", {"-t"}, true},
                                                     {"--stream", {"-s"}, false},
                                                     {"--stream-period", {"-sp"}, true},
                                                     {"--rank", {}, true},
                                                     {"--ranks", {}, true},
                                                     {"--stdout", {}, false},
                                                     {"--stderr", {}, false},
                                                     {"--tag", {}, false},
                                                     {"--json", {}, false}}) {
    names.push_back(option);
  }
  if (const int status = parse(app, args, names, false, streams); status >= 0) return status;
  if (const auto good = check(options); !good) {
    streams.err << good.error().message << '\n';
    return kFailed;
  }
  return show(options, streams);
}

}  // namespace cox::cli
