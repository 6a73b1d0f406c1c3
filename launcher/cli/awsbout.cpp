#include <unistd.h>

#include <boost/json.hpp>
#include <optional>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/job_items.hpp"
#include "launcher/cli/output.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

struct OutOptions {
  CommonOptions common;
  std::optional<int> head;
  std::optional<int> tail;
  bool stream = false;
  std::optional<int> stream_period;
  std::string ranks;
  std::optional<int> rank;
  bool only_out = false;
  bool only_err = false;
  bool tag = false;
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
  for (const auto& number : {options.head, options.tail, options.rank}) {
    if (number.value_or(0) < 0) return refuse("--head, --tail and --rank cannot be negative");
  }
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

/// "[3@ip-10-0-0-5 stderr] ", the rank in its colour.
std::string tag_of(const json::object& line, bool colour) {
  const bool ranked = line.contains("r");
  const auto tag = fmt::format("[{}@{} {}]", ranked ? std::to_string(int_of(line, "r")) : "-",
                               text_of(line, "h"), text_of(line, "s"));
  return (colour && ranked ? coloured_rank(int_of(line, "r"), tag) : tag) + " ";
}

int print_output(const OutOptions& options, Connection& connection, Streams streams) {
  bool any = false;
  const bool colour = options.tag && shows_colour(STDOUT_FILENO);
  const auto done = connection.lines(route_of(options), [&](std::string_view text) {
    boost::system::error_code error;
    const auto parsed = json::parse(text, error, {}, lenient());
    if (error || !parsed.is_object()) return true;
    const auto& line = parsed.get_object();
    if (line.contains("end")) return true;
    any = true;
    if (options.common.json) {
      streams.out << text << '\n';
    } else {
      streams.out << render_date(int_of(line, "t")) << ": "
                  << (options.tag ? tag_of(line, colour) : "") << text_of(line, "m") << '\n';
    }
    if (options.stream) streams.out.flush();
    return streams.out.good();
  });
  if (!done) {
    streams.out.flush();
    return complain(streams, "awsbout:print_output", "Error: " + done.error().message);
  }
  if (!any && !options.common.json) streams.out << "No events found.\n";
  return kDone;
}

int show(const OutOptions& options, Streams streams) {
  const auto refuse = [&](const std::string& text) {
    return complain(streams, "awsbout:show", text);
  };
  auto connection = Connection::open_complete(options.common.cluster);
  if (!connection) return refuse("Error: " + connection.error().message);
  const auto jobs = describe(*connection, {options.job_id});
  if (!jobs) {
    return refuse("Error getting details about the Job. Failed with exception: " +
                  jobs.error().message);
  }
  if (jobs->empty()) {
    return refuse(
        fmt::format("Error getting details about the Job ({}). Job not found.", options.job_id));
  }
  const auto& job = jobs->front();
  const bool multi_node = node_count_of(job) > 0;
  const bool by_rank = options.rank || !options.ranks.empty();
  if (is_parent(job) && !(by_rank && multi_node)) {
    return refuse(fmt::format("No output available for the Job ({}). Please ask for its children.",
                              options.job_id));
  }
  const auto* container = object_of(job, "container");
  const bool has_log = multi_node || (container != nullptr && container->contains("logStreamName"));
  const auto status = text_of(job, "status");
  const bool over = status == "SUCCEEDED" || status == "FAILED";
  if (!has_log && (over || !options.stream)) {
    if (options.common.json) return kDone;
    streams.out << fmt::format("No log available for the Job ({}) in status ({}).\n",
                               options.job_id, status);
    return kDone;
  }
  return print_output(options, *connection, streams);
}

}  // namespace

int run_awsbout(const std::vector<std::string>& args, Streams streams) {
  OutOptions options;
  std::vector<std::string> words;
  Program program("awsbout", "Shows what a job wrote.", options.common);
  const auto added = [](const char* name) {
    return OptionNames{.name = name, .shorts = {}, .added = true};
  };
  program.option({"--head", {"-hd"}}, "HEAD", options.head, "only the first HEAD lines");
  program.option({"--tail", {"-t"}}, "TAIL", options.tail, "only the last TAIL lines");
  program.flag({"--stream", {"-s"}}, options.stream, "follow until the job ends");
  program.option({"--stream-period", {"-sp"}}, "SECONDS", options.stream_period,
                 "taken as the original does; nothing polls here");
  program.option(added("--rank"), "RANK", options.rank, "what one MPI rank wrote");
  program.option(added("--ranks"), "RANKS", options.ranks, "what several wrote, by time: 0,2-4");
  program.flag(added("--stdout"), options.only_out, "only the standard output");
  program.flag(added("--stderr"), options.only_err, "only the standard error");
  program.flag(added("--tag"), options.tag, "put [rank@host stream] before each line");
  program.words(Program::Words::one, "job_id", words,
                "the job, a child of an array (ID:3) or a node (ID#0)");
  program.examples(
      "  awsbout ID#0                      what the main node wrote\n"
      "  awsbout -s ID#0                   as it comes, until the job ends\n"
      "  awsbout ID --rank 3 -t 10         the last ten lines of rank 3\n"
      "  awsbout ID --ranks 0,2-4 --tag    several ranks, told apart\n"
      "  awsbout ID --rank 0 --stderr      what rank 0 wrote to its standard error\n");
  if (const int status = program.parse(args, streams); status >= 0) return status;
  options.job_id = short_id(words.front());
  if (const auto good = check(options); !good) {
    return complain(streams, "awsbout:check", good.error().message);
  }
  return show(options, streams);
}

}  // namespace cox::cli
