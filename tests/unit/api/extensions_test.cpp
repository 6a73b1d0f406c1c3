#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "tests/unit/api/fake_view.hpp"

/// What is ours beyond AWS Batch: tokens, ways to depend, limits of queues, history, why a job
/// waits.
namespace cox::api {
namespace {

namespace json = boost::json;

json::object parsed(const Answer& answer) { return json::parse(answer.body).as_object(); }

constexpr const char* kSubmit =
    R"("jobName":"hello","jobQueue":"tutor-queue","jobDefinition":"tutor-JobDefinition",)"
    R"("containerOverrides":{"command":["true"],"vcpus":1})";

Request submission(const std::string& more) {
  return request_of("submitjob", "{" + std::string(kSubmit) + more + "}");
}

/// The job as accepted, or a complaint.
Result<JobSpec> accepted(const View& view, const Request& request) {
  auto outcome = handle(view, request);
  if (auto* job = std::get_if<SubmitJob>(&outcome)) return std::move(job->spec);
  const auto* answer = std::get_if<Answer>(&outcome);
  return fail(Errc::invalid_argument, "{}", answer == nullptr ? "a command" : answer->body);
}

class TokenView : public FakeView {
 public:
  [[nodiscard]] const Job* submitted_with(std::uint32_t uid,
                                          const std::string& token) const override {
    for (const auto& job : all) {
      if (job.spec->user->uid == uid && job.spec->client_token == token) return &job;
    }
    return nullptr;
  }
};

TEST(ClientTokens, GiveTheSameJobForTheSameRequest) {
  TokenView view;
  const auto first = accepted(view, submission(R"(,"clientToken":"t-1")"));
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->client_token, "t-1");
  view.add("job-1", *first);

  const auto again = answer_to(
      view, request_of("submitjob", R"({"clientToken":"t-1",)" + std::string(kSubmit) + "}"));
  EXPECT_EQ(again.status, 200) << again.body;
  EXPECT_EQ(parsed(again).at("jobId"), "job-1");

  auto by_header = submission("");
  by_header.client_token = "t-1";
  EXPECT_EQ(parsed(answer_to(view, by_header)).at("jobId"), "job-1");
}

TEST(ClientTokens, RefuseAnotherRequest) {
  TokenView view;
  view.add("job-1", accepted(view, submission(R"(,"clientToken":"t-1")")).value());
  const auto other = answer_to(view, submission(R"(,"clientToken":"t-1","tags":{"colour":"red"})"));
  EXPECT_EQ(other.status, 400);
  EXPECT_EQ(parsed(other).at("message"),
            "clientToken t-1 was used for job job-1, and that request was another one: take a new "
            "token, or send the same request");
  EXPECT_TRUE(accepted(view, submission(R"(,"clientToken":"t-2")")));
}

TEST(ClientTokens, AreRefusedWhereTheyAreNone) {
  TokenView view;
  for (const auto* wrong :
       {R"(,"clientToken":"")", R"(,"clientToken":7)", R"(,"clientToken":"with blank")"}) {
    EXPECT_FALSE(accepted(view, submission(wrong))) << wrong;
  }
  EXPECT_FALSE(accepted(view, submission(",\"clientToken\":\"" + std::string(65, 'x') + "\"")));
  EXPECT_TRUE(accepted(view, submission(",\"clientToken\":\"" + std::string(64, 'x') + "\"")));
}

TEST(OwnDependencies, AreReadAndShownByTheirTypes) {
  FakeView view;
  view.add("job-1", spec_of({"true"}));
  const auto spec =
      accepted(view, submission(R"(,"dependsOn":[{"jobId":"job-1","type":"AFTER_ANY"},)"
                                R"({"jobId":"job-1","type":"AFTER_NOT_OK"}])"));
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->depends_on.get(),
            (std::vector<Dependency>{{JobId{"job-1"}, DependencyKind::after_any},
                                     {JobId{"job-1"}, DependencyKind::after_not_ok}}));
  view.add("job-2", *spec);
  const auto shown = parsed(answer_to(view, request_of("describejobs", R"({"jobs":["job-2"]})")));
  const auto& depends = shown.at("jobs").as_array()[0].as_object().at("dependsOn").as_array();
  EXPECT_EQ(depends[0].as_object().at("type"), "AFTER_ANY");
  EXPECT_EQ(depends[1].as_object().at("type"), "AFTER_NOT_OK");
}

TEST(QueueLimits, ByATagThatIsNoNumberAreRefused) {
  FakeView view;
  const auto create = [&](const std::string& value) {
    return handle(view,
                  request_of("createjobqueue",
                             R"({"jobQueueName":"few","priority":1,"computeEnvironmentOrder":)"
                             R"([{"order":1,"computeEnvironment":"tutor-ce"}],)"
                             R"("tags":{"coxswain:MaxRunningJobs":")" +
                                 value + R"("}})"));
  };
  const auto made = create("3");
  const auto* change = std::get_if<ChangeCatalog>(&made);
  ASSERT_NE(change, nullptr);
  EXPECT_EQ(running_limit(std::get<JobQueue>(change->put.at(0))), 3);
  const auto refused = create("some");
  ASSERT_TRUE(std::holds_alternative<Answer>(refused));
  EXPECT_EQ(parsed(std::get<Answer>(refused)).at("message"),
            "Tag coxswain:MaxRunningJobs must be a whole number from 1, not some");
}

TEST(FairShareQueues, WantAShareAndOthersNone) {
  FakeView view;
  EXPECT_FALSE(accepted(view, submission(R"(,"shareIdentifier":"a")")));
  view.settings.queues[0].policy = "policy";
  EXPECT_FALSE(accepted(view, submission("")));
  EXPECT_FALSE(accepted(view, submission(R"(,"shareIdentifier":"a-b")")));
  EXPECT_TRUE(accepted(view, submission(R"(,"shareIdentifier":"a")")));
  for (int i = 0; i < 500; ++i) {
    auto spec = spec_of({"true"});
    spec.share = fmt::format("s{}", i);
    view.add(fmt::format("job-{}", i), spec);
  }
  const auto more = accepted(view, submission(R"(,"shareIdentifier":"a")"));
  ASSERT_FALSE(more);
  EXPECT_NE(more.error().message.find("more than 500 active share identifiers"), std::string::npos)
      << more.error().message;
  EXPECT_TRUE(accepted(view, submission(R"(,"shareIdentifier":"s7")")));
}

std::vector<core::JobEvent> ran(std::int64_t from, std::int64_t to, int exit_code) {
  return {core::Placed{kThen + from, 1, {run_on(1)}, ""}, core::NodeStarted{kThen + from, 1, 0},
          core::NodeExited{kThen + to, 1, 0, exit_code, ""}};
}

TEST(History, TellsWaitRunAndExitOfWhatEnded) {
  FakeView view;
  view.add("job-1", spec_of({"true"}), ran(100, 400, 0));
  view.add("job-2", spec_of({"false"}), ran(200, 900, 3));
  view.add("job-3", spec_of({"true"}));
  view.add("job-4", spec_of({"true"}), {core::KillAsked{kThen + 50, "no", true}});

  HistoryQuery query;
  query.asker = FakeView::asker();
  const auto all = json::parse(render_history(view, query)).as_object();
  std::vector<std::string> ids;
  for (const auto& job : all.at("jobs").as_array()) {
    ids.emplace_back(job.as_object().at("jobId").as_string());
  }
  EXPECT_EQ(ids, (std::vector<std::string>{"job-2", "job-1", "job-4"}));
  const auto& failed = all.at("jobs").as_array()[0].as_object();
  EXPECT_EQ(failed.at("exitCode"), 3);
  EXPECT_EQ(failed.at("waitMs"), 200);
  EXPECT_EQ(failed.at("runMs"), 700);
  EXPECT_FALSE(all.at("jobs").as_array()[2].as_object().contains("runMs"));
  EXPECT_EQ(all.at("more"), 0);
  EXPECT_EQ(all.at("keptDays"), 7);

  const auto count = [&](const HistoryQuery& asked) {
    return json::parse(render_history(view, asked)).as_object().at("jobs").as_array().size();
  };
  auto narrowed = query;
  narrowed.status = JobStatus::succeeded;
  EXPECT_EQ(count(narrowed), 1u);
  narrowed = query;
  narrowed.ended_from = kThen + 400;
  EXPECT_EQ(count(narrowed), 2u);
  narrowed.ended_before = kThen + 900;
  EXPECT_EQ(count(narrowed), 1u);
  narrowed = query;
  narrowed.user = "bob";
  EXPECT_EQ(count(narrowed), 0u);
  narrowed = query;
  narrowed.asker = FakeView::somebody_else();
  EXPECT_EQ(count(narrowed), 0u);
  narrowed = query;
  narrowed.queue = "another";
  EXPECT_EQ(count(narrowed), 0u);
  narrowed = query;
  narrowed.limit = 1;
  const auto one = json::parse(render_history(view, narrowed)).as_object();
  EXPECT_EQ(one.at("jobs").as_array().size(), 1u);
  EXPECT_EQ(one.at("more"), 2);
}

class WaitingView : public FakeView {
 public:
  [[nodiscard]] Waiting waiting(const JobId& id, std::size_t work) const override {
    Waiting told;
    told.blocks = blocks(id);
    told.holders[ComputeEnvironmentName{"tutor-ce"}] = {JobId{"mine"}, JobId{"theirs"}};
    told.ahead = 2;
    if (work > 0) told.changes = {{{core::ChangeKind::vcpus, 3, 4, {}}}};
    return told;
  }
};

TEST(WhyAJobWaits, IsInItsStatusReasonAndAsData) {
  WaitingView view;
  view.add("mine", spec_of({"true"}));
  view.add("theirs", spec_of({"true"})).spec.edit().user = FakeView::somebody_else();
  view.add("job-1", spec_of({"true"}));
  core::Block busy;
  busy.environment = ComputeEnvironmentName{"tutor-ce"};
  busy.wanted = 1;
  view.why[JobId{"job-1"}] = {busy};

  const auto answer = answer_to(view, request_of("describejobs", R"({"jobs":["job-1"]})"));
  const auto job = parsed(answer).at("jobs").as_array()[0].as_object();

  EXPECT_EQ(
      job.at("statusReason"),
      "nodes of compute environment tutor-ce are busy: 1 wanted, 0 free, held by job mine and "
      "by 1 job of other users; 2 jobs of job queue tutor-queue are served before it; "
      "--vcpus 3 in place of 4 starts at once");
  const auto& waiting = job.at("coxswain").as_object().at("waiting").as_object();
  const auto& reason = waiting.at("reasons").as_array()[0].as_object();
  EXPECT_EQ(reason.at("kind"), "nodes_busy");
  EXPECT_EQ(reason.at("heldBy"), (json::array{"mine"}));
  EXPECT_EQ(reason.at("holders"), 2);
  const auto& change = waiting.at("changes").as_array()[0].as_object();
  EXPECT_EQ(change.at("changes").as_array()[0],
            (json::object{{"kind", "vcpus"}, {"to", 3}, {"from", 4}}));
}

TEST(WhyAJobWaits, IsForAnArrayWhatAChildWaitsFor) {
  WaitingView view;
  auto array = spec_of({"true"});
  array.array_size = 2;
  auto& parent = view.add("a1", array);
  view.add("a1:0", array, {}, 0);
  view.add("a1:1", array, {}, 1);
  core::Block busy;
  busy.environment = ComputeEnvironmentName{"other"};
  busy.wanted = 1;
  view.why[JobId{"a1:1"}] = {busy};

  const auto told = json::parse(render_waiting(view, parent)).as_object();

  const auto& reason = told.at("reasons").as_array()[0].as_object();
  EXPECT_EQ(reason.at("text"),
            "child a1:1: nodes of compute environment other are busy: 1 wanted, 0 free");
  EXPECT_EQ(reason.at("childId"), "a1:1");
}

TEST(WhyAJobWaits, NamesEachJobThatItDependsOn) {
  FakeView view;
  view.add("first", spec_of({"true"}));
  auto spec = spec_of({"true"});
  spec.depends_on = {{JobId{"first"}, DependencyKind::after_any}};
  auto& job = view.add("second", spec);
  job.status = JobStatus::pending;
  job.waits_for = {JobId{"first"}};

  const auto told = json::parse(render_waiting(view, job)).as_object();

  EXPECT_EQ(told.at("reasons").as_array()[0],
            (json::object{{"kind", "dependency"},
                          {"text", "it waits for the end of job first, which is RUNNABLE"},
                          {"jobId", "first"},
                          {"status", "RUNNABLE"},
                          {"type", "AFTER_ANY"}}));
}

}  // namespace
}  // namespace cox::api
