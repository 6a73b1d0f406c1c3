#include "launcher/config/schema_keys.hpp"

/// The table of keys: shared storage, and our own keys. Source: ParallelCluster 3.12's schema;
/// the keys below Coxswain are of this project.
namespace cox::config {

using enum KeyKind;

namespace {

constexpr std::string_view kKept =
    "Retain and Snapshot: the directory's content is kept when the cluster is deleted";

void add_lustre_keys(Keys& keys) {
  add_keys(
      keys, "SharedStorage[]/FsxLustreSettings",
      {{"StorageCapacity", integer},
       {"DeploymentType", text, false, "SCRATCH_1|SCRATCH_2|PERSISTENT_1|PERSISTENT_2"},
       {"StorageType", text, false, "HDD|SSD"},
       {"PerUnitStorageThroughput", integer},
       {"DriveCacheType", text, false, "READ"},
       {"DataCompressionType", text, false, "LZ4"},
       {"ImportPath", text},
       {"ExportPath", text},
       {"ImportedFileChunkSize", integer, false, "1..512000"},
       {"AutoImportPolicy", text, false, "NEW|NEW_CHANGED|NEW_CHANGED_DELETED"},
       {"FileSystemId", text, false, "fs-/17"},
       {"BackupId", text, false, "backup-/x8-"},
       {"KmsKeyId", text},
       served({"DeletionPolicy", text, false, "Delete|Retain", "Delete"}, kKept),
       {"WeeklyMaintenanceStartTime", text, false, "week-time"},
       {"AutomaticBackupRetentionDays", integer, false, "0..35"},
       {"DailyAutomaticBackupStartTime", text, false, "time"},
       {"CopyTagsToBackups", boolean},
       {"DataRepositoryAssociations", list},
       {"DataRepositoryAssociations[]/Name", text, true},
       {"DataRepositoryAssociations[]/DataRepositoryPath", text, true},
       {"DataRepositoryAssociations[]/FileSystemPath", text, true, "line"},
       {"DataRepositoryAssociations[]/BatchImportMetaDataOnCreate", boolean},
       {"DataRepositoryAssociations[]/ImportedFileChunkSize", integer, false, "1..512000"},
       {"DataRepositoryAssociations[]/AutoImportPolicy", texts, false, "#3 NEW|CHANGED|DELETED"},
       {"DataRepositoryAssociations[]/AutoExportPolicy", texts, false, "#3 NEW|CHANGED|DELETED"}});
}

constexpr std::string_view kDisks =
    "sizes and speeds volumes; here a directory of this machine stands for them";

}  // namespace

void add_storage_keys(Keys& keys) {
  add_keys(keys, "",
           {{"SharedStorage", list, false, "#48"},
            {"SharedStorage[]/Name", text, true, "~30"},
            served({"SharedStorage[]/MountDir", text, true, "mount"},
                   "every node sees the directory here"),
            served({"SharedStorage[]/StorageType", text, true,
                    "Ebs|FsxLustre|FsxOpenZfs|FsxOntap|Efs|FileCache"},
                   "each type is a directory; awsbatch has Ebs and Efs only, as on AWS")});
  add_keys(keys, "SharedStorage[]",
           {on_aws({"EbsSettings", map}, kDisks),
            {"EbsSettings/VolumeType", text, false, kVolumeTypes, "gp3"},
            {"EbsSettings/Size", integer, false, "", "40"},
            {"EbsSettings/Iops", integer, false, "", "3000 (gp3), 100 (io1, io2)"},
            {"EbsSettings/Throughput", integer, false, "", "125 (gp3)"},
            {"EbsSettings/Encrypted", boolean, false, "", "true"},
            {"EbsSettings/KmsKeyId", text},
            {"EbsSettings/SnapshotId", text, false, "snap-"},
            {"EbsSettings/VolumeId", text, false, "vol-"},
            served({"EbsSettings/DeletionPolicy", text, false, "Delete|Retain|Snapshot", "Delete"},
                   kKept),
            {"EbsSettings/Raid", map},
            {"EbsSettings/Raid/Type", integer, true, "0|1"},
            {"EbsSettings/Raid/NumberOfVolumes", integer, false, "2..5", "2"},
            on_aws({"EfsSettings", map}, kDisks),
            {"EfsSettings/FileSystemId", text, false, "fs-"},
            {"EfsSettings/AccessPointId", text, false, "fsap-/17"},
            {"EfsSettings/PerformanceMode", text, false, "generalPurpose|maxIO", "generalPurpose"},
            {"EfsSettings/ThroughputMode", text, false, "provisioned|bursting", "bursting"},
            {"EfsSettings/ProvisionedThroughput", integer, false, "1..1024"},
            {"EfsSettings/Encrypted", boolean, false, "", "false"},
            {"EfsSettings/KmsKeyId", text},
            {"EfsSettings/EncryptionInTransit", boolean, false, "", "false"},
            {"EfsSettings/IamAuthorization", boolean, false, "", "false"},
            served({"EfsSettings/DeletionPolicy", text, false, "Delete|Retain", "Delete"}, kKept),
            on_aws({"FsxLustreSettings", map}, kDisks),
            on_aws({"FsxOntapSettings", map}, kDisks),
            {"FsxOntapSettings/VolumeId", text, true, "fsvol-/x17"},
            on_aws({"FsxOpenZfsSettings", map}, kDisks),
            {"FsxOpenZfsSettings/VolumeId", text, true, "fsvol-/x17"},
            on_aws({"FileCacheSettings", map}, kDisks),
            {"FileCacheSettings/FileCacheId", text, true, "fc-/x8-18"}});
  add_lustre_keys(keys);
}

void add_own_keys(Keys& keys) {
  keys.push_back({"Coxswain", map});
  add_keys(
      keys, "Coxswain",
      {served(
           {"Provider", text, false, "local|ssh|slurm", "local"},
           "where nodes come from: this machine, hosts reached by ssh, a Slurm site; slurm where "
           "the scheduler is slurm and Coxswain.Slurm is there"),
       served({"ScaledownIdletime", integer, false, ">=-1", "10"},
              "minutes until an idle node is given back; -1: never"),
       served({"Containers", text, false, "podman|host", "podman"},
              "what runs a job definition's image; host: nothing does, the command runs on the "
              "node"),
       served({"Api", map}, "where programs that speak AWS reach the cluster"),
       served({"Api/Address", text, false, "ipv4", "127.0.0.1"},
              "the address to listen on; 0.0.0.0: all; through TLS unless it is of loopback"),
       served({"Api/Port", integer, false, "1..65535", "a free one, kept"}, "the port there"),
       served({"Api/Host", text, false, "", "the address, or this machine's name"},
              "the name or address that clients know it by"),
       served({"Api/Certificate", text, false, "", "made by the cluster's own authority"},
              "file of the certificate, PEM, with those that lead to its authority's"),
       served({"Api/PrivateKey", text}, "file of the certificate's key, PEM"),
       served({"HistoryDays", integer, false, "1..3650", "7"},
              "days that jobs are kept that have ended, with their output"),
       served({"Queues", list}, "what holds of single queues"),
       served({"Queues[]/Name", text, true}, "of a queue of the file"),
       served(
           {"Queues[]/MaxRunningJobs", integer, true, ">=1"},
           "jobs of the queue that may run at once; the tag coxswain:MaxRunningJobs of the queue "
           "goes before it"),
       served({"ComputeResources", list}, "what holds of single compute resources"),
       served({"ComputeResources[]/Name", text, true}, "of a compute resource of the queues"),
       served({"ComputeResources[]/Provider", text, true, "local|ssh|slurm"}, "its own provider"),
       served({"Ssh", map},
              "the hosts of the ssh provider; what is left out comes from the user's "
              "own ssh configuration"),
       served({"Ssh/User", text}, "login name"),
       served({"Ssh/IdentityFile", text}, "private key"),
       served({"Ssh/KnownHostsFile", text}, "the hosts' keys"),
       served({"Ssh/Hosts", hosts, true, "#1..10000"}, "each a name or address, or a map"),
       served({"Ssh/Hosts[]/Host", text, true}, "name or address"),
       served({"Ssh/Hosts[]/Port", integer, false, "1..65535"}, "of sshd"),
       served({"Ssh/Hosts[]/User", text, false, "", "Ssh.User"}, "login name there"),
       served({"Ssh/Hosts[]/vCpus", integer, false, ">=1", "what the host has"},
              "hardware threads that jobs may take"),
       served({"Ssh/Hosts[]/Memory", integer, false, ">=1", "what the host has"},
              "MiB that jobs may take"),
       served({"Ssh/Hosts[]/ProxyJump", text}, "the host to go through"),
       served({"Ssh/Hosts[]/ComputeResource", text, false, "", "the first"},
              "the compute resource that it is a node of"),
       served({"Slurm", map}, "how the slurm provider asks for nodes"),
       served({"Slurm/Partition", text, false, "", "the site's default"}, "sbatch --partition"),
       served({"Slurm/Account", text, false, "", "the user's default"}, "sbatch --account"),
       served({"Slurm/Qos", text, false, "", "the account's default"}, "sbatch --qos"),
       served({"Slurm/ExtraArgs", texts}, "more arguments of sbatch"),
       served({"Slurm/PilotSeconds", integer, false, ">=60", "3600"},
              "how long nodes are asked for, by jobs without a timeout"),
       served({"SharedStorage", list}, "where the content of shared directories comes from"),
       served({"SharedStorage[]/MountDir", text, true, "mount"},
              "of an entry of SharedStorage, or a directory more"),
       served({"SharedStorage[]/Source", text, false, "source", "existing"},
              "existing: the hosts share it already; staged: copied by content; SERVER:/EXPORT: "
              "mounted by NFS")});
}

}  // namespace cox::config
