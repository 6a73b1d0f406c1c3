#include "launcher/config/schema.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <set>

#include "launcher/config/config.hpp"
#include "launcher/config/key_rule.hpp"
#include "runtime/base/text.hpp"

namespace cox::config {
namespace {

std::string read(const std::string& path) {
  std::ifstream stream(std::string(COX_SOURCE_DIR) + "/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

TEST(TableOfKeys, IsWhatTheDocumentSays) {
  EXPECT_EQ(read("docs/configuration.md"), render_key_table())
      << "made by: cox validate --keys > docs/configuration.md";
}

TEST(TableOfKeys, HasEachKeyOnceBelowAMapOfTheTable) {
  std::map<std::string, KeyKind> kinds;
  for (const auto& key : schema()) {
    EXPECT_TRUE(kinds.emplace(key.path, key.kind).second) << key.path << " stands twice";
  }
  for (const auto& key : schema()) {
    auto parent = parent_of(key.path);
    if (parent.empty()) continue;
    const bool of_list = parent.ends_with("[]");
    if (of_list) parent.resize(parent.size() - 2);
    ASSERT_TRUE(kinds.contains(parent)) << key.path;
    const auto kind = kinds.at(parent);
    EXPECT_TRUE(of_list ? kind == KeyKind::list || kind == KeyKind::hosts : kind == KeyKind::map)
        << key.path;
  }
}

TEST(TableOfKeys, SaysOfEachKeyThatIsNotServedWhy) {
  for (const auto& key : schema()) {
    const bool told = key.fate == Fate::inherited || key.fate == Fate::served || !key.note.empty();
    EXPECT_TRUE(told) << key.path;
    if (key.path.starts_with("Coxswain/")) {
      EXPECT_TRUE(key.fate == Fate::served && !key.note.empty()) << key.path;
    }
    if (key.fate == Fate::warned || key.fate == Fate::refused) {
      EXPECT_TRUE(key.note.ends_with(".")) << key.path << ": a whole sentence";
    }
  }
}

// Defaults are values that their own keys take, where they are one word.
TEST(TableOfKeys, HasDefaultsThatItsRulesTake) {
  int checked = 0;
  for (const auto& key : schema()) {
    if (key.absent.empty() || key.absent.find(' ') != std::string_view::npos) continue;
    const std::string word(key.absent);
    if (key.kind == KeyKind::integer && to_int(word)) {
      EXPECT_EQ(integer_fault(key.rule, *to_int(word)), std::nullopt) << key.path;
      ++checked;
    } else if (key.kind == KeyKind::text && word.find('.') == std::string::npos) {
      EXPECT_EQ(text_fault(key.rule, word), std::nullopt) << key.path;
      ++checked;
    } else if (key.kind == KeyKind::boolean) {
      EXPECT_TRUE(word == "true" || word == "false") << key.path;
      ++checked;
    }
  }
  EXPECT_GE(checked, 60);
}

TEST(JsonSchema, IsJsonWithEveryKey) {
  const auto text = render_json_schema();
  // JSON is a part of YAML.
  std::vector<Finding> faults;
  const auto tree = parse_yaml(text, faults);
  ASSERT_TRUE(tree && faults.empty()) << faults.front().text;
  const auto* scheduler = find_path(*tree, "properties.Scheduling.properties.Scheduler.enum");
  ASSERT_NE(scheduler, nullptr);
  EXPECT_EQ(scheduler->items.at(0).scalar, "slurm");
  for (const auto& key : schema()) {
    std::string path;
    for (auto word : split(key.path, '/')) {
      const bool items = word.ends_with("[]");
      if (items) word.resize(word.size() - 2);
      path += (path.empty() ? "properties." : ".properties.") + word;
      if (items) path += path.ends_with(".Hosts") ? ".items.anyOf[1]" : ".items";
    }
    EXPECT_NE(find_path(*tree, path), nullptr) << path;
  }
  const auto* most =
      find_path(*tree,
                "properties.Scheduling.properties.AwsBatchQueues.items.properties.ComputeResources."
                "items.properties.SpotBidPercentage.maximum");
  ASSERT_NE(most, nullptr);
  EXPECT_EQ(most->scalar, "100");
}

struct RuleCase {
  const char* rule;
  const char* word;
  const char* fault;  // empty: none

  friend void PrintTo(const RuleCase& c, std::ostream* out) { *out << c.rule << ' ' << c.word; }
};

const RuleCase kRules[] = {
    {"subnet-", "subnet-01234567", ""},
    {"subnet-", "subnet-0123456789abcdef0", ""},
    {"subnet-", "subnet-012345678",
     "subnet-012345678 is not an id such as subnet-0123456789abcdef0."},
    {"fsap-/17", "fsap-01234567", "fsap-01234567 is not an id such as fsap-0123456789abcdef0."},
    {"fsap-/17", "fsap-0123456789abcdefz", ""},
    {"fsvol-/x17", "fsvol-0123456789abcdefz",
     "fsvol-0123456789abcdefz is not an id such as fsvol-0123456789abcdef0."},
    {"fc-/x8-18", "fc-012345678", ""},
    {"backup-/x8-", "backup-0123456789abcdef0123456789", ""},
    {"~3", "äöü", ""},
    {"~3", "abcd", "Longer than maximum length 3."},
    {"cidr", "0.0.0.0/0", ""},
    {"cidr", "pl-0123456789abcdef0", ""},
    {"cidr", "10.0.0.0",
     "10.0.0.0 is neither a range of IPv4 addresses such as 10.0.0.0/8 nor the id of a prefix "
     "list."},
    {"a|bcd", "bce", "Must be one of: a, bcd. Did you mean bcd?"},
    {"0|1", "2", "Must be one of: 0, 1."},
    {"source", "nas:/export", ""},
    {"source", ":/", ":/ is none of existing, staged and SERVER:/EXPORT."},
    {"mount", "a/b", ""},
    {"mount", "a/../b",
     "'a/../b' is not a plain path: no part of it may be empty or begin with a dot"},
    {"week-time", "7:23:59", ""},
    {"week-time", "7:24:00", "7:24:00 is not a day of the week and a time such as 1:05:00."},
    {"arn:password", "arn:aws:ssm:us-east-1:1:parameter/p", ""},
    {"arn:policy", "arn:aws:iam::aws:policy/P", ""},
};

class KeyRule : public testing::TestWithParam<RuleCase> {};

TEST_P(KeyRule, TellsWhatAWordIsNot) {
  const auto& c = GetParam();
  EXPECT_EQ(text_fault(c.rule, c.word).value_or(""), c.fault);
}

INSTANTIATE_TEST_SUITE_P(, KeyRule, testing::ValuesIn(kRules));

TEST(KeyRules, DescribeThemselves) {
  EXPECT_EQ(describe_rules("#1..50"), "1 to 50 items");
  EXPECT_EQ(describe_rules("#1! subnet-"), "exactly 1 items; an id subnet-…");
  EXPECT_EQ(describe_rules("#40"), "at most 40 items");
  EXPECT_EQ(describe_rules("~128"), "at most 128 characters");
  EXPECT_EQ(describe_rules("a|b"), "one of a, b");
  EXPECT_EQ(describe_rules(">=-1"), "at least -1");
  EXPECT_EQ(describe_rules("1..100"), "1 to 100");
  EXPECT_EQ(pattern_of("subnet-"), "^subnet-[0-9a-z]{8}$|^subnet-[0-9a-z]{17}$");
  EXPECT_EQ(pattern_of("fc-/x8-18"), "^fc-[0-9a-f]{8,18}$");
  EXPECT_EQ(pattern_of("backup-/x8-"), "^backup-[0-9a-f]{8,}$");
}

}  // namespace
}  // namespace cox::config
