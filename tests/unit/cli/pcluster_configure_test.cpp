#include "launcher/cli/pcluster_configure.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace cox::cli {
namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;

/// A directory of the test's own.
class Configure : public testing::Test {
 protected:
  Configure() {
    std::string path = (fs::temp_directory_path() / "cox-configure-XXXXXX").string();
    directory_ = ::mkdtemp(path.data());
    file_ = (directory_ / "cluster.yaml").string();
  }
  ~Configure() override { fs::remove_all(directory_); }

  int run(const std::string& typed, const std::string& region = "us-west-2") {
    std::istringstream in(typed);
    std::ostringstream out;
    std::ostringstream err;
    const int status = configure_file(file_, region, in, out, err);
    out_ = out.str();
    err_ = err.str();
    return status;
  }
  [[nodiscard]] std::string content() const {
    std::ifstream in(file_);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  fs::path directory_;
  std::string file_;
  std::string out_;
  std::string err_;
};

ConfigureAnswers custom() {
  return {"eu-west-1", "c5.large", "alinux2023", "fast", {"c5.xlarge", "m5"}, "24", "none"};
}

TEST(ConfigureAnswersTest, AreAFileThatLoadsAndGivesThemAgain) {
  for (const auto& answers : {ConfigureAnswers{}, custom()}) {
    EXPECT_EQ(faults_of(answers), Texts{});
    const auto loaded = config::load_yaml(render_cluster_file(answers), {});
    ASSERT_TRUE(loaded.config);
    EXPECT_EQ(answers_of(*loaded.config), answers);
  }
}

TEST(ConfigureAnswersTest, ThatAreWrongAreToldWithTheNearestWord) {
  const auto faults = [](auto change) {
    ConfigureAnswers answers;
    change(answers);
    return faults_of(answers);
  };
  EXPECT_EQ(faults([](auto& a) { a.region = "us-wst-2"; }),
            Texts{"there is no region us-wst-2; did you mean us-west-2?"});
  EXPECT_EQ(faults([](auto& a) { a.head_type = "t3.mcro"; }),
            Texts{"instance type t3.mcro is not known; did you mean t3.micro?"});
  EXPECT_EQ(faults([](auto& a) { a.types = {"c4.lrge"}; }),
            Texts{"instance type c4.lrge is not known; did you mean c4.large?"});
  EXPECT_EQ(faults([](auto& a) { a.shared = "/etc"; }),
            Texts{"/etc cannot be used as a mount directory"});
  EXPECT_EQ(faults([](auto& a) { a.max_vcpus = "many"; }), Texts{"Not a valid integer."});
  // Whatever is typed stays one word of the file.
  for (const auto* text : {"a: {b", "[", "'", "\"", "#", "- x", "&a", "*a", "!", "%", "a\tb"}) {
    EXPECT_FALSE(faults([&](auto& a) { a.queue = text; }).empty()) << text;
    EXPECT_FALSE(faults([&](auto& a) { a.types = {text}; }).empty()) << text;
    EXPECT_FALSE(faults([&](auto& a) { a.max_vcpus = text; }).empty()) << text;
  }
  EXPECT_FALSE(faults([](auto& a) { a.types = {}; }).empty());
}

TEST_F(Configure, TakesDefaultsForEmptyLines) {
  EXPECT_EQ(run("\n\n\n\n\n\n"), 0) << err_;
  ConfigureAnswers answers;
  answers.region = "us-west-2";
  EXPECT_EQ(content(), render_cluster_file(answers));
  EXPECT_EQ(fs::status(file_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_TRUE(
      out_.ends_with("  pcluster create-cluster --cluster-name NAME "
                     "--cluster-configuration " +
                     file_ + "\n"))
      << out_;
}

TEST_F(Configure, AsksAgainUntilAnAnswerIsGoodAndTakesNumbers) {
  EXPECT_EQ(
      run("eu-wset-1\n16\n3\n2\nc5.lrge\nc5.large\n1st\nfast\nc5.xlarge, m5\n0\n24\nnone\n", ""), 0)
      << err_;
  EXPECT_EQ(content(), render_cluster_file(custom()));
  EXPECT_NE(out_.find("ERROR: there is no region eu-wset-1; did you mean eu-west-1?\n"
                      "AWS Region ID ["),
            std::string::npos)
      << out_;
  EXPECT_NE(out_.find("ERROR: Must be greater than or equal to 1.\nMaximum vCPU [10]: "),
            std::string::npos)
      << out_;
}

TEST_F(Configure, WritesNothingWhenTheInputEndsEarly) {
  const std::string all = "\n\n\n\n\n/data\n";
  for (std::size_t length = 0; length < all.size(); ++length) {
    EXPECT_EQ(run(all.substr(0, length)), 1) << length;
    EXPECT_EQ(err_, "ERROR: the input ended before all was answered: nothing is written\n");
    EXPECT_TRUE(fs::is_empty(directory_)) << length;
  }
  EXPECT_EQ(run(all), 0);
}

TEST_F(Configure, ReplacesAFileOnlyWhenToldSoAndOffersWhatItSays) {
  const auto before = render_cluster_file(custom()) + "Tags:\n  - {Key: a, Value: b}\n";
  std::ofstream(file_) << before;
  for (const auto* answer : {"\n", "n\n", "maybe\nno\n", ""}) {
    EXPECT_EQ(run(answer), 1);
    EXPECT_EQ(content(), before);
  }
  EXPECT_EQ(run("no\n"), 1);
  EXPECT_EQ(err_, "ERROR: " + file_ + " is left as it is\n");
  EXPECT_EQ(run("y\n\n\n\n\n"), 1);
  EXPECT_EQ(content(), before);
  EXPECT_EQ(run("y\n\n\n\n\n\n48\n\n", ""), 0) << err_;
  auto wanted = custom();
  wanted.max_vcpus = "48";
  EXPECT_EQ(content(), render_cluster_file(wanted));
}

TEST_F(Configure, RefusesAPlaceWhereNoFileCanBeAndAnUnknownRegion) {
  EXPECT_EQ(run("", "us-west-9"), 1);
  EXPECT_EQ(err_.find("ERROR: there is no region us-west-9; did you mean us-west-"), 0u) << err_;
  EXPECT_EQ(out_, "");
  file_ = directory_.string();
  EXPECT_EQ(run("\n"), 1);
  EXPECT_EQ(err_, "ERROR: " + file_ + " is there and is no file\n");
  file_ = (directory_ / "no/cluster.yaml").string();
  EXPECT_EQ(run("\n"), 1);
  EXPECT_EQ(err_, "ERROR: there is no directory " + (directory_ / "no").string() + "\n");
}

TEST(ConfigureVersion2, IsAFileThatLoadsAndGivesTheAnswersAgain) {
  ConfigureAnswers answers;
  answers.version2 = true;
  EXPECT_EQ(faults_of(answers), Texts{});
  answers.types = {"c5.xlarge", "m5"};
  answers.max_vcpus = "24";
  answers.shared = "/data";
  EXPECT_EQ(faults_of(answers), Texts{});
  const auto loaded = config::load_ini(render_cluster_file(answers), {});
  ASSERT_TRUE(loaded.config);
  EXPECT_EQ(answers_of(*loaded.config), answers);
  for (const auto* text : {"", "a b", "a#b", "a;b", "a\nb = c", "%(x)s"}) {
    auto wrong = answers;
    wrong.shared = text;
    EXPECT_FALSE(faults_of(wrong).empty()) << text;
  }
}

TEST(ConfigureVersion2, IsChosenByTheFileOrItsName) {
  EXPECT_TRUE(is_version2_file("/home/me/.parallelcluster/config", ""));
  EXPECT_TRUE(is_version2_file("mine.config", ""));
  EXPECT_TRUE(is_version2_file("mine.ini", ""));
  EXPECT_TRUE(is_version2_file("a/mine.cfg", "\n"));
  EXPECT_TRUE(is_version2_file("mine.yaml", "[global]\n"));
  EXPECT_FALSE(is_version2_file("mine.yaml", ""));
  EXPECT_FALSE(is_version2_file("mine", ""));
  EXPECT_FALSE(is_version2_file("config", "Region: us-east-1\n"));
}

}  // namespace
}  // namespace cox::cli
