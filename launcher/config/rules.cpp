#include "launcher/config/rules.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "launcher/config/tree.hpp"
#include "runtime/base/text.hpp"

namespace cox::config {

namespace {

class Rules {
 public:
  explicit Rules(const ClusterConfig& config) : config_(config) {}

  std::vector<Finding> run() {
    check_region();
    check_head_node();
    for (std::size_t q = 0; q < config_.queues.size(); ++q) {
      const auto path = fmt::format("Scheduling.AwsBatchQueues[{}]", q);
      const auto& queue = config_.queues[q];
      check_name(queue.name, path + ".Name");
      for (std::size_t r = 0; r < queue.compute_resources.size(); ++r) {
        check_resource(queue.compute_resources[r], fmt::format("{}.ComputeResources[{}]", path, r));
      }
    }
    for (std::size_t i = 0; i < config_.shared.size(); ++i) check_storage(i);
    check_storage_counts();
    if (config_.provider != "local") {
      add("Coxswain.Provider", "ProviderValidator",
          fmt::format("provider {} is not served by this version: the only one is local",
                      config_.provider));
    }
    return std::move(findings_);
  }

 private:
  void add(std::string path, const char* rule, std::string text) {
    findings_.push_back({Level::error, rule, std::move(path), {}, std::move(text)});
  }

  void check_region() {
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

  void check_resource(const ComputeResource& resource, const std::string& path) {
    constexpr const char* kTypes = "AwsBatchComputeInstanceTypeValidator";
    check_name(resource.name, path + ".Name");
    check_sizes(resource, path);
    const auto head = architecture_of(config_.head_instance_type);
    for (std::size_t i = 0; i < resource.instance_types.size(); ++i) {
      const auto& word = resource.instance_types[i];
      const auto here = fmt::format("{}.InstanceTypes[{}]", path, i);
      if (const auto expanded = expand_instance_types({word}); !expanded) {
        add(here, kTypes, expanded.error().message);
        continue;
      }
      // Families are not checked, as in the original.
      const bool is_type = word.find('.') != std::string::npos || word == "optimal";
      const auto architecture = word == "optimal" ? "x86_64" : architecture_of(word);
      if (is_type && find_instance_type(config_.head_instance_type) && architecture != head) {
        add(here, "AwsBatchInstancesArchitectureCompatibilityValidator",
            fmt::format("The instance type {} is {}, the head node's {} is {}", word, architecture,
                        config_.head_instance_type, head));
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

  void check_storage(std::size_t i) {
    const auto& storage = config_.shared[i];
    const auto path = fmt::format("SharedStorage[{}]", i);
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
    if (storage.type.starts_with("Fsx") || storage.type == "FileCache") {
      add(path + ".StorageType", "AwsBatchFsxValidator",
          fmt::format("{} is not supported with scheduler awsbatch", storage.type));
    }
  }

  void check_storage_counts() {
    const std::map<std::string, int> most{{"Ebs", 5}, {"Efs", 21}, {"Raid", 1}};
    std::map<std::string, int> counts;
    for (std::size_t i = 0; i < config_.shared.size(); ++i) {
      const auto limit = most.find(config_.shared[i].type);
      if (limit == most.end() || ++counts[limit->first] != limit->second + 1) continue;
      add(fmt::format("SharedStorage[{}]", i), "NumberOfStorageValidator",
          fmt::format("At most {} shared storages of type {} can be used", limit->second,
                      limit->first));
    }
  }

  const ClusterConfig& config_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> check_rules(const ClusterConfig& config) { return Rules(config).run(); }

std::string mount_dir_fault(const std::string& written) {
  constexpr std::array<std::string_view, 25> kReserved{"/bin",
                                                       "/boot",
                                                       "/dev",
                                                       "/etc",
                                                       "/home",
                                                       "/lib",
                                                       "/lib32",
                                                       "/lib64",
                                                       "/libx32",
                                                       "/media",
                                                       "/mnt",
                                                       "/opt",
                                                       "/opt/parallelcluster",
                                                       "/opt/parallelcluster/shared",
                                                       "/opt/parallelcluster/shared_login_nodes",
                                                       "/opt/slurm",
                                                       "/opt/intel",
                                                       "/proc",
                                                       "/root",
                                                       "/run",
                                                       "/sbin",
                                                       "/srv",
                                                       "/sys",
                                                       "/tmp",
                                                       "/usr"};
  const auto path = written.starts_with("/") ? written : "/" + written;
  const auto reserved = [&](std::string_view each) { return path == each; };
  if (path == "/NONE" || path == "/" || path == "/var" ||
      std::any_of(kReserved.begin(), kReserved.end(), reserved)) {
    return fmt::format("{} cannot be used as a mount directory", written);
  }
  for (const auto& part : split(std::string_view(path).substr(1), '/')) {
    const bool plain = !part.empty() && part[0] != '.' && part.find('\\') == std::string::npos &&
                       std::none_of(part.begin(), part.end(),
                                    [](char c) { return static_cast<unsigned char>(c) < 0x20; });
    if (!plain) {
      return fmt::format("'{}' is not a plain path: no part of it may be empty or begin with a dot",
                         written);
    }
  }
  for (const auto* own : {"/proc/", "/sys/", "/dev/", "/run/", "/tmp/"}) {
    if (path.starts_with(own)) {
      return fmt::format("{} lies in {}, which is each node's own", written,
                         std::string_view(own).substr(0, std::string_view(own).size() - 1));
    }
  }
  return {};
}

std::string user_of_os(std::string_view os) {
  if (os.starts_with("ubuntu")) return "ubuntu";
  if (os.starts_with("rocky")) return "rocky";
  return "ec2-user";
}

void add_consequences(std::vector<Finding>& findings, std::vector<Finding> more) {
  const auto first = findings;
  for (auto& finding : more) {
    const bool known = std::any_of(first.begin(), first.end(), [&](const Finding& other) {
      return !finding.path.empty() && other.path.starts_with(finding.path);
    });
    if (!known) findings.push_back(std::move(finding));
  }
}

void sort_by_place(std::vector<Finding>& findings) {
  std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
    return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
  });
}

bool can_be_suppressed(const Finding& finding) {
  // What AWS would refuse and a local cluster can do all the same.
  constexpr std::array<std::string_view, 9> kRules{
      "AwsBatchInstancesArchitectureCompatibilityValidator",
      "DeletionPolicyValidator",
      "FeatureRegionValidator",
      "HeadNodeImdsValidator",
      "NameValidator",
      "NumberOfStorageValidator",
      "SchedulerDisableSudoAccessForDefaultUserValidator",
      "SchedulerOsValidator",
      "TagKeyValidator"};
  return finding.level != Level::error ||
         std::find(kRules.begin(), kRules.end(), finding.rule) != kRules.end();
}

bool is_about_text(const Finding& finding) { return finding.rule == kTextRule; }

bool stands_in_the_way(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.level == Level::error && !can_be_suppressed(finding);
  });
}

}  // namespace cox::config
