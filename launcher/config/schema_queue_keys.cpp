#include "launcher/config/schema_keys.hpp"

/// The table of keys: schedulers, queues, compute resources. Source: ParallelCluster 3.12's schema.
namespace cox::config {

using enum KeyKind;

void add_awsbatch_keys(Keys& keys) {
  keys.push_back({"Scheduling", map, true});
  add_keys(keys, "Scheduling",
           {served({"Scheduler", text, true, "slurm|awsbatch"},
                   "names the kind of the queues; jobs are submitted by awsbsub with both"),
            on_aws({"ScalingStrategy", text, false,
                    "all-or-nothing|best-effort|greedy-all-or-nothing", "all-or-nothing"},
                   "says what happens when EC2 has too few instances"),
            only_with("awsbatch", {"AwsBatchSettings", map}),
            only_with("awsbatch", {"AwsBatchQueues", list, true, "#1..50"})});
  const std::string queue = "Scheduling/AwsBatchQueues[]";
  add_keys(keys, queue,
           {{"Name", text, true},
            served({"CapacityType", text, false, "CAPACITY_BLOCK|ONDEMAND|SPOT", "ONDEMAND"},
                   "multi-node jobs do not run on SPOT queues, as on AWS"),
            {"Networking", map, true},
            served({"Networking/SubnetIds", texts, true, "#1! subnet-"},
                   "its form is checked; the cluster's own network stands for every subnet"),
            on_aws({"Networking/AssignPublicIp", boolean, false, "", "the subnet's setting"},
                   "gives the nodes public addresses")});
  add_security_groups(keys, queue + "/Networking");
  add_keys(keys, queue,
           {{"ComputeResources", list, true, "#1..50"},
            {"ComputeResources[]/Name", text, true},
            served({"ComputeResources[]/InstanceTypes", texts, true},
                   "types, families (c5) or optimal; a node has its type's vCPUs and memory"),
            served({"ComputeResources[]/MinvCpus", integer, false, ">=0", "0"},
                   "nodes of so many vCPUs are always there"),
            served({"ComputeResources[]/DesiredvCpus", integer, false, ">=0", "MinvCpus"},
                   "nodes of so many vCPUs are there at the beginning"),
            served({"ComputeResources[]/MaxvCpus", integer, false, ">=1", "10"},
                   "nodes never have more vCPUs together"),
            on_aws({"ComputeResources[]/SpotBidPercentage", integer, false, "1..100"},
                   "bounds what SPOT instances may cost")});
}

namespace {

void add_placement_group(Keys& keys, const std::string& path) {
  keys.push_back(on_aws({path, map}, "places the instances near each other"));
  add_keys(keys, path, {{"Enabled", boolean}, {"Id", text}, {"Name", text}});
}

void add_health_checks(Keys& keys, const std::string& path) {
  keys.push_back(on_aws({path, map}, "tests the nodes' GPUs before a job"));
  add_keys(keys, path, {{"Gpu", map}, {"Gpu/Enabled", boolean}});
}

void add_reservation(Keys& keys, const std::string& path) {
  keys.push_back(on_aws({path, map}, "takes the instances from a reservation"));
  add_keys(keys, path,
           {{"CapacityReservationId", text}, {"CapacityReservationResourceGroupArn", text}});
}

SchemaKey slurm_settings(const char* path, KeyKind kind) {
  return on_aws({path, kind}, "sets Slurm's own configuration, and no Slurm runs here");
}

void add_slurm_settings_keys(Keys& keys) {
  add_keys(keys, "Scheduling",
           {only_with("slurm", {"SlurmSettings", map}),
            served({"SlurmSettings/ScaledownIdletime", integer, false, ">=-1", "10"},
                   "minutes until an idle node is given back; -1: never"),
            on_aws({"SlurmSettings/QueueUpdateStrategy", text, false,
                    "DRAIN|COMPUTE_FLEET_STOP|TERMINATE", "COMPUTE_FLEET_STOP"},
                   "says how pcluster update-cluster treats running nodes"),
            on_aws({"SlurmSettings/EnableMemoryBasedScheduling", boolean, false, "", "false"},
                   "lets Slurm count memory, which here always counts"),
            on_aws({"SlurmSettings/MungeKeySecretArn", text}, "takes munge's key from a secret"),
            slurm_settings("SlurmSettings/CustomSlurmSettings", settings_list),
            slurm_settings("SlurmSettings/CustomSlurmSettingsIncludeFile", text),
            on_aws({"SlurmSettings/ExternalSlurmdbd", map},
                   "sends the accounting of jobs to another slurmdbd"),
            {"SlurmSettings/ExternalSlurmdbd/Host", text, true},
            {"SlurmSettings/ExternalSlurmdbd/Port", integer, false, "", "6819"},
            on_aws({"SlurmSettings/Database", map}, "keeps the accounting of jobs in a database"),
            {"SlurmSettings/Database/Uri", text, true},
            {"SlurmSettings/Database/UserName", text, true},
            {"SlurmSettings/Database/PasswordSecretArn", text, true, "arn:secret"},
            {"SlurmSettings/Database/DatabaseName", text, false, "word"},
            on_aws({"SlurmSettings/Dns", map}, "gives the nodes names in Route 53"),
            {"SlurmSettings/Dns/DisableManagedDns", boolean, false, "", "false"},
            {"SlurmSettings/Dns/UseEc2Hostnames", boolean, false, "", "false"},
            {"SlurmSettings/Dns/HostedZoneId", text}});
}

void add_slurm_resource_keys(Keys& keys) {
  const std::string resource = "Scheduling/SlurmQueues[]/ComputeResources[]";
  add_keys(
      keys, resource,
      {{"Name", text, true},
       served({"InstanceType", text}, "a node has its type's vCPUs and memory"),
       served({"Instances", list}, "several types of as many vCPUs, in place of InstanceType"),
       {"Instances[]/InstanceType", text, true},
       served({"MinCount", integer, false, ">=0", "0"}, "so many nodes are always there"),
       served({"MaxCount", integer, false, ">=1", "10"}, "never more nodes"),
       served({"DisableSimultaneousMultithreading", boolean, false, "", "false"},
              "a node offers its type's cores in place of its vCPUs"),
       served({"SchedulableMemory", integer, false, ">=1"}, "MiB of a node that jobs may take"),
       on_aws({"SpotPrice", number, false, ">=0"}, "bounds what SPOT instances may cost"),
       slurm_settings("CustomSlurmSettings", settings),
       on_aws({"StaticNodePriority", integer, false, "1..4294967295", "1"},
              "weighs nodes that are always there, which here are taken first"),
       on_aws({"DynamicNodePriority", integer, false, "1..4294967295", "1000"},
              "weighs nodes that come and go"),
       on_aws({"Efa", map}, "gives the instances Elastic Fabric Adapters"),
       {"Efa/Enabled", boolean},
       {"Efa/GdrSupport", boolean, false, "", "false"},
       {"Networking", map}});
  add_placement_group(keys, resource + "/Networking/PlacementGroup");
  add_health_checks(keys, resource + "/HealthChecks");
  add_reservation(keys, resource + "/CapacityReservationTarget");
  add_tags(keys, resource + "/Tags");
}

}  // namespace

void add_slurm_keys(Keys& keys) {
  add_slurm_settings_keys(keys);
  const std::string queue = "Scheduling/SlurmQueues[]";
  add_keys(keys, "Scheduling", {only_with("slurm", {"SlurmQueues", list, true, "#1..50"})});
  add_keys(keys, queue,
           {served({"Name", text, true}, "becomes a job queue"),
            on_aws({"CapacityType", text, false, "CAPACITY_BLOCK|ONDEMAND|SPOT", "ONDEMAND"},
                   "chooses how the instances are paid for"),
            on_aws({"AllocationStrategy", text, false,
                    "lowest-price|capacity-optimized|price-capacity-optimized", "lowest-price"},
                   "chooses among several instance types by price"),
            {"JobExclusiveAllocation", boolean, false, "", "false"},
            slurm_settings("CustomSlurmSettings", settings),
            {"Networking", map, true},
            served({"Networking/SubnetIds", texts, true, "#1..1000 subnet-"},
                   "its form is checked; the cluster's own network stands for every subnet"),
            on_aws({"Networking/AssignPublicIp", boolean, false, "", "the subnet's setting"},
                   "gives the nodes public addresses")});
  add_security_groups(keys, queue + "/Networking");
  add_proxy(keys, queue + "/Networking");
  add_placement_group(keys, queue + "/Networking/PlacementGroup");
  add_keys(keys, queue, {{"ComputeSettings", map}, {"Image", map}});
  add_root_volume(keys, queue + "/ComputeSettings/LocalStorage", false);
  add_custom_ami(keys, queue + "/Image");
  add_iam(keys, queue + "/Iam", true);
  add_health_checks(keys, queue + "/HealthChecks");
  add_reservation(keys, queue + "/CapacityReservationTarget");
  add_actions(keys, queue + "/CustomActions", false);
  add_tags(keys, queue + "/Tags");
  add_keys(keys, queue,
           {served({"ComputeResources", list, true, "#1..50"},
                   "each becomes a compute environment of the queue, in this order")});
  add_slurm_resource_keys(keys);
}

}  // namespace cox::config
