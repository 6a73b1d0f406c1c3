#include <algorithm>

#include "launcher/config/ini_converter.hpp"
#include "launcher/config/ini_keys.hpp"
#include "launcher/config/tree.hpp"
#include "runtime/base/text.hpp"

/// The conversion's checks and the cluster as a whole; storage and queues are in
/// convert_storage.cpp and convert_queues.cpp.
namespace cox::config {

namespace {

// As everywhere in the product, where AWS would know the account.
constexpr const char* kAccount = "123456789012";

/// Values may have several lines; remarks and comments have one.
std::string on_one_line(std::string value) {
  std::replace_if(
      value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return value;
}

/// Version 2 takes an empty text, and NONE, for one that is not there. Of a shared_dir it means
/// that the section is not used.
void forget_absent(IniSection& section) {
  const auto* known = find_ini_keys(section.type);
  if (known == nullptr) return;
  std::erase_if(section.values, [&](const IniValue& value) {
    const bool empty = value.text.empty() || value.text == "NONE";
    return empty && value.key != "shared_dir" &&
           std::any_of(known->keys.begin(), known->keys.end(), [&](const IniKey& key) {
             return key.name == value.key && key.kind == IniKind::text;
           });
  });
}

}  // namespace

IniConverter::IniConverter(std::string_view text, const ConvertOptions& options)
    : options_(options) {
  std::vector<Finding> findings;
  sections_ = parse_ini(text, findings);
  for (auto& each : sections_) forget_absent(each);
  if (findings.empty()) return;
  const auto& first = findings.front();
  throw Fault{first.place.line > 0 ? fmt::format("line {}: {}", first.place.line, first.text)
                                   : first.text};
}

Conversion IniConverter::run() {
  find_sections();
  note("volumes are encrypted by default in version 3, and were not in version 2.");
  check_scheduler();
  check_dropped();
  check_ambiguous();
  check_development();
  check_storage_names();
  check_queue_names();
  check_unknown();
  if (labels(*cluster_, "ebs").empty()) {
    note(
        "version 2 shares a volume at /shared where the file says nothing of storage; it is kept "
        "as default-ebs. Where no job needs it, take it out of SharedStorage.");
  }
  YamlNode file;
  for (const auto& each : sections_) {
    if (each.type == "aws") copy(each, file, {{"aws_region_name", "Region"}});
  }
  file.set("Image", image());
  copy(*cluster_, file,
       {{"cluster_resource_bucket", "CustomS3Bucket"},
        {"additional_cfn_template", "AdditionalResources"}});
  file.set("Iam", roles());
  YamlNode software;
  copy(*cluster_, software,
       {{"enable_intel_hpc_platform", "IntelHpcPlatform", KeyPair::As::boolean}});
  YamlNode packages;
  packages.set("IntelSoftware", std::move(software));
  file.set("AdditionalPackages", std::move(packages));
  file.set("Tags", tags());
  file.set("SharedStorage", storage());
  file.set("Monitoring", monitoring());
  file.set("HeadNode", head_node());
  file.set("Scheduling", scheduling());
  file.set("DevSettings", development());
  return {comments_ + file.render(), std::move(remarks_)};
}

void IniConverter::note(const std::string& text) {
  remarks_.push_back("Note: " + text);
  comment(text);
}

void IniConverter::comment(const std::string& text) {
  comments_ += "# " + on_one_line(text) + "\n";
}

void IniConverter::warn(const std::string& text) { remarks_.push_back("Warning: " + text); }

void IniConverter::find_sections() {
  auto label = options_.cluster_template;
  for (const auto& each : sections_) {
    if (label.empty() && each.type == "global") label = each.get("cluster_template");
  }
  if (label.empty()) label = "default";
  cluster_ = &section("cluster", label);
  const auto vpc = std::string(trim(get("vpc_settings")));
  if (vpc.empty()) throw Fault{fmt::format("[{}] has no vpc_settings", cluster_->title())};
  vpc_ = &section("vpc", vpc);
}

void IniConverter::check_scheduler() {
  const auto scheduler = get("scheduler");
  if (scheduler.empty()) throw Fault{fmt::format("[{}] has no scheduler", cluster_->title())};
  if (scheduler == "sge" || scheduler == "torque") {
    throw Fault{
        fmt::format("scheduler = {} is not in version 3: only awsbatch and slurm are", scheduler)};
  }
  if (scheduler != "slurm" && scheduler != "awsbatch") {
    throw Fault{fmt::format("there is no scheduler {}", scheduler)};
  }
  if (scheduler == "slurm") {
    note(
        "version 3 keeps the head node's instance metadata from ordinary users. Where they need "
        "it, set HeadNode/Imds/Secured to false.");
  }
}

void IniConverter::drop(const IniSection* from, const std::string& key) {
  if (from == nullptr || from->get(key).empty()) return;
  const auto value = on_one_line(from->get(key));
  comment(fmt::format("{} = {} is ignored", key, value));
  warn(fmt::format("{} = {} is not in version 3 and is left out.", key, value));
}

void IniConverter::check_dropped() {
  const auto general = [&](const std::string& type) -> const IniSection* {
    const auto found = std::find_if(sections_.begin(), sections_.end(),
                                    [&](const IniSection& each) { return each.type == type; });
    return found == sections_.end() ? nullptr : &*found;
  };
  drop(vpc_, "vpc_id");
  if (vpc_->has("compute_subnet_cidr")) {
    throw Fault{
        fmt::format("compute_subnet_cidr = {} is not in version 3: take it out, and name a "
                    "subnet as compute_subnet_id",
                    vpc_->get("compute_subnet_cidr"))};
  }
  drop(general("global"), "update_check");
  drop(general("aliases"), "ssh");
  drop(cluster_, "encrypted_ephemeral");
  // Arguments of no script.
  for (const std::string key : {"pre_install", "post_install"}) {
    if (get(key).empty()) drop(cluster_, key + "_args");
  }
  const auto* global = general("global");
  if (global != nullptr && flag(*global, "sanity_check") == false) {
    warn(
        "sanity_check = false is not in version 3: give create-cluster the option "
        "--suppress-validators ALL.");
    comment("sanity_check = false is ignored");
  }
}

void IniConverter::check_ambiguous() {
  const auto check = [&](const IniSection& from, const char* key) {
    if (from.get(key).empty()) return;
    warn(
        fmt::format("{} = {} now stands at the head node and at the queues. See whether both need "
                    "it.",
                    key, from.get(key)));
  };
  for (const auto* key :
       {"additional_iam_policies", "s3_read_write_resource", "s3_read_resource",
        "disable_hyperthreading", "pre_install", "post_install", "proxy_server"}) {
    check(*cluster_, key);
  }
  check(*vpc_, "additional_sg");
  check(*vpc_, "vpc_security_group_id");
}

void IniConverter::check_development() {
  std::vector<std::string> given;
  for (const auto* key :
       {"extra_json", "custom_chef_cookbook", "template_url", "instance_types_data"}) {
    if (!get(key).empty()) given.emplace_back(key);
  }
  if (given.empty()) return;
  if (!options_.force) {
    throw Fault{
        fmt::format("{} are for development, and version 3 may change them at any time: "
                    "--force-convert takes them over all the same",
                    join(given, ", "))};
  }
  warn(fmt::format("{} are for development: version 3 may change them at any time.",
                   join(given, ", ")));
  comment("What stands below DevSettings is for development and may change at any time.");
}

void IniConverter::check_storage_names() {
  std::set<std::string> seen;
  for (const auto* type : {"ebs", "fsx", "raid", "efs"}) {
    for (const auto& label : labels(*cluster_, type)) {
      std::string text;
      if (!seen.insert(label).second) {
        text = fmt::format(
            "the name {} is used twice in SharedStorage: change one before the "
            "cluster is made.",
            label);
      } else if (label == "default") {
        text = fmt::format(
            "[{} default]: version 3 does not take the name default: change it "
            "before the cluster is made.",
            type);
      } else {
        continue;
      }
      warn(text);
      comment(text);
    }
  }
}

void IniConverter::check_queue_names() {
  if (get("scheduler") != "slurm") return;
  const auto check = [&](const std::string& type, const std::string& label) {
    if (label != "default" && label.find('_') == std::string::npos) return;
    const auto text = fmt::format(
        "[{} {}]: version 3 does not take {} in a name: change it before "
        "the cluster is made.",
        type, label, label == "default" ? "default" : "_");
    warn(text);
    comment(text);
  };
  for (const auto& queue : labels(*cluster_, "queue")) {
    check("queue", queue);
    for (const auto& resource : labels(section("queue", queue), "compute_resource")) {
      check("compute_resource", resource);
      drop(&section("compute_resource", resource), "initial_count");
    }
  }
  if (!labels(*cluster_, "queue").empty()) return;
  const bool kept = flag(*cluster_, "maintain_initial_size").value_or(false);
  if (!kept) drop(cluster_, "initial_queue_size");
}

void IniConverter::check_unknown() {
  for (const auto* each : {cluster_, vpc_}) {
    const auto* known = find_ini_keys(each->type);
    for (const auto& value : each->values) {
      const bool found =
          known != nullptr && std::any_of(known->keys.begin(), known->keys.end(),
                                          [&](const IniKey& key) { return value.key == key.name; });
      if (!found) {
        warn(fmt::format("{} in [{}] is not a key of version 2 and is left out.", value.key,
                         each->title()));
      }
    }
  }
}

YamlNode IniConverter::image() const {
  YamlNode image;
  copy(*cluster_, image, {{"custom_ami", "CustomAmi"}, {"base_os", "Os"}});
  return image;
}

YamlNode IniConverter::roles() const {
  YamlNode iam;
  if (const auto role = get("iam_lambda_role"); !role.empty()) {
    YamlNode roles;
    roles.set("LambdaFunctionsRole", YamlNode::text(arn_of_role(role)));
    iam.set("Roles", std::move(roles));
  }
  return iam;
}

std::string IniConverter::arn_of_role(const std::string& name) const {
  auto region = options_.environment_region;
  for (const auto& each : sections_) {
    if (each.type == "aws" && each.has("aws_region_name")) region = each.get("aws_region_name");
  }
  const auto* partition = region.starts_with("us-gov") ? "aws-us-gov"
                          : region.starts_with("cn")   ? "aws-cn"
                                                       : "aws";
  return fmt::format("arn:{}:iam::{}:role/{}", partition, kAccount, name);
}

YamlNode IniConverter::tags() const {
  YamlNode list;
  const auto text = get("tags");
  if (text.empty()) return list;
  std::vector<Finding> faults;
  const auto tree = parse_yaml(text, faults);  // JSON is a part of YAML
  if (!tree || tree->kind != Tree::Kind::map || !faults.empty()) {
    throw Fault{
        fmt::format("tags must be a JSON map such as {{\"key\": \"value\"}}, not {}", text)};
  }
  for (const auto& entry : tree->entries) {
    YamlNode tag;
    tag.set("Key", YamlNode::text(entry.key));
    tag.set("Value", YamlNode::text(entry.value.scalar));
    list.add(std::move(tag));
  }
  return list;
}

YamlNode IniConverter::development() const {
  YamlNode cookbook;
  copy(*cluster_, cookbook,
       {{"extra_json", "ExtraChefAttributes"}, {"custom_chef_cookbook", "ChefCookbook"}});
  YamlNode settings;
  copy(*cluster_, settings,
       {{"template_url", "ClusterTemplate"}, {"instance_types_data", "InstanceTypesData"}});
  settings.set("Cookbook", std::move(cookbook));
  return settings;
}

void IniConverter::copy(const IniSection& from, YamlNode& to,
                        std::initializer_list<KeyPair> keys) const {
  for (const auto& key : keys) {
    const auto* value = from.find(key.from);
    if (value == nullptr) continue;
    const auto wrong = [&](const char* what) {
      return Fault{fmt::format("line {}: {} in [{}] must be {}, not '{}'", value->place.line,
                               key.from, from.title(), what, value->text)};
    };
    switch (key.as) {
      case KeyPair::As::text:
        to.set(key.to, YamlNode::text(value->text));
        break;
      case KeyPair::As::integer:
        if (!to_int(value->text)) throw wrong("a whole number");
        to.set(key.to, YamlNode::plain(value->text));
        break;
      case KeyPair::As::number:
        if (ini_fault({key.from, IniKind::number, ">=0"}, value->text)) throw wrong("a number");
        to.set(key.to, YamlNode::plain(value->text));
        break;
      case KeyPair::As::boolean: {
        const auto truth = ini_boolean(value->text);
        if (!truth) throw wrong("true or false");
        to.set(key.to, YamlNode::boolean(*truth));
        break;
      }
    }
  }
}

const IniSection& IniConverter::section(const std::string& type, const std::string& label) const {
  for (const auto& each : sections_) {
    if (each.type == type && each.label == label) return each;
  }
  throw Fault{fmt::format("the section [{} {}] is not in the file", type, label)};
}

std::vector<std::string> IniConverter::labels(const IniSection& from,
                                              const std::string& type) const {
  std::vector<std::string> found;
  for (const auto& word : split(from.get(type + "_settings"), ',')) {
    if (!trim(word).empty()) found.emplace_back(trim(word));
  }
  return found;
}

std::optional<bool> IniConverter::flag(const IniSection& from, const std::string& key) const {
  const auto* value = from.find(key);
  if (value == nullptr) return std::nullopt;
  if (const auto truth = ini_boolean(value->text)) return truth;
  throw Fault{fmt::format("line {}: {} in [{}] must be true or false, not '{}'", value->place.line,
                          key, from.title(), value->text)};
}

Result<Conversion> convert_ini(std::string_view text, const ConvertOptions& options) {
  try {
    return IniConverter(text, options).run();
  } catch (const IniConverter::Fault& fault) {
    return fail(Errc::invalid_argument, "{}", fault.text);
  }
}

}  // namespace cox::config
