#include "launcher/config/rules.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "launcher/config/tree.hpp"
#include "runtime/base/text.hpp"

namespace cox::config {

namespace {

class Rules {
 public:
  Rules(const ClusterConfig& config, const std::vector<std::string>& providers)
      : config_(config), providers_(providers), is_slurm_(config.scheduler == "slurm") {}

  std::vector<Finding> run() {
    check_region();
    check_head_node();
    for (std::size_t q = 0; q < config_.queues.size(); ++q) check_queue(q);
    check_resource_counts();
    for (std::size_t i = 0; i < config_.shared.size(); ++i) check_storage(i);
    check_storage_counts();
    check_providers();
    check_api();
    return std::move(findings_);
  }

 private:
  void add(std::string path, const char* rule, std::string text) {
    findings_.push_back({Level::error, rule, std::move(path), {}, std::move(text)});
  }

  void check_region() {
    const auto& region = config_.region;
    if (!region.empty() && !is_region(region)) {
      // AWS gets more regions: one that may be new is taken, what can be none is not.
      const auto near = nearest_region(region);
      findings_.push_back({has_form_of_region(region) ? Level::warning : Level::error,
                           "RegionValidator",
                           "Region",
                           {},
                           fmt::format("AWS has no region {}{}", region,
                                       near ? fmt::format("; did you mean {}?", *near) : "")});
    }
    if (is_slurm_) return;
    for (const auto* prefix : {"ap-northeast-3", "us-iso"}) {
      if (config_.region.starts_with(prefix)) {
        add("Region", "FeatureRegionValidator",
            fmt::format("AWS Batch scheduler is not supported in region {}", config_.region));
      }
    }
  }

  void check_head_node() {
    const auto& type = config_.head_instance_type;
    if (type.empty() || find_instance_type(type)) return;
    const auto expanded = expand_instance_types({type});
    add("HeadNode.InstanceType", "HeadNodeInstanceTypeValidator",
        expanded ? fmt::format("{} is not one instance type: name a size, such as {}", type,
                               expanded->front().name)
                 : expanded.error().message);
  }

  void check_queue(std::size_t q) {
    const auto& queue = config_.queues[q];
    const auto path =
        fmt::format("Scheduling.{}[{}]", is_slurm_ ? "SlurmQueues" : "AwsBatchQueues", q);
    check_name(queue.name, path + ".Name");
    if (!queue.name.empty() && !queue_names_.insert(queue.name).second) {
      add(path + ".Name", "DuplicateNameValidator",
          fmt::format("The queue name {} is used twice", queue.name));
    }
    std::set<std::string> names;
    for (std::size_t r = 0; r < queue.compute_resources.size(); ++r) {
      const auto& resource = queue.compute_resources[r];
      const auto here = fmt::format("{}.ComputeResources[{}]", path, r);
      check_name(resource.name, here + ".Name");
      check_names_in_use(q, r, names, here + ".Name");
      if (is_slurm_) {
        check_slurm_resource(resource, here);
      } else {
        check_batch_resource(resource, here);
      }
    }
  }

  void check_names_in_use(std::size_t q, std::size_t r, std::set<std::string>& names,
                          const std::string& path) {
    const auto& name = config_.queues[q].compute_resources[r].name;
    if (name.empty()) return;
    if (!names.insert(name).second) {
      add(path, "DuplicateNameValidator",
          fmt::format("The compute resource name {} is used twice in its queue", name));
    } else if (!environments_.insert(environment_name(config_, "", q, r)).second) {
      add(path, "DuplicateNameValidator",
          fmt::format("The names of this compute resource ({}) and its queue make the same name of "
                      "a compute environment as another's",
                      name));
    }
  }

  void check_resource_counts() {
    std::size_t count = 0;
    for (const auto& queue : config_.queues) count += queue.compute_resources.size();
    if (count > 50) {
      add(is_slurm_ ? "Scheduling.SlurmQueues" : "Scheduling.AwsBatchQueues", "MaxCountValidator",
          fmt::format("A cluster may have 50 compute resources at most, not {}", count));
    }
  }

  void check_name(const std::string& name, const std::string& path) {
    const bool good = !name.empty() && name[0] >= 'a' && name[0] <= 'z' &&
                      std::all_of(name.begin(), name.end(), [](char c) {
                        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                      });
    if (!good) {
      add(path, "NameValidator",
          fmt::format("Invalid name '{}'. A name must begin with a lower-case letter and hold "
                      "lower-case letters, digits and hyphens only.",
                      name));
    } else if (name.size() > 25) {
      add(path, "NameValidator",
          fmt::format("Invalid name '{}'. A name may have 25 characters at most.", name));
    } else if (name == "default") {
      add(path, "NameValidator", "Invalid name 'default': it is reserved.");
    }
  }

  void check_sizes(const ComputeResource& resource, const std::string& path) {
    constexpr const char* kRule = "AwsBatchComputeResourceSizeValidator";
    if (resource.desired_vcpus < resource.min_vcpus) {
      add(path + ".DesiredvCpus", kRule,
          fmt::format("The number of desired vcpus ({}) must be greater than or equal to min vcpus "
                      "({}).",
                      resource.desired_vcpus, resource.min_vcpus));
    }
    if (resource.max_vcpus < resource.min_vcpus) {
      add(path + ".MaxvCpus", kRule,
          fmt::format("Max vcpus ({}) must be greater than or equal to min vcpus ({}).",
                      resource.max_vcpus, resource.min_vcpus));
    } else if (resource.desired_vcpus > resource.max_vcpus) {
      add(path + ".DesiredvCpus", kRule,
          fmt::format("The number of desired vcpus ({}) must be fewer than or equal to max vcpus "
                      "({}).",
                      resource.desired_vcpus, resource.max_vcpus));
    }
  }

  void check_architecture(const std::string& word, const std::string& path, const char* rule) {
    if (!find_instance_type(config_.head_instance_type)) return;
    const auto head = architecture_of(config_.head_instance_type);
    const auto own = word == "optimal" ? "x86_64" : architecture_of(word);
    if (own == head) return;
    add(path, rule,
        fmt::format("The instance type {} is {}, the head node's {} is {}", word, own,
                    config_.head_instance_type, head));
  }

  void check_batch_resource(const ComputeResource& resource, const std::string& path) {
    constexpr const char* kTypes = "AwsBatchComputeInstanceTypeValidator";
    check_sizes(resource, path);
    for (std::size_t i = 0; i < resource.instance_types.size(); ++i) {
      const auto& word = resource.instance_types[i];
      const auto here = fmt::format("{}.InstanceTypes[{}]", path, i);
      if (const auto expanded = expand_instance_types({word}); !expanded) {
        add(here, kTypes, expanded.error().message);
      } else if (word.find('.') != std::string::npos || word == "optimal") {
        // Families are not checked, as in the original.
        check_architecture(word, here, "AwsBatchInstancesArchitectureCompatibilityValidator");
      }
    }
    if (resource.instance_types.size() != 1) return;
    const auto type = find_instance_type(resource.instance_types[0]);
    if (type && type->vcpus > resource.max_vcpus) {
      add(path + ".MaxvCpus", kTypes,
          fmt::format("Max vcpus ({}) must be greater than or equal to {}, that is the number of "
                      "vcpus of {}",
                      resource.max_vcpus, type->vcpus, type->name));
    }
  }

  void check_slurm_resource(const ComputeResource& resource, const std::string& path) {
    if (resource.max_count < resource.min_count) {
      add(path + ".MaxCount", "ComputeResourceSizeValidator",
          fmt::format("Max count ({}) must be greater than or equal to min count ({})",
                      resource.max_count, resource.min_count));
    }
    std::optional<InstanceType> first;
    for (std::size_t i = 0; i < resource.instance_types.size(); ++i) {
      const auto& word = resource.instance_types[i];
      const auto here = resource.several_types
                            ? fmt::format("{}.Instances[{}].InstanceType", path, i)
                            : path + ".InstanceType";
      if (word.empty()) continue;  // a key that is missing has its fault
      if (!find_instance_type(word)) {
        const auto expanded = expand_instance_types({word});
        add(here, "InstanceTypeValidator",
            expanded ? fmt::format("{} is not one instance type: name a size, such as {}", word,
                                   expanded->front().name)
                     : expanded.error().message);
        continue;
      }
      check_architecture(word, here, "InstanceArchitectureCompatibilityValidator");
      auto only = resource;
      only.instance_types = {word};
      const auto type = offered_types(only).value().front();
      if (!first) first = type;
      if (type.vcpus != first->vcpus) {
        add(here, "InstancesCPUValidator",
            fmt::format("{} has {} {} and {} has {}: the types of a compute resource must have as "
                        "many",
                        type.name, type.vcpus, resource.cores_only ? "cores" : "vCPUs", first->name,
                        first->vcpus));
      }
      check_memory(resource, *find_instance_type(word), path);
    }
  }

  void check_memory(const ComputeResource& resource, const InstanceType& type,
                    const std::string& path) {
    if (resource.memory_mib <= type.memory.value) return;
    findings_.push_back({Level::warning,
                         "SchedulableMemoryValidator",
                         path + ".SchedulableMemory",
                         {},
                         fmt::format("SchedulableMemory ({}) is more than the {} MiB of {}",
                                     resource.memory_mib, type.memory.value, type.name)});
  }

  void check_storage(std::size_t i) {
    const auto& storage = config_.shared[i];
    const auto& path = storage.path;
    const auto mount = path + ".MountDir";
    if (storage.name == "default" || storage.name.empty() || storage.name.front() == '.' ||
        storage.name.find('/') != std::string::npos) {
      add(path + ".Name", "SharedStorageNameValidator",
          fmt::format("'{}' cannot be the name of a shared storage", storage.name));
    }
    if (const auto fault = mount_dir_fault(storage.as_configured); !fault.empty()) {
      add(mount, "SharedStorageMountDirValidator", fault);
    }
    for (std::size_t k = 0; k < i; ++k) {
      const auto& other = config_.shared[k];
      if (storage.mount_dir == other.mount_dir) {
        add(mount, "DuplicateMountDirValidator",
            fmt::format("The mount directory {} is used twice", storage.mount_dir));
      } else if (storage.mount_dir.starts_with(other.mount_dir + "/") ||
                 other.mount_dir.starts_with(storage.mount_dir + "/")) {
        add(mount, "OverlappingMountDirValidator",
            fmt::format("The mount directories {} and {} lie one in the other", other.mount_dir,
                        storage.mount_dir));
      }
      if (storage.name == other.name) {
        add(path + ".Name", "DuplicateNameValidator",
            fmt::format("The storage name {} is used twice", storage.name));
      }
    }
    if (!is_slurm_ && (storage.type.starts_with("Fsx") || storage.type == "FileCache")) {
      add(path + ".StorageType", "AwsBatchFsxValidator",
          fmt::format("{} is not supported with scheduler awsbatch", storage.type));
    }
  }

  /// What a storage counts as, and how many of that there may be.
  struct StorageClass {
    std::string name;  ///< of one where there may be one, else of many
    int most = 0;
  };

  static StorageClass class_of(const SharedStorage& storage) {
    if (storage.type == "Ebs") return {"shared storages of type Ebs", 5};
    if (storage.type == "Raid") return {"shared storage of type Raid", 1};
    const bool existing = !storage.file_system_id.empty() || storage.type == "FsxOntap" ||
                          storage.type == "FsxOpenZfs" || storage.type == "FileCache";
    const auto* type = storage.type == "Efs" ? "Efs" : "Fsx";
    if (existing) return {fmt::format("shared storages of type {} that exist already", type), 20};
    return {fmt::format("shared storage of type {} that is made with the cluster", type), 1};
  }

  void check_storage_counts() {
    std::map<std::string, int> counts;
    for (const auto& storage : config_.shared) {
      if (storage.type.empty()) continue;
      const auto [name, most] = class_of(storage);
      if (++counts[name] != most + 1) continue;
      add(storage.path, "NumberOfStorageValidator",
          most == 1 ? fmt::format("Only one {} can be used", name)
                    : fmt::format("At most {} {} can be used", most, name));
    }
  }

  [[nodiscard]] bool is_served(const std::string& provider) const {
    return std::find(providers_.begin(), providers_.end(), provider) != providers_.end();
  }

  void check_provider(const std::string& provider, const std::string& path) {
    if (is_served(provider)) return;
    add(path, "ProviderValidator",
        fmt::format("provider {} is not served by this version, which has {}", provider,
                    join(providers_, ", ")));
  }

  void check_api() {
    const auto& api = config_.api;
    if (api.certificate_file.empty() != api.private_key_file.empty()) {
      add("Coxswain.Api", "ApiValidator",
          fmt::format("{} is there without {}: a certificate of your own needs both",
                      api.certificate_file.empty() ? "PrivateKey" : "Certificate",
                      api.certificate_file.empty() ? "Certificate" : "PrivateKey"));
    }
    for (const auto& file : {api.certificate_file, api.private_key_file}) {
      if (file.empty() || file.starts_with('/')) continue;
      add("Coxswain.Api", "ApiValidator",
          fmt::format("{} is not an absolute path: the head reads it, wherever it runs", file));
    }
  }

  void check_providers() {
    check_provider(config_.provider, "Coxswain.Provider");
    std::set<std::string> resources;
    bool ssh = config_.provider == "ssh";
    for (const auto& queue : config_.queues) {
      for (const auto& resource : queue.compute_resources) {
        resources.insert(resource.name);
        if (resource.provider.empty()) continue;
        ssh = ssh || resource.provider == "ssh";
        check_provider(resource.provider, "Coxswain.ComputeResources");
      }
    }
    for (const auto& storage : config_.shared) {
      if (storage.source == "existing" || config_.provider != "local") continue;
      add(storage.path, "ProviderValidator",
          fmt::format(
              "the source {} of {} is for the providers ssh and slurm: nodes of this machine "
              "see its own directories",
              storage.source, storage.as_configured));
    }
    if (ssh && is_served("ssh") && config_.ssh.hosts.empty()) {
      add("Coxswain.Ssh", "ProviderValidator", "provider ssh needs Coxswain.Ssh.Hosts");
    }
    std::set<std::pair<std::string, int>> seen;
    for (std::size_t i = 0; i < config_.ssh.hosts.size(); ++i) {
      const auto& host = config_.ssh.hosts[i];
      const auto path = fmt::format("Coxswain.Ssh.Hosts[{}]", i);
      if (!host.host.empty() && !seen.insert({host.host, host.port}).second) {
        add(path, "DuplicateNameValidator", fmt::format("The host {} stands twice", host.host));
      }
      if (!host.compute_resource.empty() && !resources.contains(host.compute_resource)) {
        const auto near = nearest(host.compute_resource, {resources.begin(), resources.end()});
        add(path + ".ComputeResource", "ProviderValidator",
            fmt::format("There is no compute resource {}{}", host.compute_resource,
                        near ? fmt::format("; did you mean {}?", *near) : ""));
      }
    }
  }

  const ClusterConfig& config_;
  const std::vector<std::string>& providers_;
  bool is_slurm_;
  std::set<std::string> queue_names_;
  std::set<std::string> environments_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> check_rules(const ClusterConfig& config,
                                 const std::vector<std::string>& providers) {
  return Rules(config, providers).run();
}

std::string script_fault(std::string_view script) {
  const auto scheme = to_lower(script.substr(0, script.find("://")));
  const bool is_url = script.find("://") != std::string_view::npos;
  const bool has_more = is_url && script.size() > scheme.size() + 3;
  if (script.starts_with('/') || script.starts_with("file:///")) return {};
  if (has_more && (scheme == "http" || scheme == "https" || scheme == "s3")) return {};
  return fmt::format(
      "{} is no script that nodes can get: give an absolute path, or a URL that begins with "
      "https://, http://, s3:// or file:///.",
      script.empty() ? "An empty text" : script);
}

}  // namespace cox::config
