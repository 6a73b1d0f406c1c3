#include "launcher/cli/pcluster_answers.hpp"

#include <boost/json.hpp>
#include <ostream>

#include "launcher/cli/client_log.hpp"
#include "launcher/cli/pcluster_json.hpp"
#include "launcher/cluster/lifecycle.hpp"
#include "runtime/base/text.hpp"

namespace cox::cli {

namespace json = boost::json;

int say(Streams streams, const json::object& object, int status) {
  streams.out << pretty(object);
  return status;
}

int refuse(Streams streams, const std::string& message) {
  client_log(LogLevel::error, "pcluster:v3", message);
  return say(streams, {{"message", message}}, kFailed);
}

int bad_request(Streams streams, const std::string& text) {
  return refuse(streams, "Bad Request: " + text);
}

std::string no_such_cluster(const std::string& name) {
  return fmt::format(
      "Cluster '{}' does not exist or belongs to an incompatible ParallelCluster major version.",
      name);
}

std::optional<bool> boolean(const std::string& word) {
  if (word == "true" || word == "True" || word == "TRUE") return true;
  if (word == "false" || word == "False" || word == "FALSE") return false;
  return std::nullopt;
}

std::string fault_of(const Words& words) {
  for (const auto* option : {"--dryrun", "--rollback-on-failure", "--force-update",
                             "--start-from-head", "--keep-s3-objects"}) {
    if (words.has(option) && !boolean(words.get(option))) {
      return fmt::format("expected 'boolean' value for {}, not {}", option, words.get(option));
    }
  }
  if (words.has("--cluster-name")) {
    if (auto good = cluster::check_name(words.get("--cluster-name")); !good) {
      return "--cluster-name: " + good.error().message;
    }
  }
  return {};
}

std::optional<cluster::Record> find_record(const Words& words) {
  auto record = cluster::settle(words.get("--cluster-name"));
  if (!record) record = cluster::current_record(words.get("--cluster-name"));
  return record ? std::optional(*record) : std::nullopt;
}

VerbOption name_option() {
  return {"--cluster-name", {"-n"}, VerbOption::Takes::one, true, "name of the cluster"};
}

Verb make_verb(const char* name, const char* summary, std::vector<VerbOption> options,
               const char* examples) {
  options.push_back(
      {"--region", {"-r"}, VerbOption::Takes::one, false, "AWS region that the cluster shows"});
  options.push_back({"--debug", {}, VerbOption::Takes::nothing, false, "accepted"});
  options.push_back({"--query",
                     {},
                     VerbOption::Takes::one,
                     false,
                     "a JMESPath expression: what to print of the answer"});
  return {name, summary, std::move(options), "", examples};
}

}  // namespace cox::cli
