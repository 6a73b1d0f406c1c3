#include "runtime/store/row_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "runtime/store/store.hpp"
#include "tests/unit/store/samples.hpp"

namespace cox::store {
namespace {

using testing::HasSubstr;

TEST(EventText, BringsBackEveryKindWithAllMembers) {
  const auto events = one_of_each();
  ASSERT_EQ(events.size(), std::variant_size_v<core::JobEvent>);

  for (std::size_t kind = 0; kind < events.size(); ++kind) {
    ASSERT_EQ(events[kind].index(), kind) << "the list is in the variant's order";
    const auto back = event_from_text(to_text(events[kind]));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_TRUE(same(*back, events[kind])) << to_text(*back) << "\n" << to_text(events[kind]);
  }
}

TEST(EventText, BringsBackEmptyEventsAndEveryState) {
  const auto empty = event_from_text(to_text(core::Submitted{}));
  ASSERT_TRUE(empty) << empty.error().message;
  EXPECT_TRUE(same(*empty, core::Submitted{}));

  for (int i = 0; i < 7; ++i) {
    const core::JobEvent event =
        core::ChildChanged{Millis{1}, JobStatus::submitted, static_cast<JobStatus>(i)};
    EXPECT_THAT(to_text(event), HasSubstr(to_string(static_cast<JobStatus>(i))));
    EXPECT_TRUE(same(event_from_text(to_text(event)).value(), event));
  }
}

// Texts of released versions: they must be readable for good, and are written so still.
TEST(EventText, KeepsItsForm) {
  EXPECT_EQ(to_text(core::NodeExited{Millis{5}, 2, 1, 143, "stopped"}),
            R"({"v":1,"event":"NodeExited","at":5,"attempt":2,"node_index":1,"exit_code":143,)"
            R"("reason":"stopped"})");
  JobSpec spec;
  spec.name = "n";
  spec.command = {"true"};
  spec.memory = MiB{512};
  spec.depends_on = {{JobId{"d"}, DependencyKind::n_to_n}};
  EXPECT_EQ(
      to_text(core::Submitted{Millis{5}, spec, {}, {}}),
      R"({"v":1,"event":"Submitted","at":5,"spec":{"name":"n","command":["true"],"vcpus":1,)"
      R"("memory_mib":512,"slots_per_node":0,"depends_on":[{"job":"d","kind":"n_to_n"}],)"
      R"("attempts":1,"user":{"uid":0,"gid":0},"cpu_and_memory_legacy":true,"main_node":0}})");
}

TEST(EventText, TakesDefaultsForWhatOlderTextsLackAndPassesOverWhatNewerOnesAdd) {
  const auto event = event_from_text(
      R"({"v":1,"event":"Submitted","at":5,"spec":{"name":"n","colour":[1,{"a":null}]},"x":1})");

  ASSERT_TRUE(event) << event.error().message;
  core::Submitted want{Millis{5}, {}, {}, {}};
  want.spec.edit().name = "n";
  EXPECT_TRUE(same(*event, want));
}

struct BadText {
  const char* name;
  const char* text;
  const char* want;
  friend void PrintTo(const BadText& c, std::ostream* out) { *out << c.name; }
};

const BadText kBadTexts[] = {
    {"nothing", "", "stored event: no JSON: incomplete JSON"},
    {"cut", R"({"v":1,"event":"TimedOut")", "no JSON: incomplete JSON"},
    {"two", R"({"v":1}{})", "no JSON: extra data"},
    {"list", "[]", "stored event: is no object"},
    {"no_version", R"({"event":"TimedOut"})", "stored event: has no version"},
    {"newer", R"({"v":2,"event":"TimedOut"})", "stored event: has version 2, newer than 1"},
    {"no_name", R"({"v":1})", "stored event: has no name"},
    {"unknown", R"({"v":1,"event":"Eaten"})", "stored event: 'Eaten' is not known here"},
    {"fraction", R"({"v":1,"event":"TimedOut","attempt":1.5})",
     "stored event TimedOut: attempt: is no whole number that fits"},
    {"too_large", R"({"v":1,"event":"TimedOut","attempt":3000000000})",
     "stored event TimedOut: attempt: is no whole number that fits"},
    {"text_for_list", R"({"v":1,"event":"Submitted","spec":{"command":"true"}})",
     "stored event Submitted: spec: command: is no list"},
    {"deep", R"({"v":1,"event":"Placed","nodes":[{},{"phase":"sleeping"}]})",
     "stored event Placed: nodes: [1]: phase: is no word that is known here"},
    {"tags", R"({"v":1,"event":"Submitted","spec":{"tags":{"a":1}}})",
     "stored event Submitted: spec: tags: a: is no text"},
    {"truth", R"({"v":1,"event":"DependencyEnded","succeeded":1})",
     "stored event DependencyEnded: succeeded: is no truth value"},
};

class Bad : public testing::TestWithParam<BadText> {};

TEST_P(Bad, IsRefusedByItsPlace) {
  const auto event = event_from_text(GetParam().text);

  ASSERT_FALSE(event);
  EXPECT_EQ(event.error().code, Errc::invalid_argument);
  EXPECT_THAT(event.error().message, HasSubstr(GetParam().want));
}

INSTANTIATE_TEST_SUITE_P(, Bad, testing::ValuesIn(kBadTexts),
                         [](const auto& test) { return test.param.name; });

TEST(NodeText, BringsBackANode) {
  EXPECT_EQ(node_from_text(to_text(full_node())).value(), full_node());
  EXPECT_EQ(node_from_text(to_text(Node{})).value(), Node{});
  for (int i = 0; i < 4; ++i) {
    Node node;
    node.status = static_cast<NodeStatus>(i);
    EXPECT_EQ(node_from_text(to_text(node)).value(), node);
  }
  EXPECT_FALSE(node_from_text(R"({"vcpus":"two"})"));
}

RC_GTEST_PROP(EventText, BringsBackAnyBytes, ()) {
  core::KillAsked event{Millis{*rc::gen::arbitrary<std::int64_t>()},
                        *rc::gen::arbitrary<std::string>()};

  const auto back = event_from_text(to_text(event));

  RC_ASSERT(back.has_value());
  RC_ASSERT(same(*back, event));
}

RC_GTEST_PROP(EventText, SurvivesDamagedTexts, ()) {
  static const auto kEvents = one_of_each();
  auto text = to_text(*rc::gen::elementOf(kEvents));
  const auto place = *rc::gen::inRange<std::size_t>(0, text.size());
  text[place] = *rc::gen::arbitrary<char>();
  if (*rc::gen::arbitrary<bool>()) text.resize(place);

  const auto event = event_from_text(text);

  if (event) {
    RC_ASSERT(same(event_from_text(to_text(*event)).value(), *event));
  }
}

}  // namespace
}  // namespace cox::store
