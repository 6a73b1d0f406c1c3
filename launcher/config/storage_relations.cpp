#include <algorithm>
#include <array>

#include "launcher/config/tree_checker.hpp"

/// What must hold of the settings of shared storages. AWS's limits are the original's at 3.12.
namespace cox::config {

namespace {

/// What EBS allows of a type of volume; zeros: no limit of that kind.
struct VolumeLimits {
  const char* type;
  std::int64_t least_gib;
  std::int64_t most_gib;
  std::int64_t least_iops;
  std::int64_t most_iops;
  std::int64_t iops_per_gib;
};

constexpr VolumeLimits kVolumes[] = {
    {"standard", 1, 1024, 0, 0, 0},       {"gp2", 1, 16384, 0, 0, 0},
    {"gp3", 1, 16384, 3000, 16000, 500},  {"io1", 4, 16384, 100, 64000, 50},
    {"io2", 4, 65536, 100, 256000, 1000}, {"st1", 500, 16384, 0, 0, 0},
    {"sc1", 500, 16384, 0, 0, 0},
};

class StorageRelations : private TreeChecker {
 public:
  explicit StorageRelations(const Tree& tree) : TreeChecker(tree) {}

  std::vector<Finding> run() {
    for (const auto& path : items("SharedStorage")) {
      const auto type = text(path + ".StorageType");
      if (!type.empty()) check_settings(path, type);
      check_deletion(path);
      check_volume(path + ".EbsSettings");
      check_efs(path + ".EfsSettings");
      check_lustre(path, type);
      check_content(path);
    }
    check_volume("HeadNode.LocalStorage.RootVolume");
    for (const auto& queue : items("Scheduling.SlurmQueues")) {
      check_volume(queue + ".ComputeSettings.LocalStorage.RootVolume");
    }
    return std::move(findings_);
  }

 private:
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
    for (const auto* existing : {"FsxOntap", "FsxOpenZfs", "FileCache"}) {
      const auto settings = fmt::format("{}.{}Settings", path, existing);
      if (type == existing && !has(settings)) {
        add(settings, kSchemaRule, fmt::format("StorageType {0} needs {0}Settings.", type));
      }
    }
  }

  void check_deletion(const std::string& path) {
    for (const auto* settings : {".EbsSettings", ".EfsSettings", ".FsxLustreSettings"}) {
      const auto policy = path + settings + ".DeletionPolicy";
      const auto word = text(policy);
      if (word.empty()) continue;
      add(policy, "DeletionPolicyValidator",
          word == "Delete"
              ? fmt::format("What is in {} is deleted with the cluster.", text(path + ".MountDir"))
              : fmt::format(
                    "What is in {} is kept when the cluster is deleted: pcluster says where.",
                    text(path + ".MountDir")),
          Level::info);
    }
  }

  /// A disk's size and speed against what EBS has of its type.
  void check_volume(const std::string& path) {
    const auto word = text(path + ".VolumeType");
    const auto type = word.empty() ? std::string("gp3") : word;
    const auto* limits = std::find_if(std::begin(kVolumes), std::end(kVolumes),
                                      [&](const VolumeLimits& each) { return type == each.type; });
    if (!has(path) || limits == std::end(kVolumes)) return;
    const auto size = integer(path + ".Size");
    if (size && (*size < limits->least_gib || *size > limits->most_gib)) {
      add(path + ".Size", "EbsVolumeTypeSizeValidator",
          fmt::format("A volume of type {} has {} to {} GiB, not {}.", type, limits->least_gib,
                      limits->most_gib, *size));
    }
    // A shared volume has 40 GiB where the file does not say; others are as large as their source.
    const bool is_new = path.ends_with(".EbsSettings") && !has(path + ".SnapshotId") &&
                        !has(path + ".VolumeId") && !has(path + ".Size");
    check_iops(path, *limits, is_new ? std::optional<std::int64_t>(40) : size);
    check_throughput(path, *limits);
  }

  void check_iops(const std::string& path, const VolumeLimits& limits,
                  std::optional<std::int64_t> size) {
    const auto iops = integer(path + ".Iops");
    if (!iops || limits.most_iops == 0) return;
    if (*iops < limits.least_iops || *iops > limits.most_iops) {
      add(path + ".Iops", "EbsVolumeIopsValidator",
          fmt::format("A volume of type {} has {} to {} IOPS, not {}.", limits.type,
                      limits.least_iops, limits.most_iops, *iops));
    } else if (size && *size > 0 && *iops / limits.iops_per_gib > *size) {
      add(path + ".Iops", "EbsVolumeIopsValidator",
          fmt::format("A volume of type {} has at most {} IOPS a GiB: {} need more than {} GiB.",
                      limits.type, limits.iops_per_gib, *iops, *size));
    }
  }

  void check_throughput(const std::string& path, const VolumeLimits& limits) {
    const auto throughput = integer(path + ".Throughput");
    if (!throughput || limits.type != std::string_view("gp3")) return;
    const auto iops = integer(path + ".Iops").value_or(limits.least_iops);
    if (*throughput < 125 || *throughput > 1000) {
      add(path + ".Throughput", "EbsVolumeThroughputValidator",
          fmt::format("A volume of type gp3 has 125 to 1000 MiB/s, not {}.", *throughput));
    } else if (*throughput * 4 > iops) {
      add(path + ".Throughput", "EbsVolumeThroughputIopsValidator",
          fmt::format("A volume of type gp3 has at most a quarter MiB/s for each of its {} IOPS, "
                      "not {}.",
                      iops, *throughput));
    }
  }

  void check_efs(const std::string& path) {
    const auto throughput = path + ".ProvisionedThroughput";
    if (has(throughput) != (text(path + ".ThroughputMode") == "provisioned")) {
      add(has(throughput) ? throughput : path + ".ThroughputMode", kSchemaRule,
          "ProvisionedThroughput and ThroughputMode: provisioned need each other.");
    }
    const bool access_point = has(path + ".AccessPointId");
    const bool existing = has(path + ".FileSystemId");
    if (access_point && !existing) {
      add(path + ".AccessPointId", kSchemaRule, "AccessPointId needs FileSystemId.");
    }
    if (!existing) return;
    for (const auto* key : {".PerformanceMode", ".ThroughputMode", ".ProvisionedThroughput",
                            ".Encrypted", ".KmsKeyId", ".DeletionPolicy"}) {
      if (has(path + key)) {
        add(path + key, kSchemaRule,
            fmt::format("{} cannot be given with FileSystemId: it is of new file systems.",
                        key + 1));
      }
    }
  }

  void check_lustre(const std::string& path, const std::string& type) {
    const auto settings = path + ".FsxLustreSettings";
    if (type != "FsxLustre") return;
    const auto given = [&](const char* key) { return has(settings + key); };
    if (!given(".FileSystemId") && !given(".BackupId") && !given(".StorageCapacity")) {
      add(given("") ? settings : path + ".StorageType", "FsxStorageCapacityValidator",
          "A new FsxLustre file system needs FsxLustreSettings.StorageCapacity.");
    }
    for (const auto* key : {".ImportedFileChunkSize", ".ExportPath", ".AutoImportPolicy"}) {
      if (given(key) && !given(".ImportPath")) {
        add(settings + key, "FsxS3Validator", fmt::format("{} needs ImportPath.", key + 1));
      }
    }
    const auto deployment = text(settings + ".DeploymentType");
    const bool persistent = deployment.starts_with("PERSISTENT");
    if (persistent != given(".PerUnitStorageThroughput") && !given(".FileSystemId")) {
      add(settings + (persistent ? ".DeploymentType" : ".PerUnitStorageThroughput"),
          "FsxPersistentOptionsValidator",
          "PerUnitStorageThroughput and a DeploymentType PERSISTENT_1 or PERSISTENT_2 need each "
          "other.");
    }
    if (given(".DriveCacheType") && text(settings + ".StorageType") != "HDD") {
      add(settings + ".DriveCacheType", "FsxStorageTypeOptionsValidator",
          "DriveCacheType is for StorageType: HDD only.");
    }
  }

  /// Data that is on AWS is not here, unless the file says where it comes from.
  void check_content(const std::string& path) {
    for (const auto& own : items("Coxswain.SharedStorage")) {
      if (text(own + ".MountDir") == text(path + ".MountDir")) return;
    }
    constexpr std::array<const char*, 10> kHolders{".EbsSettings.SnapshotId",
                                                   ".EbsSettings.VolumeId",
                                                   ".EfsSettings.FileSystemId",
                                                   ".FsxLustreSettings.FileSystemId",
                                                   ".FsxLustreSettings.BackupId",
                                                   ".FsxLustreSettings.ImportPath",
                                                   ".FsxLustreSettings.DataRepositoryAssociations",
                                                   ".FsxOntapSettings.VolumeId",
                                                   ".FsxOpenZfsSettings.VolumeId",
                                                   ".FileCacheSettings.FileCacheId"};
    for (const auto* holder : kHolders) {
      if (!has(path + holder)) continue;
      add(path + holder, "SharedStorageContentValidator",
          fmt::format("What is stored there on AWS is not here: {} begins empty. Copy in what jobs "
                      "need, or name its source in Coxswain.SharedStorage.",
                      text(path + ".MountDir")),
          Level::warning);
      return;
    }
  }
};

}  // namespace

std::vector<Finding> check_storage_relations(const Tree& tree) {
  return StorageRelations(tree).run();
}

}  // namespace cox::config
