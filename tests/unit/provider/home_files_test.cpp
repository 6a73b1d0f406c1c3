#include "launcher/coxd/home_files.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace cox::coxd {
namespace {

namespace fs = std::filesystem;

ClusterSettings some_settings() {
  ClusterSettings settings;
  settings.name = "tutor2";
  settings.region = "us-west-2";
  settings.os_user = "ec2-user";
  ComputeEnvironment environment;
  environment.arn = "arn:aws:batch:us-west-2:123456789012:compute-environment/tutor2-compute";
  settings.environments = {environment};
  JobQueue queue;
  queue.arn = "arn:aws:batch:us-west-2:123456789012:job-queue/queue";
  settings.queues = {queue};
  return settings;
}

class TemporaryHome {
 public:
  TemporaryHome() {
    path_ = (fs::temp_directory_path() / "cox-home-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp");
  }
  ~TemporaryHome() { fs::remove_all(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(AwsbatchCliConfig, HasEveryKeyOfACluster) {
  EXPECT_EQ(render_awsbatch_cli_config(some_settings(), "10.0.0.10"),
            "[main]\n"
            "cluster_name = tutor2\n"
            "region = us-west-2\n"
            "\n"
            "[cluster tutor2]\n"
            "region = us-west-2\n"
            "s3_bucket = coxswain-tutor2\n"
            "artifact_directory = coxswain/tutor2\n"
            "batch_cli_requirements = aws-parallelcluster-awsbatch-cli<2.0.0\n"
            "compute_environment = "
            "arn:aws:batch:us-west-2:123456789012:compute-environment/tutor2-compute\n"
            "job_queue = arn:aws:batch:us-west-2:123456789012:job-queue/queue\n"
            "job_definition = "
            "arn:aws:batch:us-west-2:123456789012:job-definition/tutor2-JobDefinition:1\n"
            "job_definition_mnp = "
            "arn:aws:batch:us-west-2:123456789012:job-definition/tutor2-JobDefinitionMNP:1\n"
            "head_node_ip = 10.0.0.10\n"
            "proxy = NONE\n");
}

TEST(AwsbatchCliConfig, NamesTheHeadNodeAsVersion2DidInAClusterOfVersion2) {
  auto settings = some_settings();
  settings.v2 = true;

  const auto text = render_awsbatch_cli_config(settings, "10.0.0.10");

  EXPECT_NE(text.find("\nmaster_ip = 10.0.0.10\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("head_node_ip"), std::string::npos) << text;
}

TEST(FurnishHome, WritesWhatIsAbsentAndKeepsTheUsersOwn) {
  const TemporaryHome home;
  std::ofstream(home.path() + "/.bashrc") << "mine\n";

  const auto done = furnish_home(home.path(), some_settings(), "10.0.0.10");

  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(content_of(home.path() + "/.bashrc"), "mine\n");
  EXPECT_EQ(content_of(home.path() + "/.bash_profile"), render_bash_profile());
  EXPECT_EQ(content_of(home.path() + "/.parallelcluster/awsbatch-cli.cfg"),
            render_awsbatch_cli_config(some_settings(), "10.0.0.10"));
}

TEST(LoginFiles, GiveThePromptAndThePathOfANode) {
  EXPECT_EQ(render_bashrc("ec2-user"),
            "# Shells on this cluster's nodes. Yours to change.\n"
            "case $- in\n"
            "  *i*) PS1='[ec2-user@\\h \\W]\\$ ' ;;\n"
            "esac\n");
  EXPECT_NE(render_bash_profile().find("export PATH=/run/coxswain/bin:"), std::string::npos);
}

}  // namespace
}  // namespace cox::coxd
