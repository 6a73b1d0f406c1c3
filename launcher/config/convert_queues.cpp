#include "launcher/config/ini_converter.hpp"
#include "runtime/base/text.hpp"

/// The conversion of schedulers, queues and compute resources.
namespace cox::config {

using enum KeyPair::As;

namespace {

/// CapacityType: what version 2 has in small letters.
void set_capacity(YamlNode& queue, const std::string& type) {
  if (!type.empty()) queue.set("CapacityType", YamlNode::text(to_upper(type)));
}

}  // namespace

YamlNode IniConverter::scheduling() const {
  YamlNode scheduling;
  const auto scheduler = get("scheduler");
  scheduling.set("Scheduler", YamlNode::text(scheduler));
  if (scheduler == "slurm") {
    scheduling.set("SlurmSettings", slurm_settings());
    scheduling.set("SlurmQueues", slurm_queues());
  } else {
    YamlNode queues;
    queues.add(batch_queue());
    scheduling.set("AwsBatchQueues", std::move(queues));
  }
  return scheduling;
}

YamlNode IniConverter::queue_networking() const {
  YamlNode networking;
  const auto own = vpc_->get("compute_subnet_id");
  const auto subnet = own.empty() ? vpc_->get("master_subnet_id") : own;
  if (!subnet.empty()) networking.set("SubnetIds", YamlNode::texts({subnet}));
  for (const auto& [key, name] : {std::pair("vpc_security_group_id", "SecurityGroups"),
                                  std::pair("additional_sg", "AdditionalSecurityGroups")}) {
    if (!vpc_->get(key).empty()) networking.set(name, YamlNode::texts({vpc_->get(key)}));
  }
  return networking;
}

YamlNode IniConverter::batch_queue() const {
  YamlNode resource;
  resource.set("Name", YamlNode::text("batch-compute"));
  copy(*cluster_, resource,
       {{"min_vcpus", "MinvCpus", integer},
        {"max_vcpus", "MaxvCpus", integer},
        {"desired_vcpus", "DesiredvCpus", integer},
        {"spot_bid_percentage", "SpotBidPercentage", number}});
  std::vector<std::string> types;
  for (const auto& word : split(get("compute_instance_type"), ',')) {
    if (!trim(word).empty()) types.emplace_back(trim(word));
  }
  if (types.empty()) types.emplace_back("t3.micro");
  resource.set("InstanceTypes", YamlNode::texts(types));
  YamlNode queue;
  queue.set("Name", YamlNode::text("batch-queue"));
  set_capacity(queue, get("cluster_type"));
  queue.set("Networking", queue_networking());
  YamlNode resources;
  resources.add(std::move(resource));
  queue.set("ComputeResources", std::move(resources));
  return queue;
}

YamlNode IniConverter::slurm_settings() const {
  YamlNode settings;
  for (const auto& label : labels(*cluster_, "scaling")) {
    copy(section("scaling", label), settings,
         {{"scaledown_idletime", "ScaledownIdletime", integer}});
  }
  YamlNode dns;
  copy(*cluster_, dns, {{"disable_cluster_dns", "DisableManagedDns", boolean}});
  settings.set("Dns", std::move(dns));
  return settings;
}

YamlNode IniConverter::slurm_queues() const {
  YamlNode queues;
  const auto names = labels(*cluster_, "queue");
  if (names.empty()) queues.add(only_slurm_queue());
  for (const auto& name : names) queues.add(slurm_queue(name));
  return queues;
}

YamlNode IniConverter::slurm_networking(const IniSection& queue) const {
  auto networking = queue_networking();
  YamlNode group;
  const auto placement = queue.get("placement_group");
  if (placement == "DYNAMIC") {
    group.set("Enabled", YamlNode::boolean(true));
  } else if (!placement.empty()) {
    group.set("Id", YamlNode::text(placement));
  }
  networking.set("PlacementGroup", std::move(group));
  YamlNode proxy;
  copy(*cluster_, proxy, {{"proxy_server", "HttpProxyAddress"}});
  networking.set("Proxy", std::move(proxy));
  return networking;
}

YamlNode IniConverter::slurm_queue(const std::string& label) const {
  const auto& from = section("queue", label);
  YamlNode queue;
  queue.set("Name", YamlNode::text(label));
  set_capacity(queue, from.get("compute_type"));
  YamlNode resources;
  for (const auto& name : labels(from, "compute_resource")) {
    resources.add(slurm_resource(name, from));
  }
  queue.set("ComputeResources", std::move(resources));
  queue.set("CustomActions", actions());
  queue.set("Iam", permissions());
  queue.set("Networking", slurm_networking(from));
  YamlNode settings;
  settings.set("LocalStorage", local_storage("compute_root_volume_size"));
  queue.set("ComputeSettings", std::move(settings));
  return queue;
}

YamlNode IniConverter::slurm_resource(const std::string& label, const IniSection& queue) const {
  YamlNode resource;
  resource.set("Name", YamlNode::text(label));
  copy(section("compute_resource", label), resource,
       {{"instance_type", "InstanceType"},
        {"min_count", "MinCount", integer},
        {"max_count", "MaxCount", integer},
        {"spot_price", "SpotPrice", number}});
  const auto& threads = queue.has("disable_hyperthreading") ? queue : *cluster_;
  copy(threads, resource,
       {{"disable_hyperthreading", "DisableSimultaneousMultithreading", boolean}});
  // The queue's own word counts, else the cluster's.
  YamlNode efa;
  for (const auto& [key, name] :
       {std::pair("enable_efa", "Enabled"), std::pair("enable_efa_gdr", "GdrSupport")}) {
    const auto own = flag(queue, key);
    if (own || get(key) == "compute") efa.set(name, YamlNode::boolean(own.value_or(true)));
  }
  resource.set("Efa", std::move(efa));
  return resource;
}

YamlNode IniConverter::only_slurm_queue() const {
  YamlNode resource;
  resource.set("Name", YamlNode::text("default-resource"));
  copy(*cluster_, resource,
       {{"spot_price", "SpotPrice", number},
        {"max_queue_size", "MaxCount", integer},
        {"disable_hyperthreading", "DisableSimultaneousMultithreading", boolean}});
  if (flag(*cluster_, "maintain_initial_size").value_or(false)) {
    copy(*cluster_, resource, {{"initial_queue_size", "MinCount", integer}});
  }
  const auto type = get("compute_instance_type");
  resource.set("InstanceType", YamlNode::text(type.empty() ? "t3.micro" : type));
  YamlNode efa;
  if (get("enable_efa") == "compute") efa.set("Enabled", YamlNode::boolean(true));
  if (get("enable_efa_gdr") == "compute") efa.set("GdrSupport", YamlNode::boolean(true));
  resource.set("Efa", std::move(efa));
  YamlNode settings;
  settings.set("LocalStorage", local_storage("compute_root_volume_size"));
  YamlNode queue;
  queue.set("Name", YamlNode::text("default-queue"));
  queue.set("ComputeSettings", std::move(settings));
  set_capacity(queue, get("cluster_type"));
  queue.set("CustomActions", actions());
  queue.set("Iam", permissions());
  queue.set("Networking", slurm_networking(*cluster_));
  YamlNode resources;
  resources.add(std::move(resource));
  queue.set("ComputeResources", std::move(resources));
  return queue;
}

}  // namespace cox::config
