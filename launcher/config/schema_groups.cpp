#include "launcher/config/schema_keys.hpp"

/// Groups of keys that stand in several places of the table.
namespace cox::config {

using enum KeyKind;

void add_keys(Keys& keys, const std::string& parent, std::initializer_list<SchemaKey> more) {
  for (auto key : more) {
    if (!parent.empty()) key.path = parent + "/" + key.path;
    keys.push_back(std::move(key));
  }
}

namespace {

SchemaKey with_fate(SchemaKey key, Fate fate, std::string_view note) {
  key.fate = fate;
  key.note = note;
  return key;
}

}  // namespace

SchemaKey on_aws(SchemaKey key, std::string_view note) {
  return with_fate(std::move(key), Fate::aws_only, note);
}

SchemaKey served(SchemaKey key, std::string_view note) {
  return with_fate(std::move(key), Fate::served, note);
}

SchemaKey warned(SchemaKey key, std::string_view note) {
  return with_fate(std::move(key), Fate::warned, note);
}

SchemaKey refused(SchemaKey key, std::string_view note) {
  return with_fate(std::move(key), Fate::refused, note);
}

SchemaKey only_with(std::string_view scheduler, SchemaKey key) {
  key.only = scheduler;
  return key;
}

void add_tags(Keys& keys, const std::string& path, std::string_view rule) {
  keys.push_back({path, list, false, rule});
  add_keys(keys, path + "[]", {{"Key", text, true, "~128"}, {"Value", text, true, "~256"}});
}

void add_iam(Keys& keys, const std::string& path, bool with_s3) {
  keys.push_back(on_aws({path, map}, "grants the instances access to services of AWS"));
  add_keys(keys, path,
           {{"InstanceProfile", text, false, "arn:instance-profile"},
            {"InstanceRole", text, false, "arn:role"},
            {"AdditionalIamPolicies", list},
            {"AdditionalIamPolicies[]/Policy", text, true, "arn:policy"}});
  if (!with_s3) return;
  add_keys(keys, path,
           {{"S3Access", list},
            {"S3Access[]/BucketName", text, true, "bucket"},
            {"S3Access[]/KeyName", text, false, "", "the whole bucket"},
            {"S3Access[]/EnableWriteAccess", boolean, false, "", "false"}});
}

void add_security_groups(Keys& keys, const std::string& path) {
  add_keys(keys, path,
           {on_aws({"SecurityGroups", texts, false, "sg-"}, "filters the instances' traffic"),
            on_aws({"AdditionalSecurityGroups", texts, false, "sg-"},
                   "filters the instances' traffic")});
}

void add_proxy(Keys& keys, const std::string& path) {
  add_keys(keys, path,
           {on_aws({"Proxy", map}, "sends the instances' HTTP requests to AWS through a proxy"),
            {"Proxy/HttpProxyAddress", text}});
}

void add_ssh(Keys& keys, const std::string& path) {
  add_keys(keys, path,
           {{"Ssh", map},
            served({"Ssh/KeyName", text},
                   "kept and shown; `pcluster ssh` needs no key where the head node is local"),
            on_aws({"Ssh/AllowedIps", text, false, "cidr", "0.0.0.0/0"},
                   "lets only these addresses reach port 22")});
}

void add_dcv(Keys& keys, const std::string& path) {
  add_keys(keys, path,
           {on_aws({"Dcv", map}, "serves a remote desktop"),
            {"Dcv/Enabled", boolean},
            {"Dcv/Port", integer, false, "", "8443"},
            {"Dcv/AllowedIps", text, false, "cidr", "0.0.0.0/0"}});
}

void add_root_volume(Keys& keys, const std::string& path, bool of_head_node) {
  keys.push_back(on_aws({path, map}, "sizes the instances' own disks"));
  add_keys(keys, path,
           {{"EphemeralVolume", map},
            {"EphemeralVolume/MountDir", text, false, "mount", "/scratch"},
            {"RootVolume", map},
            {"RootVolume/Encrypted", boolean, false, "", "true"},
            {"RootVolume/Iops", integer, false, "", "3000 (gp3), 100 (io1, io2)"},
            {"RootVolume/VolumeType", text, false, kVolumeTypes, "gp3"},
            {"RootVolume/Size", integer, false, "", "the image's size"},
            {"RootVolume/Throughput", integer, false, "", "125 (gp3)"}});
  if (!of_head_node) return;
  add_keys(keys, path, {{"RootVolume/DeleteOnTermination", boolean, false, "", "true"}});
}

namespace {

/// A script with its arguments, or a sequence of them.
void add_action(Keys& keys, const std::string& path) {
  add_keys(keys, path,
           {{"Script", text},
            {"Args", texts},
            {"Sequence", list},
            {"Sequence[]/Script", text, true},
            {"Sequence[]/Args", texts}});
}

}  // namespace

void add_actions(Keys& keys, const std::string& path, bool of_head_node) {
  keys.push_back(served({path, map}, of_head_node
                                         ? "run on the head node when it comes up, before it is "
                                           "ready; with the first that fails it has failed"
                                         : "run on each of the queue's nodes when it comes up, "
                                           "before it takes jobs"));
  for (const auto* name : {"OnNodeStart", "OnNodeConfigured"}) {
    keys.push_back({path + "/" + name, map});
    add_action(keys, path + "/" + name);
  }
  if (!of_head_node) return;
  keys.push_back(only_with(
      "slurm", served({path + "/OnNodeUpdated", map},
                      "run on the head node by an update, which is taken back if one fails")));
  add_action(keys, path + "/OnNodeUpdated");
}

void add_login_actions(Keys& keys, const std::string& path) {
  keys.push_back({path, map});
  for (const auto* name : {"OnNodeStart", "OnNodeConfigured", "OnNodeUpdated"}) {
    keys.push_back({path + "/" + name, map});
    add_action(keys, path + "/" + name);
  }
}

void add_custom_ami(Keys& keys, const std::string& path) {
  add_keys(keys, path,
           {on_aws({"CustomAmi", text, false, "ami-"},
                   "starts the instances from this image; here nodes have this machine's "
                   "programs")});
}

}  // namespace cox::config
