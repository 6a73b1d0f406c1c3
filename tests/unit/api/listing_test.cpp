#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/json.hpp>

#include "tests/unit/api/fake_view.hpp"

/// ListJobs: what is in a list, in which order, page by page.
namespace cox::api {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
namespace json = boost::json;

struct Page {
  std::vector<std::string> ids;
  std::string token;
};

Page list(const View& view, const std::string& body, JobUser user = FakeView::asker()) {
  const auto answer = answer_to(view, request_of("listjobs", body, std::move(user)));
  EXPECT_EQ(answer.status, 200) << answer.body;
  const auto parsed = json::parse(answer.body);
  Page page;
  for (const auto& each : parsed.at("jobSummaryList").as_array()) {
    page.ids.emplace_back(each.at("jobId").as_string());
  }
  if (const auto* token = parsed.as_object().if_contains("nextToken")) {
    page.token = std::string(token->as_string());
  }
  return page;
}

std::string refusal(const std::string& body) {
  const auto answer = answer_to(FakeView(), request_of("listjobs", body));
  EXPECT_EQ(answer.status, 400);
  return answer.body;
}

FakeView five_jobs() {
  FakeView view;
  for (int i = 0; i < 5; ++i) {
    auto spec = spec_of({"true"});
    spec.name = i % 2 == 0 ? "Even" : "odd";
    view.add(fmt::format("j{}", i), spec, {}, {}, kThen + i);
  }
  return view;
}

constexpr const char* kRunnable = R"("jobQueue":"tutor-queue","jobStatus":"RUNNABLE")";

TEST(ListJobs, GivesPagesFromTheOldestOn) {
  const auto view = five_jobs();

  const auto first = list(view, fmt::format(R"({{{},"maxResults":2,"nextToken":""}})", kRunnable));
  const auto next = [&](const Page& page) {
    return list(view,
                fmt::format(R"({{{},"maxResults":2,"nextToken":"{}"}})", kRunnable, page.token));
  };
  const auto second = next(first);
  const auto third = next(second);

  EXPECT_THAT(first.ids, ElementsAre("j0", "j1"));
  EXPECT_THAT(second.ids, ElementsAre("j2", "j3"));
  EXPECT_THAT(third.ids, ElementsAre("j4"));
  EXPECT_NE(first.token, second.token);
  EXPECT_EQ(third.token, "");
}

TEST(ListJobs, GoesOnBehindAJobThatHasLeftTheList) {
  auto view = five_jobs();
  const auto first = list(view, fmt::format(R"({{{},"maxResults":2}})", kRunnable));
  view.all[1] = core::after(view.all[1], core::KillAsked{kThen + 9, "enough"}).value();

  const auto second =
      list(view, fmt::format(R"({{{},"maxResults":2,"nextToken":"{}"}})", kRunnable, first.token));

  EXPECT_THAT(second.ids, ElementsAre("j2", "j3"));
}

RC_GTEST_PROP(ListJobs, NamesEachJobOnceWhateverThePages, ()) {
  FakeView view;
  const int count = *rc::gen::inRange(0, 20);
  for (int i = 0; i < count; ++i) {
    view.add(fmt::format("j{}", i), spec_of({"true"}), {}, {}, kThen + *rc::gen::inRange(0, 4));
  }
  const int size = *rc::gen::inRange(1, 8);
  std::vector<std::string> all;
  Page page;
  do {
    page = list(view, fmt::format(R"({{{},"maxResults":{},"nextToken":"{}"}})", kRunnable, size,
                                  page.token));
    RC_ASSERT(page.ids.size() <= static_cast<std::size_t>(size));
    all.insert(all.end(), page.ids.begin(), page.ids.end());
  } while (!page.token.empty());
  std::sort(all.begin(), all.end());
  RC_ASSERT(std::adjacent_find(all.begin(), all.end()) == all.end());
  RC_ASSERT(all.size() == static_cast<std::size_t>(count));
}

TEST(ListJobs, ShowsRunningJobsWhereNoStatusIsAskedFor) {
  auto view = five_jobs();
  view.all[3] = core::after(view.all[3], core::Placed{kThen, 1, {run_on(1)}, ""}).value();
  view.all[3] = core::after(view.all[3], core::NodeStarted{kThen + 7, 1, 0}).value();

  const auto answer = answer_to(view, request_of("listjobs", R"({"jobQueue":"tutor-queue"})"));

  EXPECT_EQ(answer.body,
            R"({"jobSummaryList":[{"jobArn":"arn:aws:batch:eu-west-1:123456789012:job/j3",)"
            R"("jobId":"j3","jobName":"odd","createdAt":1700000000003,"status":"RUNNING",)"
            R"("jobDefinition":"arn:aws:batch:eu-west-1:123456789012:job-definition/)"
            R"(tutor-JobDefinition:1","startedAt":1700000000007}]})");
}

std::vector<std::string> filtered(const char* name, const std::string& value) {
  return list(five_jobs(), fmt::format(R"({{"jobQueue":"tutor-queue","jobStatus":"FAILED",)"
                                       R"("filters":[{{"name":"{}","values":["{}"]}}]}})",
                                       name, value))
      .ids;
}

TEST(ListJobs, FiltersTheNewestFirstAndForgetsTheStatus) {
  EXPECT_THAT(filtered("JOB_NAME", "even"), ElementsAre("j4", "j2", "j0"));
  EXPECT_THAT(filtered("JOB_NAME", "O*"), ElementsAre("j3", "j1"));
  EXPECT_THAT(filtered("JOB_NAME", "eve"), IsEmpty());
  EXPECT_THAT(filtered("JOB_DEFINITION", "tutor-JobDef*"),
              ElementsAre("j4", "j3", "j2", "j1", "j0"));
  EXPECT_THAT(filtered("JOB_DEFINITION", "tutor-JobDefinitionMNP"), IsEmpty());
  EXPECT_THAT(filtered("BEFORE_CREATED_AT", "1700000000002"), ElementsAre("j1", "j0"));
  EXPECT_THAT(filtered("AFTER_CREATED_AT", "1700000000002"), ElementsAre("j4", "j3"));
}

TEST(ListJobs, FiltersByShareAndStatusTogether) {
  FakeView view;
  for (const auto& [id, share] : {std::pair("j1", "a"), {"j2", "ab"}, {"j3", "a"}}) {
    auto spec = spec_of({"true"});
    spec.share = share;
    view.add(id, spec);
  }
  view.all[0] = core::after(view.all[0], core::KillAsked{kThen, "enough"}).value();
  const auto listed = [&](const char* status) {
    return list(view, fmt::format(R"({{"jobQueue":"tutor-queue","jobStatus":"{}",)"
                                  R"("filters":[{{"name":"SHARE_IDENTIFIER","values":["a"]}}]}})",
                                  status))
        .ids;
  };
  EXPECT_THAT(listed("RUNNABLE"), ElementsAre("j3"));
  EXPECT_THAT(listed("FAILED"), ElementsAre("j1"));
}

TEST(ListJobs, ShowsAQueuesParentsAndTheirPartsByParent) {
  FakeView view;
  auto array = spec_of({"true"});
  array.array_size = 2;
  view.add("a1", array);
  view.add("a1:0", array, {}, 0);
  view.add("a1:1", array, {core::KillAsked{kThen, "enough"}}, 1);
  auto wide = spec_of({"true"});
  wide.nodes = 2;
  view.add("m1", wide);

  EXPECT_THAT(list(view, R"({"jobQueue":"tutor-queue","jobStatus":"PENDING"})").ids,
              ElementsAre("a1"));
  EXPECT_THAT(list(view, R"({"jobQueue":"tutor-queue","jobStatus":"RUNNABLE"})").ids,
              ElementsAre("m1"));
  EXPECT_THAT(list(view, R"({"arrayJobId":"a1"})").ids, ElementsAre("a1:0", "a1:1"));
  EXPECT_THAT(list(view, R"({"arrayJobId":"a1","jobStatus":"FAILED"})").ids, ElementsAre("a1:1"));
  EXPECT_THAT(
      list(view, R"({"arrayJobId":"a1","filters":[{"name":"JOB_NAME","values":["x"]}]})").ids,
      ElementsAre("a1:0", "a1:1"));
  EXPECT_THAT(list(view, R"({"multiNodeJobId":"m1"})").ids, ElementsAre("m1#0", "m1#1"));
  EXPECT_THAT(list(view, R"({"arrayJobId":"none"})").ids, IsEmpty());
}

TEST(ListJobs, HidesSomebodyElsesJobs) {
  const auto body = fmt::format("{{{}}}", kRunnable);

  EXPECT_THAT(list(five_jobs(), body, FakeView::somebody_else()).ids, IsEmpty());
  EXPECT_EQ(list(five_jobs(), body, JobUser{0, 0, "root"}).ids.size(), 5u);
}

TEST(ListJobs, SaysWhatIsWrong) {
  const char* const one =
      R"({"message":"Exactly one of jobQueue, arrayJobId and multiNodeJobId must be given"})";
  EXPECT_EQ(refusal("{}"), one);
  EXPECT_EQ(refusal(R"({"jobQueue":"tutor-queue","arrayJobId":"a"})"), one);
  EXPECT_EQ(refusal(R"({"jobQueue":"q"})"), R"({"message":"JobQueue q not found."})");
  EXPECT_EQ(refusal(R"({"jobQueue":"tutor-queue","jobStatus":"DONE"})"),
            R"({"message":"Job status DONE is not valid"})");
  EXPECT_EQ(refusal(R"({"jobQueue":"tutor-queue","maxResults":0})"),
            R"({"message":"maxResults must be from 1 to 1000"})");
  EXPECT_EQ(refusal(R"({"jobQueue":"tutor-queue","filters":[{"name":"SIZE","values":["1"]}]})"),
            R"({"message":"Filter name SIZE is not valid"})");
  EXPECT_EQ(
      refusal(
          R"({"jobQueue":"tutor-queue","filters":[{"name":"AFTER_CREATED_AT","values":["x"]}]})"),
      R"({"message":"Filter AFTER_CREATED_AT takes one time in milliseconds"})");
  for (const auto* token : {"x", "-j1", "12345678901234567-j1", "g-j1"}) {
    EXPECT_EQ(refusal(fmt::format(R"({{{},"nextToken":"{}"}})", kRunnable, token)),
              R"({"message":"nextToken is not valid"})")
        << token;
  }
}

}  // namespace
}  // namespace cox::api
