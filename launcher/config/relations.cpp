#include <algorithm>
#include <set>

#include "launcher/config/rules.hpp"
#include "launcher/config/tree_checker.hpp"

/// What excludes what in a v3 file, and what a scheduler does not have.
namespace cox::config {

namespace {

class Relations : private TreeChecker {
 public:
  explicit Relations(const Tree& tree) : TreeChecker(tree) {}

  std::vector<Finding> run() {
    if (scheduler_of(tree_) == "awsbatch") {
      check_awsbatch();
    } else {
      check_slurm();
    }
    check_exclusions("HeadNode");
    check_actions("HeadNode.CustomActions");
    for (const auto& pool : items("LoginNodes.Pools")) {
      check_exclusions(pool);
      check_actions(pool + ".CustomActions");
    }
    check_tags("Tags");
    check_own_names();
    return std::move(findings_);
  }

 private:
  void check_awsbatch() {
    if (is_true("DeploymentSettings.DisableSudoAccessForDefaultUser")) {
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
    const auto* secured = at("HeadNode.Imds.Secured");
    if (secured == nullptr || to_bool(*secured).value_or(false)) {
      add("HeadNode.Imds.Secured", "HeadNodeImdsValidator",
          "IMDS Secured cannot be enabled when using scheduler awsbatch; it is unless the file "
          "says HeadNode/Imds/Secured: false");
    }
    tell_beyond_aws("Scheduling.AwsBatchQueues");
    for (const auto& queue : items("Scheduling.AwsBatchQueues")) {
      exclude(queue + ".Networking", {"SecurityGroups", "AdditionalSecurityGroups"});
      tell_beyond_aws(queue + ".ComputeResources");
    }
  }

  /// Several where ParallelCluster has one are served; that the file is ours alone then is said.
  void tell_beyond_aws(const std::string& path) {
    const auto count = items(path).size();
    if (count < 2) return;
    add(path, "BeyondAwsValidator",
        fmt::format("ParallelCluster takes one item here with Scheduler: awsbatch; Coxswain makes "
                    "all {}.",
                    count),
        Level::info);
  }

  void check_slurm() {
    exclude("Scheduling.SlurmSettings", {"Database", "ExternalSlurmdbd"});
    for (const auto& queue : items("Scheduling.SlurmQueues")) {
      check_exclusions(queue);
      exclude(queue + ".Networking.PlacementGroup", {"Id", "Name"});
      exclude(queue + ".CapacityReservationTarget",
              {"CapacityReservationId", "CapacityReservationResourceGroupArn"});
      check_actions(queue + ".CustomActions");
      check_tags(queue + ".Tags");
      if (is_true(queue + ".JobExclusiveAllocation")) {
        add(queue + ".JobExclusiveAllocation", "NotServedValidator",
            "A node that has room for several jobs runs them side by side: ask for all of its "
            "vCPUs to have it alone.",
            Level::warning);
      }
      for (const auto& resource : items(queue + ".ComputeResources")) {
        check_resource(queue, resource);
      }
    }
  }

  void check_resource(const std::string& queue, const std::string& resource) {
    exclude(resource, {"InstanceType", "Instances"});
    if (!has(resource + ".InstanceType") && !has(resource + ".Instances")) {
      add(resource, kSchemaRule, "Either InstanceType or Instances must be given.");
    }
    exclude(resource + ".Networking.PlacementGroup", {"Id", "Name"});
    exclude(resource + ".CapacityReservationTarget",
            {"CapacityReservationId", "CapacityReservationResourceGroupArn"});
    check_tags(resource + ".Tags");
    std::set<std::string> seen;
    for (const auto& instance : items(resource + ".Instances")) {
      const auto type = text(instance + ".InstanceType");
      if (!type.empty() && !seen.insert(type).second) {
        add(instance + ".InstanceType", "DuplicateInstanceTypeValidator",
            fmt::format("The instance type {} stands twice.", type));
      }
    }
    const auto strategy = text(queue + ".AllocationStrategy");
    const auto capacity = text(queue + ".CapacityType");
    if (!strategy.empty() && strategy != "lowest-price" && has(resource + ".Instances") &&
        (capacity.empty() || capacity == "ONDEMAND")) {
      add(queue + ".AllocationStrategy", "InstancesAllocationStrategyValidator",
          fmt::format("ONDEMAND instances can be chosen by lowest-price only, not by {}.",
                      strategy));
    }
  }

  /// Of the head node, a queue, or a pool of login nodes.
  void check_exclusions(const std::string& owner) {
    exclude(owner + ".Networking", {"SecurityGroups", "AdditionalSecurityGroups"});
    exclude(owner + ".Iam", {"InstanceProfile", "InstanceRole", "AdditionalIamPolicies"});
    exclude(owner + ".Iam", {"S3Access", "InstanceRole"});
    exclude(owner + ".Iam", {"S3Access", "InstanceProfile"});
  }

  void check_actions(const std::string& actions) {
    for (const auto* name : {"OnNodeStart", "OnNodeConfigured", "OnNodeUpdated"}) {
      const auto path = actions + "." + name;
      const auto* action = at(path);
      if (action == nullptr || action->kind != Tree::Kind::map) continue;
      exclude(path, {"Script", "Sequence"});
      exclude(path, {"Args", "Sequence"});
      if (!has(path + ".Script") && !has(path + ".Sequence")) {
        add(path, kSchemaRule, "Either Script or Sequence must be given.");
      }
      if (has(path + ".Script")) check_script(path + ".Script");
      for (const auto& item : items(path + ".Sequence")) check_script(item + ".Script");
    }
  }

  void check_script(const std::string& path) {
    const auto* script = at(path);
    if (script == nullptr || script->kind != Tree::Kind::scalar) return;
    const auto fault = script_fault(script->scalar);
    if (!fault.empty()) add(path, "UrlValidator", fault);
  }

  /// Coxswain.ComputeResources and Coxswain.Queues say something of what the file has.
  void check_own_names() {
    std::vector<std::string> resources;
    std::vector<std::string> queues;
    for (const auto* list : {"Scheduling.AwsBatchQueues", "Scheduling.SlurmQueues"}) {
      for (const auto& queue : items(list)) {
        queues.push_back(text(queue + ".Name"));
        for (const auto& resource : items(queue + ".ComputeResources")) {
          resources.push_back(text(resource + ".Name"));
        }
      }
    }
    check_named("Coxswain.ComputeResources", "ProviderValidator", "compute resource", resources);
    check_named("Coxswain.Queues", "QueueNameValidator", "queue", queues);
  }

  void check_named(const std::string& list, const char* rule, const char* what,
                   const std::vector<std::string>& known) {
    std::set<std::string> seen;
    for (const auto& item : items(list)) {
      const auto path = item + ".Name";
      const auto name = text(path);
      if (!name.empty() && !seen.insert(name).second) {
        add(path, "DuplicateNameValidator", fmt::format("The name {} stands twice.", name));
      }
      if (name.empty() || std::find(known.begin(), known.end(), name) != known.end()) continue;
      const auto near = nearest(name, known);
      add(path, rule,
          fmt::format("There is no {} {}{}", what, name,
                      near ? fmt::format("; did you mean {}?", *near) : ""));
    }
  }

  void check_tags(const std::string& tags) {
    std::set<std::string> seen;
    for (const auto& tag : items(tags)) {
      const auto path = tag + ".Key";
      const auto key = text(path);
      if (key.starts_with("parallelcluster:")) {
        add(path, "TagKeyValidator",
            fmt::format("The tag key {} begins with parallelcluster:, which is kept for the "
                        "cluster's own.",
                        key));
      }
      if (!seen.insert(key).second) {
        add(path, "TagKeyValidator", fmt::format("The tag key {} stands twice.", key));
      }
    }
  }
};

}  // namespace

std::vector<Finding> check_relations(const Tree& tree) { return Relations(tree).run(); }

}  // namespace cox::config
