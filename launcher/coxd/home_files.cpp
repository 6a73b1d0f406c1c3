#include "launcher/coxd/home_files.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "launcher/provider/login.hpp"
#include "runtime/os/files.hpp"

namespace cox::coxd {
namespace {

Result<void> write_if_absent(const std::string& path, const std::string& text) {
  if (::access(path.c_str(), F_OK) == 0) return {};
  return os::write_file_atomic(path, text, 0644);
}

}  // namespace

std::string render_awsbatch_cli_config(const ClusterSettings& settings,
                                       const std::string& head_address) {
  const auto definition = [&settings](const char* suffix) {
    return fmt::format("arn:aws:batch:{}:{}:job-definition/{}-{}:1", settings.region,
                       settings.account, settings.name, suffix);
  };
  std::string text = fmt::format("[main]\ncluster_name = {}\nregion = {}\n\n[cluster {}]\n",
                                 settings.name, settings.region, settings.name);
  const auto add = [&text](const char* key, const std::string& value) {
    text += fmt::format("{} = {}\n", key, value);
  };
  add("region", settings.region);
  add("s3_bucket", "coxswain-" + settings.name);
  add("artifact_directory", "coxswain/" + settings.name);
  add("batch_cli_requirements", "aws-parallelcluster-awsbatch-cli<2.0.0");
  if (!settings.environments.empty()) {
    add("compute_environment", settings.environments.front().arn);
  }
  if (!settings.queues.empty()) add("job_queue", settings.queues.front().arn);
  add("job_definition", definition("JobDefinition"));
  add("job_definition_mnp", definition("JobDefinitionMNP"));
  add(settings.v2 ? "master_ip" : "head_node_ip", head_address);
  add("proxy", "NONE");
  return text;
}

std::string render_bash_profile() {
  return fmt::format(
      "# A login on this cluster's nodes. Yours to change.\n"
      "if [ -f ~/.bashrc ]; then\n"
      "  . ~/.bashrc\n"
      "fi\n"
      "export PATH={}\n",
      provider::kLoginPath);
}

std::string render_bashrc(const std::string& os_user) {
  return fmt::format(
      "# Shells on this cluster's nodes. Yours to change.\n"
      "case $- in\n"
      "  *i*) PS1='[{}@\\h \\W]\\$ ' ;;\n"
      "esac\n",
      os_user);
}

Result<void> furnish_home(const std::string& home, const ClusterSettings& settings,
                          const std::string& head_address) {
  const std::string config = home + "/.parallelcluster";
  return os::make_directories(config)
      .and_then([&] { return write_if_absent(home + "/.bash_profile", render_bash_profile()); })
      .and_then([&] { return write_if_absent(home + "/.bashrc", render_bashrc(settings.os_user)); })
      .and_then([&] {
        return write_if_absent(config + "/awsbatch-cli.cfg",
                               render_awsbatch_cli_config(settings, head_address));
      });
}

}  // namespace cox::coxd
