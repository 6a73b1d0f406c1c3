#include <boost/json.hpp>
#include <ostream>
#include <utility>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/program.hpp"
#include "runtime/base/text.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

// The variable of AWS's clients → our route's member.
constexpr std::pair<const char*, const char*> kVariables[] = {
    {"AWS_ACCESS_KEY_ID", "accessKeyId"},
    {"AWS_SECRET_ACCESS_KEY", "secretAccessKey"},
    {"AWS_DEFAULT_REGION", "region"},
    {"AWS_ENDPOINT_URL", "endpointUrl"},
    {"AWS_CA_BUNDLE", "caBundle"}};  // only where the cluster's own authority has to be trusted

}  // namespace

int run_credentials(const std::vector<std::string>& args, Streams streams) {
  CommonOptions common;
  std::vector<std::string> clusters;
  Program program(
      "cox credentials",
      "Prints what boto3 and the AWS CLI need to reach a cluster, as lines for a shell.", common);
  program.words(Program::Words::any, "cluster", clusters, "the cluster, as with --cluster");
  program.examples(
      "  eval \"$(cox credentials tutor2)\"\n"
      "  cox credentials tutor2 --json\n"
      "  aws batch describe-job-queues --endpoint-url \"$AWS_ENDPOINT_URL\"\n"
      "      (boto3 from 1.28 and the AWS CLI from 2.13 or 1.29 read the variable themselves)\n");
  if (const int status = program.parse(args, streams); status >= 0) return status;
  if (clusters.size() > 1 || (!clusters.empty() && !common.cluster.empty())) {
    streams.err << "cox credentials: error: one cluster at a time\n";
    return kMisused;
  }

  auto connection = Connection::open(clusters.empty() ? common.cluster : clusters.front());
  const auto answer =
      connection ? connection->post("credentials", json::object{}) : fail(connection.error());
  if (!answer) {
    streams.err << "cox credentials: error: " << answer.error().message << '\n';
    return kFailed;
  }
  json::object shown;
  for (const auto& [variable, member] : kVariables) {
    if (!answer->as_object().contains(member)) continue;
    const auto value = text_of(answer->as_object(), member);
    shown[variable] = value;
    if (!common.json) {
      streams.out << "export " << variable << '=' << shell_quote(std::string_view(value)) << '\n';
    }
  }
  if (common.json) streams.out << json::serialize(shown) << '\n';
  return kDone;
}

}  // namespace cox::cli
