#include "launcher/config/convert.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "launcher/config/config.hpp"
#include "runtime/base/text.hpp"

// tests/golden/convert: x.ini, the x.yaml that it becomes (none where it is refused) and x.notes,
// what is said of it.

namespace cox::config {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::vector<fs::path> inputs() {
  std::vector<fs::path> paths;
  for (const auto& entry :
       fs::directory_iterator(fs::path(COX_SOURCE_DIR) / "tests/golden/convert")) {
    if (entry.path().extension() == ".ini") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

fs::path beside(fs::path path, const char* extension) { return path.replace_extension(extension); }

class Converted : public testing::TestWithParam<fs::path> {};

TEST_P(Converted, IsTheYamlBesideItWithItsRemarks) {
  const auto& path = GetParam();
  const auto made = convert_ini(read(path), {});
  const auto remarks = made ? join(made->remarks, "\n") : "ERROR: " + made.error().message;
  EXPECT_EQ(remarks + "\n", read(beside(path, ".notes")));
  EXPECT_EQ(made.has_value(), fs::exists(beside(path, ".yaml")));
  EXPECT_EQ(made ? made->yaml : "", read(beside(path, ".yaml")));
}

// What the remarks tell to change is not the file's fault; all else is a file of version 3.
TEST_P(Converted, IsAFileOfVersion3) {
  const auto made = convert_ini(read(GetParam()), {});
  if (!made) return;
  for (const auto& finding : load_yaml(made->yaml, {}).findings) {
    const bool told = finding.rule == "NameValidator" || finding.rule == "DuplicateNameValidator" ||
                      finding.rule == "SharedStorageNameValidator";
    EXPECT_TRUE(finding.level != Level::error || told) << render(finding, "out.yaml", made->yaml);
  }
}

INSTANTIATE_TEST_SUITE_P(Files, Converted, testing::ValuesIn(inputs()),
                         [](const auto& each) { return each.param.stem().string(); });

TEST(ConvertedFiles, AreMany) { EXPECT_GE(inputs().size(), 20u); }

TEST(Convert, MeansTheSameClusterAsVersion2) {
  const auto text = read(fs::path(COX_SOURCE_DIR) / "configs/tutorial.config");
  const auto made = convert_ini(text, {});
  ASSERT_TRUE(made) << made.error().message;
  const auto from = load_ini(text, {}).config;
  const auto to = load_yaml(made->yaml, {}).config;
  ASSERT_TRUE(from && to);
  auto wanted = to_settings(*from, "demo");
  wanted.v2 = false;
  wanted.stack_name = "demo";
  wanted.log_retention_days = 180;  // what is not said is not converted: version 3 keeps for longer
  EXPECT_EQ(to_settings(*to, "demo"), wanted);
}

constexpr const char* kDevelopment = R"([global]
cluster_template = one
[vpc v]
vpc_id = vpc-01234567
master_subnet_id = subnet-01234567
[cluster one]
base_os = alinux2
vpc_settings = v
scheduler = slurm
extra_json = {"a": 1}
template_url = https://example.com/t.json
ec2_iam_role = R
[cluster two]
base_os = alinux2
vpc_settings = v
scheduler = awsbatch
)";

TEST(Convert, TakesOverDevelopmentKeysWhenForced) {
  const auto made = convert_ini(kDevelopment, {.force = true, .environment_region = "cn-north-1"});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_NE(made->yaml.find("DevSettings:\n"
                            "  ClusterTemplate: https://example.com/t.json\n"
                            "  Cookbook:\n"
                            "    ExtraChefAttributes: '{\"a\": 1}'\n"),
            std::string::npos)
      << made->yaml;
  EXPECT_NE(made->yaml.find("InstanceRole: arn:aws-cn:iam::123456789012:role/R\n"),
            std::string::npos)
      << "the partition is the region's";
  EXPECT_NE(std::find(made->remarks.begin(), made->remarks.end(),
                      "Warning: extra_json, template_url are for development: version 3 may change "
                      "them at any time."),
            made->remarks.end());
}

TEST(Convert, TakesTheSectionThatIsAskedFor) {
  const auto made = convert_ini(kDevelopment, {.cluster_template = "two"});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_NE(made->yaml.find("Scheduler: awsbatch"), std::string::npos);
  EXPECT_EQ(convert_ini(kDevelopment, {.cluster_template = "three"}).error(),
            (Error{Errc::invalid_argument, "the section [cluster three] is not in the file"}));
}

TEST(Convert, QuotesATextThatBeginsWithADashAndEndsLikeAKey) {
  const auto made = convert_ini(
      "[cluster default]\nscheduler = awsbatch\nbase_os = alinux2\nvpc_settings = v\n"
      "key_name = -:\n[vpc v]\nvpc_id = vpc-01234567\n"
      "master_subnet_id = subnet-01234567\n",
      {});

  ASSERT_TRUE(made.has_value());
  EXPECT_NE(made->yaml.find("KeyName: '-:'\n"), std::string::npos) << made->yaml;
}

// Whatever stands in a value, it comes back from the YAML as it was.
RC_GTEST_PROP(AnyValue, IsTheSameTextInYaml, (const std::string& raw)) {
  std::string value;
  for (const char c : raw) {
    if (static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f) value += c;
  }
  value = std::string(trim(value.substr(0, value.find_first_of("#;"))));
  RC_PRE(!value.empty());
  const auto made =
      convert_ini(fmt::format("[cluster default]\nscheduler = awsbatch\nbase_os = alinux2\n"
                              "vpc_settings = v\nkey_name = {}\n[vpc v]\nvpc_id = vpc-01234567\n"
                              "master_subnet_id = subnet-01234567\n",
                              value),
                  {});
  RC_ASSERT(made.has_value());
  const auto loaded = load_yaml(made->yaml, {});
  RC_ASSERT(loaded.config.has_value());
  RC_ASSERT(loaded.config->key_name == value);
}

}  // namespace
}  // namespace cox::config
