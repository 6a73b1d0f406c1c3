#include "launcher/provider/mount_plan.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace cox::provider {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::Not;
using testing::StartsWith;

/// A machine made of paths: "/usr/" a directory, "/etc/hosts" a file, "/lib64 -> usr/lib64" a link.
class PaperTree : public HostTree {
 public:
  explicit PaperTree(const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
      HostEntry entry;
      std::string path = line;
      if (const auto arrow = line.find(" -> "); arrow != std::string::npos) {
        path = line.substr(0, arrow);
        entry.kind = EntryKind::link;
        entry.link_target = line.substr(arrow + 4);
      } else if (line.back() == '/') {
        path.pop_back();
      } else {
        entry.kind = EntryKind::file;
      }
      entry.name = path.substr(path.rfind('/') + 1);
      entries_[path] = entry;
    }
  }

  [[nodiscard]] std::vector<HostEntry> list(const std::string& directory) const override {
    const std::string above = directory == "/" ? "" : directory;
    std::vector<HostEntry> found;
    for (const auto& [path, entry] : entries_) {
      if (path.substr(0, path.rfind('/')) == above) found.push_back(entry);
    }
    return found;
  }
  [[nodiscard]] std::optional<HostEntry> look(const std::string& path) const override {
    const auto found = entries_.find(path);
    return found == entries_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::map<std::string, HostEntry> entries_;
};

std::string text_of(const MountStep& step) {
  using Kind = MountStep::Kind;
  switch (step.kind) {
    case Kind::directory:
      return fmt::format("mkdir {}", step.target);
    case Kind::link:
      return fmt::format("link {} -> {}", step.target, step.source);
    case Kind::file:
      return fmt::format("touch {}", step.target);
    case Kind::bind:
      return fmt::format("bind {} on {}{}", step.source, step.target,
                         step.read_only ? " read-only" : "");
    case Kind::tmpfs:
      return fmt::format("tmpfs {} {:o}", step.target, step.mode);
    case Kind::proc:
      return fmt::format("proc {}", step.target);
    case Kind::sysfs:
      return fmt::format("sysfs {}", step.target);
    case Kind::mqueue:
      return fmt::format("mqueue {}", step.target);
    case Kind::seal:
      return fmt::format("seal {}", step.target);
  }
  return {};
}

NodeRoot some_root() {
  return {.home_directory = "/c/home",
          .os_user = "ec2-user",
          .api_directory = "/c/api",
          .bin_directory = "/p/bin",
          .hosts_file = "/c/hosts",
          .hostname_file = "/c/nodes/n/hostname",
          .scratch_directory = "/c/nodes/n/scratch",
          .cgroup_directory = "",
          .shared = {}};
}

std::vector<std::string> debian() {
  return {"/bin -> usr/bin",
          "/dev/",
          "/dev/shm/",
          "/etc/",
          "/etc/hosts",
          "/etc/hostname",
          "/home/",
          "/home/ada/",
          "/lib64 -> usr/lib64",
          "/mnt/",
          "/proc/",
          "/run/",
          "/sys/",
          "/tmp/",
          "/usr/",
          "/usr/bin/",
          "/usr/bin/mpirun.openmpi",
          "/usr/bin/mpirun",
          "/usr/bin/orted",
          "/usr/lib64/",
          "/usr/lib64/ld.so -> /lib/ld.so"};
}

std::vector<std::string> plan_of(const NodeRoot& root, const std::vector<std::string>& machine) {
  const auto steps = plan_mounts(root, PaperTree(machine));
  std::vector<std::string> texts;
  if (!steps) return {"error: " + steps.error().message};
  for (const MountStep& step : *steps) texts.push_back(text_of(step));
  return texts;
}

TEST(MountPlan, OfADebianMachineIsThis) {
  EXPECT_THAT(
      plan_of(some_root(), debian()),
      ElementsAre("link /bin -> usr/bin", "mkdir /dev", "bind /dev on /dev", "mkdir /etc",
                  "bind /etc on /etc read-only", "mkdir /home", "bind /home on /home",
                  "link /lib64 -> usr/lib64", "mkdir /mnt", "bind /mnt on /mnt", "mkdir /usr",
                  "bind /usr on /usr read-only", "mkdir /proc", "proc /proc", "mkdir /sys",
                  "sysfs /sys", "mkdir /tmp", "tmpfs /tmp 1777", "mkdir /run", "tmpfs /run 755",
                  "mkdir /run/lock", "tmpfs /dev/shm 1777", "mkdir /run/coxswain",
                  "mkdir /run/coxswain/bin", "bind /p/bin on /run/coxswain/bin read-only",
                  "mkdir /run/coxswain/node-bin",
                  "link /run/coxswain/node-bin/ssh -> /run/coxswain/bin/cox-rsh",
                  "link /run/coxswain/node-bin/mpirun -> /run/coxswain/bin/cox-mpirun",
                  "link /run/coxswain/node-bin/mpiexec -> /run/coxswain/bin/cox-mpirun",
                  "link /run/coxswain/node-bin/orterun -> /run/coxswain/bin/cox-mpirun",
                  "mkdir /run/coxswain/cluster", "bind /c/api on /run/coxswain/cluster",
                  "mkdir /run/coxswain/scratch", "bind /c/nodes/n/scratch on /run/coxswain/scratch",
                  "bind /c/hosts on /etc/hosts", "bind /c/nodes/n/hostname on /etc/hostname",
                  "tmpfs /usr/lib64 755", "link /usr/lib64/ld.so -> /lib/ld.so",
                  "mkdir /usr/lib64/openmpi", "mkdir /usr/lib64/openmpi/bin",
                  "link /usr/lib64/openmpi/bin/mpirun -> /run/coxswain/bin/cox-mpirun",
                  "link /usr/lib64/openmpi/bin/orted -> /usr/bin/orted", "tmpfs /home 755",
                  "mkdir /home/ada", "bind /home/ada on /home/ada", "mkdir /home/ec2-user",
                  "bind /c/home on /home/ec2-user", "seal /usr/lib64"));
}

TEST(MountPlan, LeavesAnOpenMpiThatIsThereAlone) {
  auto machine = debian();
  machine.insert(machine.end(), {"/usr/lib64/openmpi/", "/usr/lib64/openmpi/bin/",
                                 "/usr/lib64/openmpi/bin/mpirun"});

  EXPECT_THAT(plan_of(some_root(), machine), Not(Contains(StartsWith("tmpfs /usr"))));
}

TEST(MountPlan, BindsOverAHomeThatIsThere) {
  auto machine = debian();
  machine.emplace_back("/home/ec2-user/");

  const auto plan = plan_of(some_root(), machine);

  EXPECT_THAT(plan, Contains("bind /c/home on /home/ec2-user"));
  EXPECT_THAT(plan, Not(Contains("tmpfs /home 755")));
}

TEST(MountPlan, MakesWhatIsMissingOnTheWayToASharedDirectory) {
  auto root = some_root();
  root.shared = {{"/c/shared/a", "/shared"}, {"/c/shared/b", "/mnt/x/y"}};

  const auto plan = plan_of(root, debian());

  EXPECT_THAT(plan, Contains("bind /c/shared/a on /shared"));
  EXPECT_THAT(plan, AllOf(Contains("tmpfs /mnt 755"), Contains("mkdir /mnt/x"),
                          Contains("mkdir /mnt/x/y"), Contains("bind /c/shared/b on /mnt/x/y")));
}

TEST(MountPlan, PutsASharedDirectoryWithinAnotherIntoIt) {
  auto root = some_root();
  root.shared = {{"/c/shared/b", "/mnt/x/y"}, {"/c/shared/a", "/mnt/x"}, {"/c/shared/h", "/home"}};

  const auto plan = plan_of(root, debian());

  EXPECT_THAT(plan, Contains("bind /c/shared/h on /home"));
  const std::vector<std::string> last(plan.end() - 8, plan.end());
  EXPECT_THAT(
      last, ElementsAre("mkdir /home/ec2-user", "bind /c/home on /home/ec2-user", "tmpfs /mnt 755",
                        "mkdir /mnt/x", "bind /c/shared/a on /mnt/x", "mkdir /mnt/x/y",
                        "bind /c/shared/b on /mnt/x/y", "seal /usr/lib64"));
}

TEST(MountPlan, FollowsLinksOnTheWayToASharedDirectory) {
  auto machine = debian();
  machine.emplace_back("/data -> /mnt/disk");
  machine.emplace_back("/mnt/disk/");
  auto root = some_root();
  root.shared = {{"/c/shared/a", "/data/a"}};

  const auto plan = plan_of(root, machine);

  EXPECT_THAT(plan, Contains("tmpfs /mnt/disk 755"));
  EXPECT_THAT(plan, Contains("bind /c/shared/a on /mnt/disk/a"));
}

TEST(MountPlan, KeepsSystemDirectoriesReadOnlyWhereTheyAreMadeAgain) {
  auto machine = debian();
  machine.insert(machine.end(), {"/opt/", "/opt/tool/"});
  auto root = some_root();
  root.shared = {{"/c/shared/a", "/opt/shared"}};

  const auto plan = plan_of(root, machine);

  EXPECT_THAT(plan,
              AllOf(Contains("tmpfs /opt 755"), Contains("bind /opt/tool on /opt/tool read-only"),
                    Contains("bind /c/shared/a on /opt/shared"), Contains("seal /opt")));
}

TEST(MountPlan, AddsTheCgroupWhereThereIsOne) {
  auto root = some_root();
  root.cgroup_directory = "/sys/fs/cgroup/memory/coxswain/c/n";

  EXPECT_THAT(plan_of(root, debian()),
              Contains("bind /sys/fs/cgroup/memory/coxswain/c/n on /run/coxswain/cgroup"));
}

struct BadTarget {
  const char* name;
  const char* target;
  const char* want;

  friend void PrintTo(const BadTarget& c, std::ostream* out) { *out << c.name; }
};

const BadTarget kBadTargets[] = {
    {"relative", "shared", "error: shared: a path in a node must be absolute"},
    {"beneath_proc", "/proc/shared", "error: /proc/shared: nothing can be shared beneath /proc"},
    {"beneath_run_by_dots", "/mnt/../run/x",
     "error: /mnt/../run/x: nothing can be shared beneath /run"},
    {"a_system_directory", "/usr", "error: /usr: nodes need their own here"},
    {"the_root", "/", "error: /: nodes need their own here"},
    {"below_a_file", "/etc/hosts/x", "error: /etc/hosts/x: /etc/hosts is not a directory"},
};

class SharedTarget : public testing::TestWithParam<BadTarget> {};

TEST_P(SharedTarget, IsRefused) {
  auto root = some_root();
  root.shared = {{"/c/shared/a", GetParam().target}};

  EXPECT_THAT(plan_of(root, debian()), ElementsAre(GetParam().want));
}

INSTANTIATE_TEST_SUITE_P(, SharedTarget, testing::ValuesIn(kBadTargets),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cox::provider
