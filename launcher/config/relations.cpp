#include <algorithm>
#include <array>

#include "launcher/config/rules.hpp"
#include "launcher/config/schema.hpp"
#include "runtime/base/text.hpp"

/// What excludes what in a v3 file, and what awsbatch does not have.
namespace cox::config {

namespace {

class Relations {
 public:
  explicit Relations(const Tree& tree) : tree_(tree) {}

  std::vector<Finding> run() {
    check_awsbatch();
    check_exclusions();
    check_actions();
    check_storage();
    check_tags();
    return std::move(findings_);
  }

 private:
  void add(std::string path, const char* rule, std::string text, Level level = Level::error) {
    const auto place = place_of(tree_, path);
    findings_.push_back({level, rule, std::move(path), place, std::move(text)});
  }

  [[nodiscard]] bool has(const std::string& path) const {
    return find_path(tree_, path) != nullptr;
  }
  [[nodiscard]] std::string text(const std::string& path) const {
    const auto* found = find_path(tree_, path);
    return found != nullptr && found->kind == Tree::Kind::scalar ? found->scalar : std::string();
  }
  [[nodiscard]] std::size_t items(const std::string& path) const {
    const auto* found = find_path(tree_, path);
    return found != nullptr ? found->items.size() : 0;
  }

  void check_awsbatch() {
    for (const auto* key : {"Scheduling.SlurmSettings", "Scheduling.SlurmQueues"}) {
      if (has(key)) {
        add(key, kSchemaRule, "Unknown field. It is for Scheduler: slurm only.");
      }
    }
    for (const auto* key : {"DirectoryService", "AdditionalPackages.IntelSoftware",
                            "HeadNode.CustomActions.OnNodeUpdated"}) {
      if (has(key)) add(key, kSchemaRule, "Not supported with Scheduler: awsbatch.");
    }
    if (has("LoginNodes")) {
      add("LoginNodes", "LoginNodesSchedulerValidator",
          "Login nodes are not supported with Scheduler: awsbatch.");
    }
    const auto* sudo = find_path(tree_, "DeploymentSettings.DisableSudoAccessForDefaultUser");
    if (sudo != nullptr && to_bool(*sudo).value_or(false)) {
      add("DeploymentSettings.DisableSudoAccessForDefaultUser",
          "SchedulerDisableSudoAccessForDefaultUserValidator",
          "DisableSudoAccessForDefaultUser is not supported with Scheduler: awsbatch.");
    }
    const auto os = text("Image.Os");
    if (!os.empty() && os != "alinux2" && os != "alinux2023") {
      add("Image.Os", "SchedulerOsValidator",
          fmt::format("scheduler awsbatch supports the following operating systems: alinux2, "
                      "alinux2023; not {}",
                      os));
    }
    const auto* secured = find_path(tree_, "HeadNode.Imds.Secured");
    if (secured == nullptr || to_bool(*secured).value_or(false)) {
      add("HeadNode.Imds.Secured", "HeadNodeImdsValidator",
          "IMDS Secured cannot be enabled when using scheduler awsbatch; it is unless the file "
          "says "
          "HeadNode/Imds/Secured: false");
    }
  }

  void exclude(const std::string& parent, std::initializer_list<const char*> keys) {
    std::vector<std::string> given;
    for (const auto* key : keys) {
      if (has(parent + "." + key)) given.emplace_back(key);
    }
    if (given.size() < 2) return;
    add(parent + "." + given[1], kSchemaRule,
        fmt::format("Only one of {} may be given.", join(given, ", ")));
  }

  void check_exclusions() {
    exclude("HeadNode.Networking", {"SecurityGroups", "AdditionalSecurityGroups"});
    exclude("HeadNode.Iam", {"InstanceProfile", "InstanceRole", "AdditionalIamPolicies"});
    exclude("HeadNode.Iam", {"S3Access", "InstanceRole"});
    exclude("HeadNode.Iam", {"S3Access", "InstanceProfile"});
    for (std::size_t i = 0; i < items("Scheduling.AwsBatchQueues"); ++i) {
      exclude(fmt::format("Scheduling.AwsBatchQueues[{}].Networking", i),
              {"SecurityGroups", "AdditionalSecurityGroups"});
    }
  }

  void check_actions() {
    for (const auto* name : {"OnNodeStart", "OnNodeConfigured"}) {
      const auto path = std::string("HeadNode.CustomActions.") + name;
      const auto* action = find_path(tree_, path);
      if (action == nullptr || action->kind != Tree::Kind::map) continue;
      exclude(path, {"Script", "Sequence"});
      exclude(path, {"Args", "Sequence"});
      if (!has(path + ".Script") && !has(path + ".Sequence")) {
        add(path, kSchemaRule, "Either Script or Sequence must be given.");
      }
    }
  }

  void check_settings(const std::string& path, const std::string& type) {
    constexpr std::array<const char*, 6> kTypes{"Ebs",      "Efs",        "FsxLustre",
                                                "FsxOntap", "FsxOpenZfs", "FileCache"};
    for (const auto* other : kTypes) {
      const auto settings = fmt::format("{}.{}Settings", path, other);
      if (type != other && has(settings)) {
        add(settings, kSchemaRule,
            fmt::format("{}Settings cannot be given with StorageType {}.", other, type));
      }
    }
  }

  void check_storage() {
    for (std::size_t i = 0; i < items("SharedStorage"); ++i) {
      const auto path = fmt::format("SharedStorage[{}]", i);
      const auto type = text(path + ".StorageType");
      if (!type.empty()) check_settings(path, type);
      for (const auto* settings : {".EbsSettings", ".EfsSettings"}) {
        const auto policy = path + settings + ".DeletionPolicy";
        if (const auto word = text(policy); word == "Retain" || word == "Snapshot") {
          add(policy, "DeletionPolicyValidator",
              fmt::format("DeletionPolicy {} is not kept by a local cluster: the directory is "
                          "removed with the cluster. Copy out what is to stay.",
                          word),
              Level::warning);
        }
      }
      const auto mode = text(path + ".EfsSettings.ThroughputMode");
      const auto throughput = path + ".EfsSettings.ProvisionedThroughput";
      if (has(throughput) != (mode == "provisioned")) {
        add(has(throughput) ? throughput : path + ".EfsSettings.ThroughputMode", kSchemaRule,
            "ProvisionedThroughput and ThroughputMode: provisioned need each other.");
      }
    }
  }

  void check_tags() {
    std::vector<std::string> seen;
    for (std::size_t i = 0; i < items("Tags"); ++i) {
      const auto path = fmt::format("Tags[{}].Key", i);
      const auto key = text(path);
      if (key.starts_with("parallelcluster:")) {
        add(path, "TagKeyValidator",
            fmt::format("The tag key {} begins with parallelcluster:, which is kept for the "
                        "cluster's own.",
                        key));
      }
      if (std::find(seen.begin(), seen.end(), key) != seen.end()) {
        add(path, "TagKeyValidator", fmt::format("The tag key {} stands twice.", key));
      }
      seen.push_back(key);
    }
  }

  const Tree& tree_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> check_relations(const Tree& tree) { return Relations(tree).run(); }

}  // namespace cox::config
