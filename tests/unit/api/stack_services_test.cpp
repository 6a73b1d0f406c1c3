#include "runtime/api/stack_services.hpp"

#include <gtest/gtest.h>

#include "tests/unit/api/fake_view.hpp"

namespace cox::api {
namespace {

using Headers = std::map<std::string, std::string>;

StackOutcome put(const std::string& target, const Headers& headers = {{"host", "127.0.0.1:4711"}},
                 const std::string& body = "x") {
  const FakeView view;
  return handle_stack_service(view, {"s3", "eu-west-1", "PUT", target, headers, body});
}

/// The address that is kept, or the status and the code of the refusal.
std::string outcome_of(const StackOutcome& outcome) {
  if (const auto* kept = std::get_if<KeepUpload>(&outcome)) return kept->url;
  const auto& answer = std::get<StackAnswer>(outcome);
  EXPECT_NE(answer.body.find("<Error><Code>" + answer.error_type + "</Code><Message>"),
            std::string::npos)
      << answer.body;
  return std::to_string(answer.status) + " " + answer.error_type;
}

TEST(Uploading, KeepsAFileByEitherFormOfItsAddress) {
  EXPECT_EQ(outcome_of(put("/tutor/a/batch/job-1/run.sh")), "s3://tutor/a/batch/job-1/run.sh");
  EXPECT_EQ(outcome_of(put("/a/run.sh", {{"host", "tutor.localhost:4711"}})),
            "s3://tutor/a/run.sh");
  EXPECT_EQ(outcome_of(put("/tutor/a/batch/job-1/")), "s3://tutor/a/batch/job-1/");
  EXPECT_EQ(outcome_of(put("/tutor/a%20b+c?x-id=PutObject")), "s3://tutor/a b+c");
}

struct RefusedCase {
  const char* name;
  const char* target;
  Headers headers;
  const char* want;

  friend void PrintTo(const RefusedCase& c, std::ostream* out) { *out << c.name; }
};

const RefusedCase kRefused[] = {
    {"another_bucket", "/other/x", {}, "404 NoSuchBucket"},
    {"the_bucket_itself", "/tutor/", {}, "501 NotImplemented"},
    {"a_part_of_an_upload", "/tutor/x?partNumber=1&uploadId=2", {}, "501 NotImplemented"},
    {"a_copy", "/tutor/x", {{"x-amz-copy-source", "/tutor/y"}}, "501 NotImplemented"},
    {"chunks", "/tutor/x", {{"content-encoding", "aws-chunked"}}, "501 NotImplemented"},
    {"the_directory_above", "/tutor/a/..", {}, "400 InvalidArgument"},
    {"the_directory_above_encoded", "/tutor/a%2F%2E%2E", {}, "400 InvalidArgument"},
    {"a_way_up", "/tutor/a/../../b", {}, "400 InvalidArgument"},
    {"the_directory_itself", "/tutor/a/.", {}, "400 InvalidArgument"},
    {"a_name_with_a_nul", "/tutor/a%00b", {}, "400 InvalidArgument"},
    {"a_name_with_a_line_end", "/tutor/a%0Ab", {}, "400 InvalidArgument"},
};

class RefusedUpload : public testing::TestWithParam<RefusedCase> {};

TEST_P(RefusedUpload, IsToldInTheShapeOfS3) {
  EXPECT_EQ(outcome_of(put(GetParam().target, GetParam().headers)), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(, RefusedUpload, testing::ValuesIn(kRefused),
                         [](const auto& test) { return test.param.name; });

TEST(Uploading, HasLimits) {
  EXPECT_EQ(outcome_of(put("/tutor/" + std::string(256, 'x'))), "400 InvalidArgument");
  std::string deep = "/tutor/";
  while (deep.size() < 1100) deep += "folder/";
  EXPECT_EQ(outcome_of(put(deep)), "400 KeyTooLongError");
  EXPECT_EQ(outcome_of(put("/tutor/x", {}, std::string(kUploadBytesMax, 'x'))), "s3://tutor/x");
  EXPECT_EQ(outcome_of(put("/tutor/x", {}, std::string(kUploadBytesMax + 1, 'x'))),
            "400 EntityTooLarge");
}

TEST(Uploading, SaysThatAUserHasPutTooMuch) {
  const auto answer = render_not_kept({Errc::conflict, "a user may put <2000> files"});
  EXPECT_EQ(answer.status, 403);
  EXPECT_NE(
      answer.body.find("<Code>QuotaExceeded</Code><Message>a user may put &lt;2000&gt; files"),
      std::string::npos);
  EXPECT_EQ(render_not_kept({Errc::internal, "disk"}).status, 500);
}

StackAnswer ask(const FakeView& view, const std::string& service, const std::string& body,
                const Headers& headers = {}) {
  const auto outcome =
      handle_stack_service(view, {service, "us-west-2", "POST", "/", headers, body});
  return std::get<StackAnswer>(outcome);
}

TEST(TheStack, HasWhatTheCommandsRead) {
  const FakeView view;
  const auto answer = ask(view, "cloudformation", "Action=DescribeStacks&StackName=tutor");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, "text/xml");
  for (const char* part :
       {"<StackStatus>CREATE_COMPLETE</StackStatus>",
        "<ParameterKey>Scheduler</ParameterKey><ParameterValue>awsbatch</ParameterValue>",
        "<ParameterKey>ResourcesS3Bucket</ParameterKey><ParameterValue>tutor</ParameterValue>",
        "<OutputKey>BatchJobQueueArn</OutputKey><OutputValue>arn:aws:batch:us-west-2:123456789012:"
        "job-queue/tutor-queue</OutputValue>"}) {
    EXPECT_NE(answer.body.find(part), std::string::npos) << part << " in " << answer.body;
  }
  EXPECT_NE(ask(view, "cloudformation", "Action=DescribeStacks&StackName=a%26b")
                .body.find("Stack with id a&amp;b does not exist"),
            std::string::npos);
  EXPECT_EQ(ask(view, "cloudformation", "Action=DeleteStack&StackName=tutor").error_type,
            "InvalidAction");
}

TEST(TheStack, WasMadeWhenItsHeadNodeWas) {
  FakeView view;
  view.machines.resize(1);
  const std::pair<std::int64_t, const char*> kTimes[] = {
      {0, "1970-01-01T00:00:00.000Z"},
      {951'782'400'000, "2000-02-29T00:00:00.000Z"},
      {1'706'714'965'999, "2024-01-31T15:29:25.000Z"},
      {1'709'251'199'000, "2024-02-29T23:59:59.000Z"},
      {1'735'689'600'000, "2025-01-01T00:00:00.000Z"}};
  for (const auto& [at, want] : kTimes) {
    view.machines[0].launched_at = Millis{at};
    const auto body = ask(view, "cloudformation", "Action=DescribeStacks").body;
    EXPECT_NE(body.find(fmt::format("<CreationTime>{}</CreationTime>", want)), std::string::npos)
        << want << " in " << body;
  }
}

TEST(Hosts, AreThoseOfTheClusterThatIsAskedFor) {
  const FakeView view;
  const Headers listing{
      {"x-amz-target", "AmazonEC2ContainerServiceV20141113.ListContainerInstances"}};
  EXPECT_EQ(ask(view, "ecs", R"({"cluster": "none"})", listing).error_type,
            "ClusterNotFoundException");
  EXPECT_EQ(ask(view, "ecs", R"({"cluster": "tutor-ce_Batch"})", listing).body,
            R"({"containerInstanceArns":[]})");
  EXPECT_EQ(
      ask(view, "ecs",
          R"({"cluster": "arn:aws:ecs:us-west-2:123456789012:cluster/tutor-ce_Batch"})", listing)
          .status,
      200);
  EXPECT_EQ(ask(view, "ecs", R"({"cluster": "arn:"})", listing).status, 400);
  EXPECT_EQ(ask(view, "ecs", "[]", listing).error_type, "SerializationException");
  EXPECT_EQ(ask(view, "ec2", "Action=DescribeInstances&InstanceId.1=i-1").error_type,
            "InvalidInstanceID.NotFound");
  EXPECT_EQ(ask(view, "ec2", "Action=RunInstances").error_type, "InvalidAction");
}

TEST(ARefusedSignature, IsToldInTheShapeOfItsService) {
  const Headers headers{{"authorization",
                         "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE00000000A/20240131/us-west-2/s3/"
                         "aws4_request, SignedHeaders=host, Signature=0"}};
  EXPECT_EQ(service_claimed(headers), "s3");
  EXPECT_EQ(service_claimed({}), "");
  EXPECT_EQ(service_claimed({{"authorization", "/aws4_request"}}), "");
  const Answer refusal{403, R"({"message":"no"})", "InvalidSignatureException"};
  EXPECT_NE(
      render_refusal("s3", refusal)
          .body.find("<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>"),
      std::string::npos);
  for (const char* service : {"s3", "ecs", "ec2", "cloudformation"}) {
    EXPECT_EQ(render_refusal(service, refusal).status, 403) << service;
  }
}

}  // namespace
}  // namespace cox::api
