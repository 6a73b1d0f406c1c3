#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <ostream>
#include <utility>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "runtime/base/text.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

// The variable of AWS's clients → our route's member.
constexpr std::pair<const char*, const char*> kVariables[] = {
    {"AWS_ACCESS_KEY_ID", "accessKeyId"},
    {"AWS_SECRET_ACCESS_KEY", "secretAccessKey"},
    {"AWS_DEFAULT_REGION", "region"},
    {"AWS_ENDPOINT_URL", "endpointUrl"}};

}  // namespace

int run_credentials(const std::vector<std::string>& args, Streams streams) {
  std::string cluster;
  bool as_json = false;
  CLI::App app("Prints what boto3 and the AWS CLI need to reach a cluster, as lines for a shell.",
               "cox credentials");
  app.add_flag("--json", as_json, "print JSON");
  app.add_option("cluster", cluster,
                 "the cluster; that of ~/.parallelcluster/awsbatch-cli.cfg if omitted");
  app.footer(
      "Examples:\n"
      "  eval \"$(cox credentials tutor2)\"\n"
      "  aws batch describe-job-queues --endpoint-url \"$AWS_ENDPOINT_URL\"\n"
      "\n"
      "boto3 before 1.28 and the AWS CLI before 2.13 (and 1.29) do not read AWS_ENDPOINT_URL:\n"
      "pass it as endpoint_url, or as --endpoint-url.\n");
  const std::vector<OptionNames> names{{"--json", {}, false}, {"--help", {"-h"}, false}};
  if (const int status = parse(app, args, names, false, streams); status >= 0) return status;

  auto connection = Connection::open(cluster);
  const auto answer =
      connection ? connection->post("credentials", json::object{}) : fail(connection.error());
  if (!answer) {
    streams.err << "cox: error: " << answer.error().message << '\n';
    return kFailed;
  }
  json::object shown;
  for (const auto& [variable, member] : kVariables) {
    const auto value = text_of(answer->as_object(), member);
    shown[variable] = value;
    if (!as_json) {
      streams.out << "export " << variable << '=' << shell_quote(std::string_view(value)) << '\n';
    }
  }
  if (as_json) streams.out << json::serialize(shown) << '\n';
  return kDone;
}

}  // namespace cox::cli
