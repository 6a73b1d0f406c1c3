#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <sstream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/pcluster_file.hpp"
#include "launcher/cli/pcluster_json.hpp"
#include "launcher/cli/pcluster_ssh.hpp"
#include "launcher/cli/pcluster_watch.hpp"
#include "launcher/cli/pcluster_words.hpp"

namespace cox::cli {
namespace {

namespace json = boost::json;
using Takes = VerbOption::Takes;

struct Said {
  int status = -1;
  std::string out;
  std::string err;
  Words words;
};

Said read(const std::vector<std::string>& args, Verb verb) {
  std::ostringstream out;
  std::ostringstream err;
  Said said;
  said.status = read_words(verb, args, said.words, {out, err});
  said.out = out.str();
  said.err = err.str();
  return said;
}

Verb verb() {
  return {"make",
          "Makes it.",
          {{"--cluster-name", {"-n"}, Takes::one, true, "its name"},
           {"--nowait", {"-nw"}, Takes::nothing, false, "go on"},
           {"--cluster-status", {}, Takes::many, false, "which"},
           {"--level", {}, Takes::one, false, "how", {"INFO", "ERROR"}}},
          "",
          "  make -n x\n"};
}

TEST(Words, AreReadAsArgparseDoes) {
  for (const auto& args : std::vector<std::vector<std::string>>{{"-n", "demo", "-nw"},
                                                                {"--cluster-name=demo", "--nowait"},
                                                                {"-nw", "-ndemo"},
                                                                {"--cluster-n", "demo", "--now"}}) {
    const auto said = read(args, verb());
    EXPECT_EQ(said.status, -1) << said.err << said.out;
    EXPECT_EQ(said.words.get("--cluster-name"), "demo");
    EXPECT_TRUE(said.words.has("--nowait"));
    EXPECT_FALSE(said.words.has("--level"));
  }
  const auto listed = read({"--cluster-status", "A", "B", "-n", "x"}, verb());
  EXPECT_EQ(listed.status, -1) << listed.err;
  EXPECT_EQ(listed.words.all("--cluster-status"), (std::vector<std::string>{"A", "B"}));
}

TEST(Words, ThatAreWrongGiveUsageAndTwo) {
  for (const auto& args : std::vector<std::vector<std::string>>{
           {}, {"-n"}, {"-n", "x", "--level", "LOUD"}, {"-n", "x", "--cluster"}}) {
    const auto said = read(args, verb());
    EXPECT_EQ(said.status, 2);
    EXPECT_EQ(said.err.find("usage: pcluster make "), 0u) << said.err;
    EXPECT_NE(said.err.find("\npcluster make: error: "), std::string::npos) << said.err;
    EXPECT_EQ(said.out, "");
  }
}

TEST(Words, ThatAreUnknownGiveUsageOnStdoutAndOne) {
  const auto option = read({"-n", "x", "--nope"}, verb());
  EXPECT_EQ(option.status, 1);
  EXPECT_NE(option.out.find("\nInvalid arguments ['--nope']\n"), std::string::npos) << option.out;
  const auto word = read({"-n", "x", "more", "words"}, verb());
  EXPECT_EQ(word.status, 1);
  EXPECT_NE(word.out.find("\nInvalid arguments ['more', 'words']\n"), std::string::npos)
      << word.out;
  EXPECT_EQ(word.err, "");
}

TEST(Words, AskForHelp) {
  const auto said = read({"--help"}, verb());
  EXPECT_EQ(said.status, 0);
  EXPECT_NE(said.out.find("-nw: go on"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("Examples:\n  make -n x"), std::string::npos) << said.out;
}

TEST(SshWords, AreTakenApartAsSshDoes) {
  const auto words = [](std::vector<std::string> args) { return parse_ssh_words(args).value(); };
  auto wanted = SshWords{"tutor2", true, false, false, false, {}, {}};
  EXPECT_EQ(words({"tutor2"}), wanted);
  wanted.names_key = true;
  wanted.options = {"-i", "C:/Users/me/key.pem"};
  EXPECT_EQ(words({"tutor2", "-i", "C:/Users/me/key.pem"}), wanted);
  EXPECT_EQ(words({"-i", "C:/Users/me/key.pem", "tutor2"}), wanted);
  wanted.command = {"ls", "-l", "-n", "x"};
  EXPECT_EQ(words({"tutor2", "-i", "C:/Users/me/key.pem", "ls", "-l", "-n", "x"}), wanted);
  wanted.version2 = false;
  EXPECT_EQ(words({"-n", "tutor2", "-i", "C:/Users/me/key.pem", "ls", "-l", "-n", "x"}), wanted);
  EXPECT_EQ(words({"tutor2", "-p22", "-tt", "-o", "A=b", "--", "-x"}).command,
            std::vector<std::string>{"-x"});
  EXPECT_TRUE(words({"tutor2", "-d"}).dry_run);
  EXPECT_TRUE(words({"-n", "tutor2", "--dryrun", "true"}).dry_run);
  EXPECT_FALSE(words({"-n", "tutor2", "--dryrun", "false", "ls"}).dry_run);
  for (const auto& bad : std::vector<std::vector<std::string>>{
           {}, {"-i"}, {"-i", "key"}, {"tutor2", "-p"}, {"tutor2", "--frob"}, {"-n"}}) {
    EXPECT_FALSE(parse_ssh_words(bad));
  }
}

TEST(SshTemplate, IsFilledWithTheNamesThatItMayUse) {
  const std::map<std::string, std::string> values{
      {"CFN_USER", "ec2-user"}, {"MASTER_IP", "10.0.0.5"}, {"ARGS", "uptime"}};
  EXPECT_EQ(fill_template("ssh -t {CFN_USER}@{MASTER_IP} {ARGS}", values).value(),
            "ssh -t ec2-user@10.0.0.5 uptime");
  EXPECT_EQ(fill_template("ssh head", values).value(), "ssh head");
  for (const auto* text : {"ssh {USER}@{MASTER_IP}", "ssh {MASTER_IP", "ssh {}"}) {
    const auto filled = fill_template(text, values);
    ASSERT_FALSE(filled) << text;
    EXPECT_NE(filled.error().message.find("{CFN_USER}"), std::string::npos) << text;
  }
}

TEST(Pretty, IsPythonsIndentOfTwo) {
  EXPECT_EQ(pretty(json::parse(R"({"a":[],"b":{"c":[1,"x"]},"d":{},"e":null})")),
            "{\n  \"a\": [],\n  \"b\": {\n    \"c\": [\n      1,\n      \"x\"\n    ]\n  },\n"
            "  \"d\": {},\n  \"e\": null\n}\n");
}

TEST(ValidationMessages, HaveOneEntryForTheSchemaAsMarshmallowPrintsIt) {
  const auto schema = [](const char* path, const char* text) {
    return config::Finding{config::Level::error, "ConfigSchemaValidator", path, {}, text};
  };
  const auto list =
      validation_messages({schema("HeadNode.Networking", "Missing data for required field."),
                           {config::Level::warning, "SomeValidator", "X", {}, "is odd"},
                           schema("Scheduling.Foo", "Unknown field."),
                           schema("Scheduling.AwsBatchQueues[0].Name", "It's null."),
                           schema("Scheduling.AwsBatchQueues", "Length must be 1."),
                           schema("Tags", "Not a valid list.")});
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(json::serialize(list[0].as_object().at("type")), "\"ConfigSchemaValidator\"");
  EXPECT_EQ(list[0].as_object().at("message").as_string(),
            "[('HeadNode', {'Networking': ['Missing data for required field.']}), "
            "('Scheduling', {'Foo': ['Unknown field.'], 'AwsBatchQueues': {'_schema': ['Length "
            "must be 1.'], 0: {'Name': [\"It's null.\"]}}}), ('Tags', ['Not a valid list.'])]");
  EXPECT_EQ(json::serialize(list[1]),
            R"({"level":"WARNING","type":"SomeValidator","message":"is odd"})");
}

TEST(ClusterDescription, HasTheShapeOfVersion3) {
  cluster::Record record;
  record.name = "demo";
  record.status = "CREATE_COMPLETE";
  record.version = "0.1.0";
  record.region = "us-west-2";
  record.created_at = Millis{1'626'312'122'655};
  record.updated_at = Millis{1'626'312'123'000};
  const auto api = json::parse(
      R"({"fleet":"ENABLED","headNode":{"id":"i-1","instanceType":"t3.micro","address":"10.0.0.10",
          "launchTime":1626312122700,"state":"running"}})");
  config::ClusterConfig config;
  config.tags["team"] = "hpc";
  const auto shown = cluster_description(record, api, &config);
  EXPECT_EQ(shown.at("creationTime").as_string(), "2021-07-15T01:22:02.655Z");
  EXPECT_EQ(shown.at("headNode").as_object().at("launchTime").as_string(),
            "2021-07-15T01:22:02.700Z");
  EXPECT_EQ(shown.at("computeFleetStatus").as_string(), "ENABLED");
  EXPECT_EQ(shown.at("cloudFormationStackStatus").as_string(), "CREATE_COMPLETE");
  EXPECT_EQ(shown.at("tags").as_array().size(), 3u);
  EXPECT_FALSE(shown.contains("failures"));
  record.scheduler = "slurm";
  EXPECT_EQ(cluster_description(record, api, &config).at("computeFleetStatus").as_string(),
            "RUNNING");
  record.status = "CREATE_FAILED";
  record.status_reason = "no node";
  const auto failed = cluster_description(record, {}, nullptr);
  EXPECT_FALSE(failed.contains("headNode"));
  EXPECT_EQ(failed.at("computeFleetStatus").as_string(), "UNKNOWN");
  EXPECT_EQ(json::serialize(failed.at("failures")),
            R"([{"failureCode":"ClusterCreationFailure","failureReason":"no node"}])");
}

TEST(Fleet, IsNamedByTheFilesScheduler) {
  cluster::Record record;
  EXPECT_EQ(fleet_status(record, "DISABLED"), "DISABLED");
  EXPECT_EQ(wanted_fleet(record, "ENABLED"), "ENABLED");
  EXPECT_EQ(wanted_fleet(record, "DISABLED"), "DISABLED");
  EXPECT_EQ(wanted_fleet(record, "STOP_REQUESTED").error().message,
            "the status of a compute fleet with scheduler awsbatch can be set to ENABLED or "
            "DISABLED, not to STOP_REQUESTED");
  record.scheduler = "slurm";
  EXPECT_EQ(fleet_status(record, "ENABLED"), "RUNNING");
  EXPECT_EQ(fleet_status(record, "DISABLED"), "STOPPED");
  EXPECT_EQ(wanted_fleet(record, "START_REQUESTED"), "ENABLED");
  EXPECT_EQ(wanted_fleet(record, "STOP_REQUESTED"), "DISABLED");
  EXPECT_EQ(wanted_fleet(record, "DISABLED").error().message,
            "the status of a compute fleet with scheduler slurm can be set to START_REQUESTED or "
            "STOP_REQUESTED, not to DISABLED");
}

TEST(Overcommit, IsSaidWhereTheFileWantsMoreThanTheMachineHas) {
  config::ClusterConfig config;
  config.queues.push_back({"q", false, {{"r", {"c4.large"}, 0, 0, 6, {}}}});
  EXPECT_FALSE(overcommit(config, 6));
  const auto said = overcommit(config, 2);
  ASSERT_TRUE(said);
  EXPECT_EQ(said->level, config::Level::info);
  EXPECT_EQ(said->text,
            "the cluster may grow to 6 vCPUs and this machine has 2: nodes will share processors, "
            "so programs run correctly but slower than on 6 real ones");
}

TEST(ParseEvent, ReadsALineOfTheHead) {
  const auto event =
      parse_event(R"({"at":1,"resource":"HeadNode","state":"CREATE_COMPLETE","reason":""})");
  ASSERT_TRUE(event);
  EXPECT_EQ(*event, (ResourceEvent{"HeadNode", "CREATE_COMPLETE", "", 1}));
  EXPECT_FALSE(parse_event("{"));
  EXPECT_FALSE(parse_event("[]"));
}

TEST(Pcluster, NamesTheNearestVerbAndWhatItDoesNotServe) {
  const auto run = [](std::vector<std::string> args) {
    std::ostringstream out;
    std::ostringstream err;
    const int status = run_pcluster(args, {out, err});
    return std::tuple(status, out.str(), err.str());
  };
  EXPECT_EQ(run({"create-clutser"}),
            std::tuple(2, "",
                       "usage: pcluster VERB [options]\npcluster: error: there is no verb "
                       "create-clutser; did you mean create-cluster?\n"));
  EXPECT_EQ(run({"build-image"}),
            std::tuple(1, "", "ERROR: pcluster build-image is not served by this version\n"));
  EXPECT_EQ(run({"version"}), std::tuple(0, "{\n  \"version\": \"0.1.0\"\n}\n", ""));
  EXPECT_EQ(std::get<0>(run({})), 2);
  EXPECT_EQ(std::get<0>(run({"--help"})), 0);
}

TEST(FailureCode, IsFoundByKnownWords) {
  EXPECT_EQ(failure_code("OnNodeStart of the head node: /a.sh exited with code 3: \"x\""),
            "OnNodeStartExecutionFailure");
  EXPECT_EQ(failure_code("OnNodeConfigured of the head node: s3://b/a.sh could not be fetched: no"),
            "OnNodeConfiguredDownloadFailure");
  EXPECT_EQ(failure_code("OnNodeConfigured of the head node: /a.sh did not end within 60 s"),
            "OnNodeConfiguredFailure");
  EXPECT_EQ(failure_code("node ip-1 (i-1): OnNodeStart of a compute node: /a exited with code 1"),
            "StaticNodeBootstrapFailure");
  EXPECT_EQ(failure_code("no agent dialled home"), "ClusterCreationFailure");
}

}  // namespace
}  // namespace cox::cli
