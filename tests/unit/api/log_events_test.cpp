#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/api/fake_view.hpp"

/// GetLogEvents: tokens, and the shape of errors.
namespace cox::api {
namespace {

Request get_log_events(const std::string& more) {
  Request request;
  request.method = "POST";
  request.target = "/";
  request.amz_target = "Logs_20140328.GetLogEvents";
  request.body =
      R"({"logGroupName":"/aws/batch/job","logStreamName":"d/default/j1-1-0")" + more + "}";
  request.user = FakeView::asker();
  return request;
}

ReadLog asked(const std::string& more) {
  const auto outcome = handle(FakeView(), get_log_events(more));
  const auto* read = std::get_if<ReadLog>(&outcome);
  EXPECT_NE(read, nullptr) << std::get<Answer>(outcome).body;
  return read == nullptr ? ReadLog{} : *read;
}

TEST(GetLogEvents, AsksForTheLastEventsOfAStream) {
  const auto read = asked("");

  EXPECT_EQ(read.stream, "d/default/j1-1-0");
  EXPECT_EQ(read.limit, 10'000u);
  EXPECT_FALSE(read.from_head);
  EXPECT_EQ(read.after_sequence, std::nullopt);
  EXPECT_EQ(read.start_ms, std::nullopt);
  EXPECT_EQ(read.end_ms, std::nullopt);
}

TEST(GetLogEvents, TakesTimesLimitAndDirection) {
  const auto read = asked(R"(,"startTime":5,"endTime":9,"limit":7,"startFromHead":true)");

  EXPECT_EQ(read.start_ms, 5);
  EXPECT_EQ(read.end_ms, 9);
  EXPECT_EQ(read.limit, 7u);
  EXPECT_TRUE(read.from_head);
}

TEST(GetLogEvents, TakesItsOwnTokens) {
  EXPECT_EQ(asked(R"(,"nextToken":"f/12")").after_sequence, 12u);
  EXPECT_FALSE(asked(R"(,"nextToken":"f/12")").backward);
  EXPECT_TRUE(asked(R"(,"nextToken":"b/3")").backward);
  EXPECT_EQ(asked(R"(,"nextToken":"")").after_sequence, std::nullopt);
}

TEST(GetLogEvents, GivesTokensBehindAndBeforeWhatItShows) {
  const auto answer = render_log_events(ReadLog{}, {{4, 100, "a \"b\""}, {5, 101, "c"}});

  EXPECT_EQ(answer.body, R"({"events":[{"timestamp":100,"message":"a \"b\"","ingestionTime":100},)"
                         R"({"timestamp":101,"message":"c","ingestionTime":101}],)"
                         R"("nextForwardToken":"f/5","nextBackwardToken":"b/4"})");
}

TEST(GetLogEvents, GivesTheTokenThatWasSentBackAtTheEnd) {
  const auto at_end = asked(R"(,"nextToken":"f/5")");
  const auto at_start = asked(R"(,"nextToken":"b/4")");

  EXPECT_EQ(render_log_events(at_end, {}).body,
            R"({"events":[],"nextForwardToken":"f/5","nextBackwardToken":"b/6"})");
  EXPECT_EQ(render_log_events(at_start, {}).body,
            R"({"events":[],"nextForwardToken":"f/3","nextBackwardToken":"b/4"})");
  EXPECT_EQ(render_log_events(ReadLog{}, {}).body,
            R"({"events":[],"nextForwardToken":"f/0","nextBackwardToken":"b/0"})");
}

TEST(GetLogEvents, HoldsAMegabyteUnlessALimitIsAskedFor) {
  std::vector<LogEvent> events;
  for (std::uint64_t i = 1; i <= 5; ++i) events.push_back({i, 100, std::string(300'000, 'x')});
  const auto tokens = [&](const std::string& more) {
    const auto body = render_log_events(asked(more), events).body;
    return body.substr(body.find(R"("nextForwardToken")"));
  };

  EXPECT_EQ(tokens(""), R"("nextForwardToken":"f/5","nextBackwardToken":"b/3"})");
  EXPECT_EQ(tokens(R"(,"startFromHead":true)"),
            R"("nextForwardToken":"f/3","nextBackwardToken":"b/1"})");
  EXPECT_EQ(tokens(R"(,"nextToken":"f/0")"),
            R"("nextForwardToken":"f/3","nextBackwardToken":"b/1"})");
  EXPECT_EQ(tokens(R"(,"nextToken":"b/6","startFromHead":true)"),
            R"("nextForwardToken":"f/5","nextBackwardToken":"b/3"})");
  EXPECT_EQ(tokens(R"(,"limit":10000)"), R"("nextForwardToken":"f/5","nextBackwardToken":"b/1"})");
}

struct WrongCase {
  const char* more;
  const char* body;
};

TEST(GetLogEvents, SaysWhatIsWrong) {
  const WrongCase cases[] = {
      {R"(,"limit":0)", R"({"__type":"InvalidParameterException",)"
                        R"("message":"limit must be from 1 to 10000, not 0"})"},
      {R"(,"limit":10001)", R"({"__type":"InvalidParameterException",)"
                            R"("message":"limit must be from 1 to 10000, not 10001"})"},
      {R"(,"nextToken":"f/x")",
       R"({"__type":"InvalidParameterException","message":"The specified nextToken is invalid."})"},
      {R"(,"nextToken":"f/-1")",
       R"({"__type":"InvalidParameterException","message":"The specified nextToken is invalid."})"},
      {R"(,"nextToken":"12")",
       R"({"__type":"InvalidParameterException","message":"The specified nextToken is invalid."})"},
      {R"(,"startTime":-1)",
       R"({"__type":"InvalidParameterException",)"
       R"("message":"startTime must be from 0 to 9223372036854775807, not -1"})"},
      {R"(,"logStreamName":"a:b")",
       R"({"__type":"InvalidParameterException",)"
       R"("message":"The name of a log stream can't have a : or a * in it"})"},
  };
  for (const auto& c : cases) {
    const auto answer = answer_to(FakeView(), get_log_events(c.more));
    EXPECT_EQ(answer.status, 400);
    EXPECT_EQ(answer.body, c.body) << c.more;
  }
}

TEST(GetLogEvents, KnowsOneGroup) {
  auto request = get_log_events("");
  request.body = R"({"logGroupName":"/other","logStreamName":"s"})";

  const auto answer = answer_to(FakeView(), request);

  EXPECT_EQ(answer.error_type, "ResourceNotFoundException");
  EXPECT_EQ(answer.body, R"({"__type":"ResourceNotFoundException",)"
                         R"("message":"The specified log group does not exist."})");
  EXPECT_EQ(render_no_such_log(ReadLog{}).body,
            R"({"__type":"ResourceNotFoundException",)"
            R"("message":"The specified log stream does not exist."})");
}

// What holds of every request.

TEST(Requests, ThatAreNoJsonObjectAreRefused) {
  for (const auto* body : {"[]", "{", "{} {}", "\"a\"", "\xff"}) {
    const auto answer = answer_to(FakeView(), request_of("listjobs", body));
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_EQ(answer.error_type, "SerializationException");
    EXPECT_EQ(answer.body, R"({"message":"The request body is not a JSON object"})");
  }
}

TEST(Requests, WithoutABodyAreEmptyObjects) {
  const auto answer = answer_to(FakeView(), request_of("describejobqueues", ""));

  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(
      answer.body,
      R"({"jobQueues":[{"jobQueueName":"tutor-queue",)"
      R"("jobQueueArn":"arn:aws:batch:eu-west-1:123456789012:job-queue/tutor-queue",)"
      R"("state":"ENABLED","status":"VALID","statusReason":"JobQueue Healthy","priority":1,)"
      R"("computeEnvironmentOrder":[{"order":1,"computeEnvironment":)"
      R"("arn:aws:batch:eu-west-1:123456789012:compute-environment/tutor-ce"}],"tags":{}}]})");
}

TEST(Requests, TakeTheRegionOfTheirSignature) {
  auto request = request_of("describejobqueues", "{}");
  request.region = "cn-north-1";

  EXPECT_THAT(answer_to(FakeView(), request).body,
              testing::HasSubstr("arn:aws-cn:batch:cn-north-1:123456789012:job-queue/tutor-queue"));
}

TEST(Requests, OfUnknownOperationsAndMethodsAreRefused) {
  auto get = request_of("listjobs", "{}");
  get.method = "GET";

  EXPECT_EQ(answer_to(FakeView(), get).status, 405);
  EXPECT_EQ(answer_to(FakeView(), request_of("nothing", "{}")).status, 404);
  EXPECT_EQ(answer_to(FakeView(), request_of("nothing", "{}")).body,
            R"({"message":"Unknown operation nothing"})");
}

TEST(Errors, AreTheClientsFaultOrOurs) {
  const auto ours = render_error({Errc::unavailable, "the disk is full"});
  const auto theirs = render_error({Errc::not_found, "no such job"});

  EXPECT_EQ(ours.status, 500);
  EXPECT_EQ(ours.error_type, "ServerException");
  EXPECT_EQ(ours.body, R"({"message":"the disk is full"})");
  EXPECT_EQ(theirs.status, 400);
  EXPECT_EQ(theirs.error_type, "ClientException");
}

}  // namespace
}  // namespace cox::api
