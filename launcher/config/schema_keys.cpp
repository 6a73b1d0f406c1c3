#include "launcher/config/schema_keys.hpp"

/// The table of keys: the cluster as a whole, the head node, login nodes, monitoring. Source:
/// ParallelCluster 3.12's schema.
namespace cox::config {

using enum KeyKind;

namespace {

void add_deployment_keys(Keys& keys) {
  add_keys(
      keys, "",
      {{"DeploymentSettings", map},
       on_aws({"DeploymentSettings/DefaultUserHome", text, false, "Shared|Local", "Shared"},
              "puts the login user's home on a shared or on a local disk"),
       on_aws({"DeploymentSettings/DisableSudoAccessForDefaultUser", boolean, false, "", "false"},
              "takes sudo from the login user, which here never has it"),
       on_aws({"DeploymentSettings/LambdaFunctionsVpcConfig", map},
              "places the functions that clean up after the cluster"),
       {"DeploymentSettings/LambdaFunctionsVpcConfig/SecurityGroupIds", texts, true, "#1..5 sg-"},
       {"DeploymentSettings/LambdaFunctionsVpcConfig/SubnetIds", texts, true, "#1..16 subnet-"},
       on_aws({"DevSettings", map}, "tries out other versions of ParallelCluster's own parts"),
       {"DevSettings/NodePackage", text},
       {"DevSettings/AwsBatchCliPackage", text},
       {"DevSettings/ClusterTemplate", text},
       refused(
           {"DevSettings/InstanceTypesData", text},
           "Other figures of instance types are not taken over: nodes would offer other numbers "
           "of vCPUs than the file says. Leave the key out."),
       {"DevSettings/ComputeStartupTimeMetricEnabled", boolean},
       {"DevSettings/Cookbook", map},
       {"DevSettings/Cookbook/ExtraChefAttributes", text},
       {"DevSettings/Cookbook/ChefCookbook", text},
       served({"DevSettings/Timeouts", map},
              "how many seconds the custom actions of a node may take"),
       {"DevSettings/Timeouts/HeadNodeBootstrapTimeout", integer, false, ">=1", "1800"},
       {"DevSettings/Timeouts/ComputeNodeBootstrapTimeout", integer, false, ">=1", "1800"},
       {"DevSettings/AmiSearchFilters", map},
       {"DevSettings/AmiSearchFilters/Owner", text}});
  add_tags(keys, "DevSettings/AmiSearchFilters/Tags");
}

void add_monitoring_keys(Keys& keys) {
  add_keys(
      keys, "",
      {{"Monitoring", map},
       on_aws({"Monitoring/DetailedMonitoring", boolean, false, "", "false"},
              "measures the instances once a minute"),
       on_aws({"Monitoring/Alarms", map}, "raises CloudWatch alarms"),
       {"Monitoring/Alarms/Enabled", boolean, false, "", "true"},
       on_aws({"Monitoring/Dashboards", map}, "makes a CloudWatch dashboard"),
       {"Monitoring/Dashboards/CloudWatch", map},
       {"Monitoring/Dashboards/CloudWatch/Enabled", boolean, false, "", "true"},
       {"Monitoring/Logs", map},
       on_aws({"Monitoring/Logs/Rotation", map}, "rotates log files on the instances"),
       {"Monitoring/Logs/Rotation/Enabled", boolean, false, "", "true"},
       {"Monitoring/Logs/CloudWatch", map},
       served({"Monitoring/Logs/CloudWatch/Enabled", boolean, false, "", "true"},
              "false: pcluster shows no logs of the cluster"),
       on_aws({"Monitoring/Logs/CloudWatch/DeletionPolicy", text, false, "Delete|Retain", "Retain"},
              "keeps the logs of a cluster that is deleted; here they go with it, and "
              "export-cluster-logs keeps them"),
       served({"Monitoring/Logs/CloudWatch/RetentionInDays", integer, false,
               "0|1|3|5|7|14|30|60|90|120|150|180|365|400|545|731|1827|3653", "180"},
              "what logs hold and jobs wrote is removed then; 0: with the cluster or the "
              "job")});
}

}  // namespace

void add_cluster_keys(Keys& keys) {
  add_keys(keys, "",
           {served({"Region", text, false, "", "-r, the environment, us-east-1"},
                   "the region in ARNs and in jobs' environment"),
            {"Image", map, true},
            served({"Image/Os", text, true,
                    "alinux2|alinux2023|ubuntu2004|ubuntu2204|rhel8|rocky8|rhel9|rocky9"},
                   "gives the login user's name")});
  add_custom_ami(keys, "Image");
  add_tags(keys, "Tags", "#40");
  add_keys(
      keys, "",
      {on_aws({"CustomS3Bucket", text}, "keeps the cluster's files in this bucket"),
       on_aws({"AdditionalResources", text}, "makes more resources from a CloudFormation template"),
       on_aws({"Imds", map}, "chooses the version of the instance metadata service"),
       {"Imds/ImdsSupport", text, false, "v1.0|v2.0", "v2.0"},
       on_aws({"Iam", map}, "names the roles that ParallelCluster makes and takes"),
       {"Iam/ResourcePrefix", text},
       {"Iam/PermissionsBoundary", text, false, "arn:policy"},
       {"Iam/Roles", map},
       {"Iam/Roles/LambdaFunctionsRole", text},
       {"AdditionalPackages", map},
       only_with("slurm", on_aws({"AdditionalPackages/IntelSoftware", map},
                                 "installs Intel's libraries on the instances")),
       {"AdditionalPackages/IntelSoftware/IntelHpcPlatform", boolean, false, "", "false"}});
  add_deployment_keys(keys);
  add_monitoring_keys(keys);
}

void add_head_node_keys(Keys& keys) {
  keys.push_back({"HeadNode", map, true});
  add_keys(keys, "HeadNode",
           {served({"InstanceType", text, true}, "its vCPUs and memory are shown"),
            on_aws({"DisableSimultaneousMultithreading", boolean, false, "", "false"},
                   "turns off the second thread of each core of the head node, where no job runs"),
            on_aws({"SharedStorageType", text, false, "Ebs|Efs", "Ebs"},
                   "chooses where the head node keeps what it shares"),
            {"Networking", map, true},
            served({"Networking/SubnetId", text, true, "subnet-"},
                   "its form is checked; the cluster's own network stands for every subnet"),
            on_aws({"Networking/ElasticIp", scalar}, "gives the head node a public address")});
  add_security_groups(keys, "HeadNode/Networking");
  add_proxy(keys, "HeadNode/Networking");
  add_ssh(keys, "HeadNode");
  add_root_volume(keys, "HeadNode/LocalStorage", true);
  add_iam(keys, "HeadNode/Iam", true);
  add_keys(keys, "HeadNode",
           {{"Image", map},
            {"Imds", map},
            served({"Imds/Secured", boolean, false, "", "true"},
                   "awsbatch needs false, as jobs ask the metadata service")});
  add_custom_ami(keys, "HeadNode/Image");
  add_dcv(keys, "HeadNode");
  add_actions(keys, "HeadNode/CustomActions", true);
}

void add_login_keys(Keys& keys) {
  const std::string pool = "LoginNodes/Pools[]";
  add_keys(keys, "",
           {only_with("slurm", on_aws({"LoginNodes", map},
                                      "makes machines to log in to; here that is the head node")),
            {"LoginNodes/Pools", list, true}});
  add_keys(keys, pool,
           {{"Name", text, true},
            {"InstanceType", text, true},
            {"Count", integer, true, ">=0"},
            {"GracetimePeriod", integer, false, "3..120", "10"},
            {"Networking", map, true},
            {"Networking/SubnetIds", texts, true, "#1! subnet-"},
            {"Networking/SecurityGroups", texts, false, "sg-"},
            {"Networking/AdditionalSecurityGroups", texts, false, "sg-"},
            {"Networking/Proxy", map},
            {"Networking/Proxy/HttpProxyAddress", text},
            {"Image", map},
            {"Image/CustomAmi", text, false, "ami-"},
            {"Ssh", map},
            {"Ssh/KeyName", text},
            {"Ssh/AllowedIps", text, false, "cidr", "the head node's"}});
  add_dcv(keys, pool);
  add_iam(keys, pool + "/Iam", false);
  add_login_actions(keys, pool + "/CustomActions");
  add_keys(keys, "",
           {only_with("slurm",
                      on_aws({"DirectoryService", map},
                             "takes users from a directory; here jobs run as who submits them")),
            {"DirectoryService/DomainName", text, true},
            {"DirectoryService/DomainAddr", text, true},
            {"DirectoryService/PasswordSecretArn", text, true, "arn:password"},
            {"DirectoryService/DomainReadOnlyUser", text, true},
            {"DirectoryService/LdapTlsCaCert", text},
            {"DirectoryService/LdapTlsReqCert", text, false, "never|allow|try|demand|hard", "hard"},
            {"DirectoryService/LdapAccessFilter", text},
            {"DirectoryService/GenerateSshKeysForUsers", boolean, false, "", "true"},
            {"DirectoryService/AdditionalSssdConfigs", settings}});
}

const std::vector<SchemaKey>& schema() {
  static const Keys keys = [] {
    Keys all;
    add_cluster_keys(all);
    add_head_node_keys(all);
    add_awsbatch_keys(all);
    add_slurm_keys(all);
    add_storage_keys(all);
    add_login_keys(all);
    add_own_keys(all);
    return all;
  }();
  return keys;
}

}  // namespace cox::config
