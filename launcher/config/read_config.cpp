#include "launcher/config/read_config.hpp"

#include <algorithm>

#include "launcher/config/rules.hpp"
#include "launcher/config/schema.hpp"
#include "runtime/base/text.hpp"

namespace cox::config {

namespace {

constexpr const char* kDefaultRegion = "us-east-1";
constexpr std::int64_t kMost = 100'000'000;
// No list may have more; what lies behind is a fault already.
constexpr std::size_t kItemsMax = 200;

std::string text_at(const Tree& tree, std::string_view path, std::string absent = "") {
  const auto* found = find_path(tree, path);
  return found != nullptr && found->kind == Tree::Kind::scalar ? found->scalar : absent;
}

int int_at(const Tree& tree, std::string_view path, int absent) {
  const auto* value = find_path(tree, path);
  const auto number = value != nullptr ? to_integer(*value) : std::nullopt;
  return number ? static_cast<int>(std::clamp<std::int64_t>(*number, -1, kMost)) : absent;
}

bool is_true(const Tree& tree, std::string_view path) {
  const auto* value = find_path(tree, path);
  return value != nullptr && to_bool(*value).value_or(false);
}

std::vector<Tree> items_at(const Tree& tree, std::string_view path) {
  const auto* found = find_path(tree, path);
  if (found == nullptr) return {};
  const auto count = std::min(found->items.size(), kItemsMax);
  return {found->items.begin(), found->items.begin() + static_cast<std::ptrdiff_t>(count)};
}

std::vector<std::string> texts_at(const Tree& tree, std::string_view path) {
  std::vector<std::string> texts;
  for (const auto& item : items_at(tree, path)) texts.push_back(item.scalar);
  return texts;
}

std::vector<CustomAction> read_action(const Tree& tree, std::string_view path) {
  const auto* action = find_path(tree, path);
  if (action == nullptr) return {};
  std::vector<CustomAction> actions;
  if (action->find("Script") != nullptr) {
    actions.push_back({text_at(*action, "Script"), texts_at(*action, "Args")});
  }
  for (const auto& item : items_at(*action, "Sequence")) {
    actions.push_back({text_at(item, "Script"), texts_at(item, "Args")});
  }
  return actions;
}

CustomActions read_actions(const Tree& tree) {
  return {read_action(tree, "CustomActions.OnNodeStart"),
          read_action(tree, "CustomActions.OnNodeConfigured"),
          read_action(tree, "CustomActions.OnNodeUpdated")};
}

std::map<std::string, std::string> read_tags(const Tree& tree) {
  std::map<std::string, std::string> tags;
  for (const auto& tag : items_at(tree, "Tags")) tags[text_at(tag, "Key")] = text_at(tag, "Value");
  return tags;
}

ComputeResource read_batch_resource(const Tree& tree) {
  ComputeResource resource;
  resource.place = tree.place;
  resource.name = text_at(tree, "Name");
  resource.instance_types = texts_at(tree, "InstanceTypes");
  resource.min_vcpus = int_at(tree, "MinvCpus", 0);
  // One that is there and is no number has its fault already: nothing is held against it.
  const bool said = tree.find("MaxvCpus") != nullptr;
  resource.max_vcpus = int_at(tree, "MaxvCpus", said ? static_cast<int>(kMost) : 10);
  resource.desired_vcpus = int_at(tree, "DesiredvCpus", resource.min_vcpus);
  return resource;
}

/// MinCount and MaxCount are of nodes; vCPUs are what the rest of the product counts.
ComputeResource read_slurm_resource(const Tree& tree) {
  ComputeResource resource;
  resource.place = tree.place;
  resource.name = text_at(tree, "Name");
  resource.several_types = tree.find("Instances") != nullptr;
  if (resource.several_types) {
    for (const auto& item : items_at(tree, "Instances")) {
      resource.instance_types.push_back(text_at(item, "InstanceType"));
    }
  } else if (tree.find("InstanceType") != nullptr) {
    resource.instance_types.push_back(text_at(tree, "InstanceType"));
  }
  resource.cores_only = is_true(tree, "DisableSimultaneousMultithreading");
  resource.memory_mib = std::max(0, int_at(tree, "SchedulableMemory", 0));
  resource.tags = read_tags(tree);
  resource.min_count = int_at(tree, "MinCount", 0);
  const bool said = tree.find("MaxCount") != nullptr;
  resource.max_count = int_at(tree, "MaxCount", said ? static_cast<int>(kMost) : 10);
  count_vcpus(resource);
  return resource;
}

Queue read_queue(const Tree& tree, bool is_slurm) {
  Queue queue;
  queue.name = text_at(tree, "Name");
  // With Slurm, spot capacity is a matter of price alone: jobs of several nodes run there too.
  queue.spot = !is_slurm && text_at(tree, "CapacityType") == "SPOT";
  for (const auto& item : items_at(tree, "ComputeResources")) {
    queue.compute_resources.push_back(is_slurm ? read_slurm_resource(item)
                                               : read_batch_resource(item));
  }
  queue.actions = read_actions(tree);
  queue.tags = read_tags(tree);
  return queue;
}

std::string absolute(const std::string& directory) {
  return directory.starts_with("/") ? directory : "/" + directory;
}

SharedStorage read_storage(const Tree& tree) {
  SharedStorage storage;
  storage.name = text_at(tree, "Name");
  storage.as_configured = text_at(tree, "MountDir");
  storage.mount_dir = absolute(storage.as_configured);
  storage.type = text_at(tree, "StorageType");
  if (storage.type == "Ebs" && find_path(tree, "EbsSettings.Raid") != nullptr) {
    storage.type = "Raid";
  }
  for (const auto* id : {"EfsSettings.FileSystemId", "FsxLustreSettings.FileSystemId"}) {
    if (storage.file_system_id.empty()) storage.file_system_id = text_at(tree, id);
  }
  for (const auto* settings : {"EbsSettings", "EfsSettings", "FsxLustreSettings"}) {
    const auto policy = text_at(tree, fmt::format("{}.DeletionPolicy", settings));
    storage.stays = storage.stays || policy == "Retain" || policy == "Snapshot";
  }
  return storage;
}

/// Coxswain.SharedStorage: the source of a directory that the file has, or a directory more.
void read_sources(const Tree& own, std::vector<SharedStorage>& shared) {
  const auto items = items_at(own, "SharedStorage");
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto& item = items[i];
    const auto written = text_at(item, "MountDir");
    auto entry = std::find_if(shared.begin(), shared.end(), [&](const SharedStorage& storage) {
      return storage.mount_dir == absolute(written);
    });
    if (entry == shared.end()) {
      SharedStorage more;
      more.name = fmt::format("shared-{}", shared.size() + 1);
      more.mount_dir = absolute(written);
      more.as_configured = written;
      more.type = "Ebs";
      more.path = fmt::format("Coxswain.SharedStorage[{}]", i);
      shared.push_back(std::move(more));
      entry = shared.end() - 1;
    }
    entry->source = text_at(item, "Source", "existing");
  }
}

SshSettings read_ssh(const Tree& own) {
  SshSettings ssh;
  ssh.user = text_at(own, "Ssh.User");
  ssh.identity_file = text_at(own, "Ssh.IdentityFile");
  ssh.known_hosts_file = text_at(own, "Ssh.KnownHostsFile");
  const auto* hosts = find_path(own, "Ssh.Hosts");
  for (const auto& item : hosts != nullptr ? hosts->items : std::vector<Tree>{}) {
    SshHost host;
    host.host = item.kind == Tree::Kind::scalar ? item.scalar : text_at(item, "Host");
    host.user = text_at(item, "User", ssh.user);
    host.port = std::max(0, int_at(item, "Port", 0));
    host.vcpus = std::max(0, int_at(item, "vCpus", 0));
    host.memory_mib = std::max(0, int_at(item, "Memory", 0));
    host.proxy_jump = text_at(item, "ProxyJump");
    host.compute_resource = text_at(item, "ComputeResource");
    ssh.hosts.push_back(std::move(host));
  }
  return ssh;
}

SlurmSite read_site(const Tree& own) {
  return {text_at(own, "Slurm.Partition"), text_at(own, "Slurm.Account"), text_at(own, "Slurm.Qos"),
          texts_at(own, "Slurm.ExtraArgs"), int_at(own, "Slurm.PilotSeconds", 3600)};
}

void read_own(const Tree& own, ClusterConfig& config) {
  const bool site = own.find("Slurm") != nullptr;
  config.provider =
      text_at(own, "Provider", config.scheduler == "slurm" && site ? "slurm" : config.provider);
  config.scaledown_idle_minutes = int_at(own, "ScaledownIdletime", config.scaledown_idle_minutes);
  config.containers = text_at(own, "Containers", config.containers);
  config.ssh = read_ssh(own);
  config.slurm = read_site(own);
  config.api = {text_at(own, "Api.Address", config.api.address), int_at(own, "Api.Port", 0),
                text_at(own, "Api.Host"), text_at(own, "Api.Certificate"),
                text_at(own, "Api.PrivateKey")};
  read_sources(own, config.shared);
  config.history_days = int_at(own, "HistoryDays", config.history_days);
  for (const auto& item : items_at(own, "Queues")) {
    for (auto& queue : config.queues) {
      if (queue.name == text_at(item, "Name"))
        queue.max_running = int_at(item, "MaxRunningJobs", 0);
    }
  }
  for (const auto& item : items_at(own, "ComputeResources")) {
    for (auto& queue : config.queues) {
      for (auto& resource : queue.compute_resources) {
        if (resource.name == text_at(item, "Name")) resource.provider = text_at(item, "Provider");
      }
    }
  }
}

}  // namespace

void count_vcpus(ComputeResource& resource) {
  const auto types = offered_types(resource);
  const std::int64_t each = types && !types->empty() ? types->front().vcpus : 1;
  const auto vcpus = [each](int nodes) { return static_cast<int>(std::min(each * nodes, kMost)); };
  resource.min_vcpus = vcpus(resource.min_count);
  resource.desired_vcpus = resource.min_vcpus;
  resource.max_vcpus = vcpus(resource.max_count);
}

ClusterConfig read_config(const Tree& tree, const LoadOptions& options) {
  ClusterConfig config;
  config.region = options.region;
  if (config.region.empty()) config.region = text_at(tree, "Region");
  if (config.region.empty()) config.region = options.environment_region;
  if (config.region.empty()) config.region = kDefaultRegion;
  config.os = text_at(tree, "Image.Os", "alinux2");
  config.os_user = user_of_os(config.os);
  config.head_instance_type = text_at(tree, "HeadNode.InstanceType");
  config.key_name = text_at(tree, "HeadNode.Ssh.KeyName");
  if (const auto* head = tree.find("HeadNode")) config.head_actions = read_actions(*head);
  const std::string limits = "DevSettings.Timeouts.";
  config.head_start_limit_s = int_at(tree, limits + "HeadNodeBootstrapTimeout", 1800);
  config.node_start_limit_s = int_at(tree, limits + "ComputeNodeBootstrapTimeout", 1800);
  config.log_retention_days = int_at(tree, "Monitoring.Logs.CloudWatch.RetentionInDays", 180);
  if (const auto* enabled = find_path(tree, "Monitoring.Logs.CloudWatch.Enabled")) {
    config.logs_enabled = to_bool(*enabled).value_or(true);
  }
  config.tags = read_tags(tree);
  config.scheduler = scheduler_of(tree);
  const bool is_slurm = config.scheduler == "slurm";
  if (is_slurm) {
    config.scaledown_idle_minutes =
        int_at(tree, "Scheduling.SlurmSettings.ScaledownIdletime", config.scaledown_idle_minutes);
  }
  const auto* queues = is_slurm ? "Scheduling.SlurmQueues" : "Scheduling.AwsBatchQueues";
  for (const auto& item : items_at(tree, queues)) {
    config.queues.push_back(read_queue(item, is_slurm));
  }
  for (const auto& item : items_at(tree, "SharedStorage")) {
    config.shared.push_back(read_storage(item));
    config.shared.back().path = fmt::format("SharedStorage[{}]", config.shared.size() - 1);
  }
  if (const auto* own = tree.find("Coxswain")) read_own(*own, config);
  return config;
}

}  // namespace cox::config
