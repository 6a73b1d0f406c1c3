#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/api/fake_view.hpp"

/// SubmitJob: what becomes of a request, and what is said of a wrong one.
namespace cox::api {
namespace {

/// A body with the required members, a command, and more.
std::string body_with(const std::string& more,
                      const std::string& definition = "tutor-JobDefinition") {
  return fmt::format(R"({{"jobName":"hello","jobQueue":"tutor-queue","jobDefinition":"{}"{}{}}})",
                     definition, more.empty() ? "" : ",", more);
}

std::string with_command(const std::string& more) {
  return body_with(R"("containerOverrides":{"command":["true"]})" +
                   (more.empty() ? "" : "," + more));
}

std::string with_overrides(const std::string& overrides) {
  return body_with(R"("containerOverrides":{"command":["true"],)" + overrides + "}");
}

std::string multi_node(const std::string& overrides) {
  return body_with(R"("nodeOverrides":{)" + overrides + "}", "tutor-JobDefinitionMNP");
}

JobSpec accepted(const View& view, const std::string& body) {
  const auto outcome = handle(view, request_of("submitjob", body));
  const auto* submit = std::get_if<SubmitJob>(&outcome);
  EXPECT_NE(submit, nullptr) << std::get<Answer>(outcome).body;
  return submit == nullptr ? JobSpec{} : submit->spec;
}

/// The least that a submission says, as it is understood.
JobSpec plain() {
  JobSpec spec;
  spec.name = "hello";
  spec.queue = QueueName{"tutor-queue"};
  spec.definition = "tutor-JobDefinition:1";
  spec.command = {"true"};
  spec.vcpus = 1;
  spec.memory = MiB{512};
  spec.user = FakeView::asker();
  return spec;
}

FakeView with_array() {
  FakeView view;
  auto spec = spec_of({"true"});
  spec.array_size = 3;
  view.add("array", spec);
  view.add("other", spec_of({"true"}));
  return view;
}

struct AcceptedCase {
  const char* name;
  std::string body;
  void (*change)(JobSpec&);  ///< from plain()

  friend void PrintTo(const AcceptedCase& c, std::ostream* out) { *out << c.name; }
};

const AcceptedCase kAccepted[] = {
    {"the_least", with_command(""), [](JobSpec&) {}},
    {"what_awsbsub_sends_for_a_plain_job",
     with_overrides(R"("vcpus":2,"memory":300,"environment":[{"name":"A","value":"b=c"}]},)"
                    R"("dependsOn":[],"arrayProperties":{},"retryStrategy":{"attempts":1},)"
                    R"("timeout":{"attemptDurationSeconds":60)"),
     [](JobSpec& s) {
       s.vcpus = 2;
       s.memory = MiB{300};
       s.environment = {{"A", "b=c"}};
       s.timeout_s = 60;
     }},
    {"names_as_arns",
     R"({"jobName":"hello","jobQueue":"arn:aws:batch:eu-west-1:123456789012:job-queue/tutor-queue",)"
     R"("jobDefinition":"arn:aws:batch:eu-west-1:123456789012:job-definition/tutor-JobDefinition:1",)"
     R"("containerOverrides":{"command":["true"]}})",
     [](JobSpec&) {}},
    {"resource_requirements",
     with_overrides(R"("resourceRequirements":[{"type":"VCPU","value":"3"},)"
                    R"({"type":"MEMORY","value":"1024"}])"),
     [](JobSpec& s) {
       s.vcpus = 3;
       s.memory = MiB{1024};
       s.cpu_and_memory_legacy = false;
     }},
    {"the_ends_of_the_limits",
     with_overrides(R"("memory":4},"arrayProperties":{"size":10000},)"
                    R"("retryStrategy":{"attempts":10},"timeout":{"attemptDurationSeconds":60)"),
     [](JobSpec& s) {
       s.memory = MiB{4};
       s.array_size = 10'000;
       s.attempts = 10;
       s.timeout_s = 60;
     }},
    {"dependencies_of_each_kind",
     with_command(R"("arrayProperties":{"size":3},"dependsOn":[{"jobId":"other"},)"
                  R"({"type":"SEQUENTIAL"},{"jobId":"array","type":"N_TO_N"}])"),
     [](JobSpec& s) {
       s.array_size = 3;
       s.depends_on = {{JobId{"other"}, DependencyKind::whole},
                       {JobId{}, DependencyKind::sequential},
                       {JobId{"array"}, DependencyKind::n_to_n}};
     }},
    {"a_sequential_dependency_on_a_job_as_a_plain_one",
     with_command(R"("dependsOn":[{"jobId":"other","type":"SEQUENTIAL"}])"),
     [](JobSpec& s) {
       s.depends_on = {{JobId{"other"}, DependencyKind::whole}};
     }},
    {"nodes",
     multi_node(R"("numNodes":3,"nodePropertyOverrides":[{"targetNodes":"0:",)"
                R"("containerOverrides":{"command":["true"],"vcpus":2,"memory":64}}])"),
     [](JobSpec& s) {
       s.definition = "tutor-JobDefinitionMNP:1";
       s.nodes = 3;
       s.vcpus = 2;
       s.memory = MiB{64};
     }},
    {"a_range_up_to_the_last_node",
     multi_node(R"("numNodes":3,"nodePropertyOverrides":[{"targetNodes":"0:2",)"
                R"("containerOverrides":{"command":["true"]}}])"),
     [](JobSpec& s) {
       s.definition = "tutor-JobDefinitionMNP:1";
       s.nodes = 3;
     }},
};

class Accepted : public testing::TestWithParam<AcceptedCase> {};

TEST_P(Accepted, IsUnderstood) {
  auto expected = plain();
  GetParam().change(expected);

  EXPECT_EQ(accepted(with_array(), GetParam().body), expected);
}

INSTANTIATE_TEST_SUITE_P(, Accepted, testing::ValuesIn(kAccepted),
                         [](const auto& test) { return test.param.name; });

TEST(Submission, TakesOurOwnMembers) {
  const auto hash = std::string(64, 'a');
  const auto spec = accepted(
      FakeView(),
      with_command(R"("coxswain":{"slotsPerNode":2,"files":[{"name":"job.sh","sha256":")" + hash +
                   R"(","size":12,"mode":493}],"mpi":{"ranksPerNode":3,"mapBy":"core"}})"));

  auto expected = plain();
  expected.slots_per_node = 2;
  expected.files = {{"job.sh", hash, 12, 0755}};
  expected.mpi = MpiRun{3, "core", ""};
  EXPECT_EQ(spec, expected);
}

std::string dependencies(int count) {
  std::string list;
  for (int i = 0; i < count; ++i) list += (i > 0 ? "," : "") + std::string(R"({"jobId":"other"})");
  return with_command(R"("dependsOn":[)" + list + "]");
}

struct RefusedCase {
  const char* name;
  std::string body;
  const char* message;

  friend void PrintTo(const RefusedCase& c, std::ostream* out) { *out << c.name; }
};

const RefusedCase kRefused[] = {
    {"no_name", R"({"jobQueue":"tutor-queue","jobDefinition":"tutor-JobDefinition"})",
     "jobName must not be empty"},
    {"an_empty_name", R"({"jobName":"","jobQueue":"q","jobDefinition":"d"})",
     "jobName must not be empty"},
    {"a_name_of_another_type", R"({"jobName":7,"jobQueue":"q","jobDefinition":"d"})",
     "jobName must be a string"},
    {"a_name_with_a_blank", R"({"jobName":"a b","jobQueue":"q","jobDefinition":"d"})",
     "Job name should match valid pattern"},
    {"a_name_that_begins_with_a_dash", R"({"jobName":"-a","jobQueue":"q","jobDefinition":"d"})",
     "Job name should match valid pattern"},
    {"a_long_name",
     R"({"jobName":")" + std::string(129, 'a') + R"(","jobQueue":"q","jobDefinition":"d"})",
     "Job name should match valid pattern"},
    {"no_queue", R"({"jobName":"a","jobDefinition":"d"})", "jobQueue must not be empty"},
    {"an_unknown_queue", R"({"jobName":"a","jobQueue":"q","jobDefinition":"tutor-JobDefinition"})",
     "JobQueue q not found."},
    {"no_definition", R"({"jobName":"a","jobQueue":"tutor-queue"})",
     "jobDefinition must not be empty"},
    {"an_unknown_definition", body_with("", "d:1"),
     "JobDefinition name d:1 does not exist or is not in ACTIVE status"},
    {"an_unknown_revision", body_with("", "tutor-JobDefinition:2"),
     "JobDefinition name tutor-JobDefinition:2 does not exist or is not in ACTIVE status"},
    {"no_command", body_with(""),
     "Container command must not be empty: the job definition has none"},
    {"no_vcpus", with_overrides(R"("vcpus":0)"),
     "containerOverrides.vcpus must be from 1 to 100000, not 0"},
    {"vcpus_of_another_type", with_overrides(R"("vcpus":"2")"),
     "containerOverrides.vcpus must be an integer"},
    {"too_little_memory", with_overrides(R"("memory":3)"),
     "containerOverrides.memory must be from 4 to 2147483647, not 3"},
    {"a_gpu", with_overrides(R"("resourceRequirements":[{"type":"GPU","value":"1"}])"),
     "resourceRequirements of type GPU: this cluster's nodes have no GPU"},
    {"half_a_vcpu", with_overrides(R"("resourceRequirements":[{"type":"VCPU","value":"0.5"}])"),
     "resourceRequirements: VCPU is not valid"},
    {"a_reserved_variable",
     with_overrides(R"("environment":[{"name":"AWS_BATCH_JOB_ID","value":"1"}])"),
     "Environment variable AWS_BATCH_JOB_ID is reserved: names that start with AWS_BATCH can't be "
     "set"},
    {"a_variable_without_a_name", with_overrides(R"("environment":[{"value":"1"}])"),
     "Environment variable name  is not valid"},
    {"a_variable_with_an_equals_sign", with_overrides(R"("environment":[{"name":"A=B"}])"),
     "Environment variable name A=B is not valid"},
    {"an_array_of_one", with_command(R"("arrayProperties":{"size":1})"),
     "arrayProperties.size must be from 2 to 10000, not 1"},
    {"an_array_too_large", with_command(R"("arrayProperties":{"size":10001})"),
     "arrayProperties.size must be from 2 to 10000, not 10001"},
    {"no_attempt", with_command(R"("retryStrategy":{"attempts":0})"),
     "retryStrategy.attempts must be from 1 to 10, not 0"},
    {"too_many_attempts", with_command(R"("retryStrategy":{"attempts":11})"),
     "retryStrategy.attempts must be from 1 to 10, not 11"},
    {"too_short_a_timeout", with_command(R"("timeout":{"attemptDurationSeconds":59})"),
     "timeout.attemptDurationSeconds must be from 60 to 2147483647, not 59"},
    {"an_unknown_dependency", with_command(R"("dependsOn":[{"jobId":"none"}])"),
     "Dependent job none does not exist"},
    {"too_many_dependencies", dependencies(21), "dependsOn can't have more than 20 jobs"},
    {"an_unknown_type_of_dependency",
     with_command(R"("dependsOn":[{"jobId":"other","type":"AFTER"}])"),
     "dependsOn: type must be N_TO_N or SEQUENTIAL (or AFTER_ANY or AFTER_NOT_OK, which AWS Batch "
     "does not have), not AFTER"},
    {"a_sequence_of_one_job", with_command(R"("dependsOn":[{"type":"SEQUENTIAL"}])"),
     "Dependency of type SEQUENTIAL is for array jobs only"},
    {"n_to_n_of_a_plain_job", with_command(R"("dependsOn":[{"jobId":"array","type":"N_TO_N"}])"),
     "Dependency of type N_TO_N is for array jobs only"},
    {"n_to_n_of_another_size",
     with_command(
         R"("arrayProperties":{"size":4},"dependsOn":[{"jobId":"array","type":"N_TO_N"}])"),
     "N_TO_N dependency: job array must be an array job of the same size"},
    {"an_array_of_multi_node_jobs",
     body_with(R"("arrayProperties":{"size":2})", "tutor-JobDefinitionMNP"),
     "An array job can't use a multi-node job definition"},
    {"container_overrides_of_a_multi_node_job",
     body_with(R"("containerOverrides":{"command":["true"]})", "tutor-JobDefinitionMNP"),
     "containerOverrides can't be used with a multi-node job definition"},
    {"node_overrides_of_a_single_job", with_command(R"("nodeOverrides":{"numNodes":2})"),
     "nodeOverrides can only be used with a multi-node job definition"},
    {"no_node", multi_node(R"("numNodes":0)"),
     "nodeOverrides.numNodes must be from 1 to 1000, not 0"},
    {"too_many_nodes", multi_node(R"("numNodes":1001)"),
     "nodeOverrides.numNodes must be from 1 to 1000, not 1001"},
    {"a_range_beyond_the_last_node",
     multi_node(R"("numNodes":3,"nodePropertyOverrides":[{"targetNodes":"1:3"}])"),
     "nodePropertyOverrides: targetNodes 1:3 is no range of 3 nodes"},
    {"a_file_outside_its_directory",
     with_command(R"("coxswain":{"files":[{"name":"../a","sha256":")" + std::string(64, 'a') +
                  R"("}]})"),
     "files: ../a is not a file name"},
    {"a_file_without_a_hash", with_command(R"("coxswain":{"files":[{"name":"a","sha256":"A"}]})"),
     "files: sha256 is not 64 hexadecimal digits"},
    {"a_large_request", with_command(R"("x":")" + std::string(30 * 1024, 'x') + "\""),
     "Request is larger than 30720 bytes"},
};

class Refused : public testing::TestWithParam<RefusedCase> {};

TEST_P(Refused, IsAClientExceptionThatSaysWhy) {
  const auto answer = answer_to(with_array(), request_of("submitjob", GetParam().body));

  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.error_type, "ClientException");
  EXPECT_EQ(answer.body, fmt::format(R"({{"message":"{}"}})", GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(, Refused, testing::ValuesIn(kRefused),
                         [](const auto& test) { return test.param.name; });

TEST(Submission, ToADisabledQueueIsRefused) {
  FakeView view;
  view.settings.queues[0].enabled = false;

  const auto answer = answer_to(view, request_of("submitjob", with_command("")));

  EXPECT_EQ(answer.body, R"({"message":"JobQueue tutor-queue is not ENABLED"})");
}

TEST(Submission, CannotDependOnSomebodyElsesJob) {
  const auto view = with_array();

  const auto answer =
      answer_to(view, request_of("submitjob", with_command(R"("dependsOn":[{"jobId":"other"}])"),
                                 FakeView::somebody_else()));

  EXPECT_EQ(answer.body, R"({"message":"Dependent job other does not exist"})");
}

TEST(Submission, IsAnsweredWithNameIdAndArn) {
  const auto answer = render_submitted(FakeView(), JobId{"j1"}, plain());

  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body,
            R"({"jobArn":"arn:aws:batch:eu-west-1:123456789012:job/j1","jobName":"hello",)"
            R"("jobId":"j1"})");
}

}  // namespace
}  // namespace cox::api
