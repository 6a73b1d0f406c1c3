#include "launcher/provider/preflight.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "runtime/base/text.hpp"

namespace cox::provider {
namespace {

constexpr std::int64_t kSkewWarnedMs = 2'000;
constexpr std::int64_t kSkewRefusedMs = 300'000;
constexpr std::int64_t kShmMiB = 64;  // Open MPI takes 4 MiB a rank
constexpr std::int64_t kScratchMiB = 200;
constexpr std::int64_t kOpenFiles = 1024;
constexpr std::int64_t kProcesses = 256;
constexpr int kPairsShown = 8;

class Judge {
 public:
  Judge(const SshPlan& plan, const Demands& demands, const std::vector<HostLook>& looks)
      : plan_(plan), demands_(demands), looks_(looks), addresses_(choose_addresses(looks)) {}

  std::vector<Trouble> run() {
    find_common_version();
    for (std::size_t i = 0; i < looks_.size(); ++i) judge(i);
    judge_pairs();
    return std::move(troubles_);
  }

 private:
  [[nodiscard]] std::string name(std::size_t host) const { return shown(plan_.hosts[host].target); }

  void add(Gravity gravity, const char* check, std::string host, std::string text,
           std::string mend) {
    troubles_.push_back({gravity, check, std::move(host), std::move(text), std::move(mend)});
  }

  /// The version that most hosts have is the one that the others lack.
  void find_common_version() {
    std::map<std::string, int> counts;
    for (const auto& look : looks_) {
      if (look.facts && !look.facts->open_mpi.empty()) ++counts[look.facts->open_mpi];
    }
    int most = 0;
    for (const auto& [version, count] : counts) {
      if (count > most) version_ = version;
      most = std::max(most, count);
    }
  }

  void judge(std::size_t i) {
    const auto& look = looks_[i];
    if (!look.facts) {
      // The sentence names the host and the mend itself.
      auto text = look.facts.error().message;
      const auto prefix = "host " + name(i) + ": ";
      if (text.starts_with(prefix)) text.erase(0, prefix.size());
      return add(Gravity::error, "ssh", name(i), std::move(text), "");
    }
    judge_name(i, *look.facts);
    judge_mpi(i, *look.facts);
    judge_mounts(i);
    judge_shared(i, *look.facts);
    judge_staged(i, *look.facts);
    judge_size(i, *look.facts);
    judge_clock(i, look);
    judge_limits(i, *look.facts);
  }

  void judge_name(std::size_t i, const HostFacts& facts) {
    for (std::size_t other = 0; other < i; ++other) {
      const auto& theirs = looks_[other].facts;
      if (!theirs) continue;
      if (theirs->machine == facts.machine) {
        add(Gravity::error, "name", name(i), "it is the same machine as " + name(other),
            "name each machine once");
      } else if (theirs->hostname == facts.hostname) {
        add(Gravity::error, "name", name(i),
            fmt::format("its host name {} is that of {} too, and MPI takes hosts of one name for "
                        "one machine",
                        facts.hostname, name(other)),
            "give it a name of its own: hostnamectl set-hostname NAME");
      }
    }
    if (facts.interfaces.empty()) {
      add(Gravity::error, "network", name(i), "it has no IPv4 interface but loopback",
          "connect it to a network that the other hosts are on");
    }
  }

  void judge_mpi(std::size_t i, const HostFacts& facts) {
    if (facts.mpirun.empty() || facts.open_mpi.empty()) {
      const bool needed = !version_.empty();
      return add(needed ? Gravity::error : Gravity::warning, "open-mpi", name(i),
                 "Open MPI is not there", "install it there: apt-get install openmpi-bin");
    }
    if (facts.orted.empty()) {
      add(Gravity::error, "open-mpi", name(i),
          "orted is not there, without which mpirun reaches no host",
          "install all of Open MPI there: apt-get install openmpi-bin");
    }
    if (facts.open_mpi != version_) {
      add(Gravity::error, "open-mpi", name(i),
          fmt::format("it has Open MPI {}, others have {}", facts.open_mpi, version_),
          "install the same version on all hosts");
    }
  }

  [[nodiscard]] MountSaid mount_on(std::size_t i, std::size_t mount) const {
    const auto& said = looks_[i].mounts;
    return mount < said.size() ? said[mount] : MountSaid{};
  }

  /// Of directories that are not to be mounted: true.
  [[nodiscard]] bool is_mounted(std::size_t i, const std::string& directory) const {
    for (std::size_t m = 0; m < plan_.mounts.size(); ++m) {
      if (plan_.mounts[m].directory != directory) continue;
      return mount_on(i, m).state == MountSaid::State::mounted;
    }
    return true;
  }

  void judge_mounts(std::size_t i) {
    for (std::size_t m = 0; m < plan_.mounts.size(); ++m) {
      auto fault = explain_mount(plan_.mounts[m], mount_on(i, m));
      if (fault.text.empty()) continue;
      add(Gravity::error, "nfs", name(i), std::move(fault.text), std::move(fault.mend));
    }
  }

  void judge_shared(std::size_t i, const HostFacts& facts) {
    for (std::size_t d = 0; d < demands_.shared.size(); ++d) {
      const auto& directory = demands_.shared[d];
      if (!is_mounted(i, directory)) continue;  // that is told already
      const bool told = d < facts.shared.size();
      if (told && !facts.shared[d].empty()) {
        add(Gravity::error, "shared", name(i),
            fmt::format("nothing can be written into {} there: {}", directory, facts.shared[d]),
            fmt::format("mount the shared directory at {}, and let {} write into it", directory,
                        facts.user));
        continue;
      }
      std::vector<std::string> missing;
      for (std::size_t other = 0; other < looks_.size(); ++other) {
        const bool written = looks_[other].facts && d < looks_[other].facts->shared.size() &&
                             looks_[other].facts->shared[d].empty();
        const bool seen = d < looks_[i].seen.size() && other < looks_[i].seen[d].size() &&
                          looks_[i].seen[d][other];
        if (other != i && written && !seen) missing.push_back(name(other));
      }
      if (missing.empty()) continue;
      add(Gravity::error, "shared", name(i),
          fmt::format("{} is not shared: what {} wrote there is not seen", directory,
                      some(missing)),
          "mount one file system there on all hosts, or leave the directory out of the file");
    }
  }

  void judge_staged(std::size_t i, const HostFacts& facts) {
    if (demands_.staged.empty()) return;
    const auto& claims = looks_[i].claims;
    if (!claims.rsync) {
      add(Gravity::error, "staged", name(i),
          fmt::format("rsync is not there, and {} is staged by it", demands_.staged.front()),
          "install it there: apt-get install rsync");
    }
    for (std::size_t d = 0; d < demands_.staged.size(); ++d) {
      const auto claim = d < claims.directories.size() ? claims.directories[d] : StageClaim{};
      judge_claim(i, facts, demands_.staged[d], claim);
    }
  }

  void judge_claim(std::size_t i, const HostFacts& facts, const std::string& directory,
                   const StageClaim& claim) {
    const auto fault = [&](std::string text, std::string mend) {
      add(Gravity::error, "staged", name(i), std::move(text), std::move(mend));
    };
    switch (claim.state) {
      case StageClaim::State::shared:
        return;  // with this machine: nothing needs to be copied
      case StageClaim::State::taken:
        if (claim.free_mib >= kScratchMiB) return;
        return fault(fmt::format("{} has {} MiB left there", directory, claim.free_mib),
                     "make room there");
      case StageClaim::State::others:
        return fault(fmt::format("{} there holds what another cluster has staged", directory),
                     "delete that cluster, or give this one another MountDir");
      case StageClaim::State::used:
        return fault(fmt::format("{} there is not empty, and a cluster empties what it stages to",
                                 directory),
                     "name a MountDir that the hosts do not have, or have empty");
      case StageClaim::State::no_directory:
        return fault(fmt::format("{} there is a link, or no directory", directory),
                     "name a MountDir that the hosts do not have, or have empty");
      case StageClaim::State::denied:
        return fault(
            fmt::format("{} can neither make {} there nor write into it", facts.user, directory),
            fmt::format("make it there for {} (mkdir, chown), or name a MountDir that {} may make, "
                        "as one in /var/tmp",
                        facts.user, facts.user));
      case StageClaim::State::untold:
        return fault(fmt::format("it did not tell of {}", directory), "look at it, and try again");
    }
  }

  void judge_size(std::size_t i, const HostFacts& facts) {
    const auto& host = plan_.hosts[i];
    if (host.vcpus > facts.vcpus) {
      add(Gravity::warning, "cores", name(i),
          fmt::format("{} vCPUs are asked of it and it has {}", host.vcpus, facts.vcpus),
          "leave vCpus out of the file, or expect ranks to share cores");
    }
    const int wanted = host.vcpus > 0 ? std::min(host.vcpus, facts.vcpus) : facts.vcpus;
    if (facts.vcpus - facts.load < wanted - 0.5) {
      add(Gravity::warning, "cores", name(i),
          fmt::format("its load is {:.1f} of {} cores, and {} are to be used", facts.load,
                      facts.vcpus, wanted),
          "end what else runs there, or lower vCpus");
    }
    if (host.memory_mib > facts.memory_mib) {
      add(Gravity::warning, "memory", name(i),
          fmt::format("{} MiB are asked of it and it has {}", host.memory_mib, facts.memory_mib),
          "lower Memory");
    }
  }

  void judge_clock(std::size_t i, const HostLook& look) {
    const auto clock = look.facts->clock_ms;
    std::int64_t off = 0;
    if (clock < look.asked_ms) off = clock - look.asked_ms;
    if (clock > look.answered_ms) off = clock - look.answered_ms;
    if (std::abs(off) < kSkewWarnedMs) return;
    add(std::abs(off) < kSkewRefusedMs ? Gravity::warning : Gravity::error, "clock", name(i),
        fmt::format("its clock is {:.0f} s {}", static_cast<double>(std::abs(off)) / 1000,
                    off < 0 ? "behind" : "ahead"),
        "keep it by NTP: timedatectl set-ntp true");
  }

  void judge_limits(std::size_t i, const HostFacts& facts) {
    if (facts.shm_mib < kShmMiB) {
      add(Gravity::warning, "shm", name(i),
          fmt::format("/dev/shm has {} MiB left, and ranks on one host meet there", facts.shm_mib),
          "remove what is left in it, or mount -o remount,size=1G /dev/shm");
    }
    if (facts.scratch_mib < kScratchMiB) {
      add(Gravity::error, "disk", name(i),
          fmt::format("/var/tmp has {} MiB left, where jobs' directories are", facts.scratch_mib),
          "make room there");
    }
    if (facts.open_files >= 0 && facts.open_files < kOpenFiles) {
      add(Gravity::warning, "limits", name(i),
          fmt::format("a process may open {} files, few for many ranks", facts.open_files),
          "raise nofile in /etc/security/limits.conf");
    }
    if (facts.processes >= 0 && facts.processes < kProcesses) {
      add(Gravity::warning, "limits", name(i),
          fmt::format("its user may have {} processes", facts.processes),
          "raise nproc in /etc/security/limits.conf");
    }
  }

  void judge_pairs() {
    int said = 0;
    int more = 0;
    for (std::size_t from = 0; from < looks_.size(); ++from) {
      for (std::size_t to = 0; to < looks_.size(); ++to) {
        if (from == to || !looks_[from].facts || !looks_[to].facts) continue;
        const auto& reached = looks_[from].reached;
        const bool good = to < reached.size() &&
                          std::count(reached[to].begin(), reached[to].end(), addresses_[to]) != 0;
        if (good) continue;
        if (++said > kPairsShown) {
          ++more;
          continue;
        }
        add(Gravity::error, "network", name(from) + " and " + name(to),
            fmt::format("from the first no TCP connection reaches the second at {}",
                        addresses_[to]),
            "let the hosts' firewalls pass TCP between them at all ports that programs choose "
            "(net.ipv4.ip_local_port_range), both ways");
      }
    }
    if (more > 0) {
      add(Gravity::error, "network", "others",
          fmt::format("{} more pairs do not reach each other", more), "as above");
    }
  }

  static std::string some(const std::vector<std::string>& names) {
    constexpr std::size_t kShown = 3;
    if (names.size() <= kShown) return join(names, ", ");
    return fmt::format("{} and {} others", join({names.begin(), names.begin() + kShown}, ", "),
                       names.size() - kShown);
  }

  const SshPlan& plan_;
  const Demands& demands_;
  const std::vector<HostLook>& looks_;
  std::vector<std::string> addresses_;
  std::string version_;
  std::vector<Trouble> troubles_;
};

bool all_reach(const std::vector<HostLook>& looks, const std::vector<std::string>& addresses) {
  for (const auto& look : looks) {
    if (!look.facts) continue;
    for (std::size_t to = 0; to < looks.size(); ++to) {
      if (&looks[to] == &look || !looks[to].facts) continue;
      if (to >= look.reached.size()) return false;
      const auto& reached = look.reached[to];
      if (std::count(reached.begin(), reached.end(), addresses[to]) == 0) return false;
    }
  }
  return true;
}

}  // namespace

const char* to_string(Gravity gravity) { return gravity == Gravity::error ? "ERROR" : "WARNING"; }

std::vector<std::string> choose_addresses(const std::vector<HostLook>& looks) {
  std::vector<std::string> by_ssh;
  std::set<std::string> networks;
  for (const auto& look : looks) {
    by_ssh.push_back(look.facts ? choose_address(*look.facts) : "");
    if (!look.facts) continue;
    for (const auto& each : look.facts->interfaces) {
      networks.insert(network_of(*look.facts, each.address));
    }
  }
  if (all_reach(looks, by_ssh)) return by_ssh;
  for (const auto& network : networks) {
    std::vector<std::string> addresses;
    for (const auto& look : looks) {
      addresses.emplace_back();
      if (!look.facts) continue;
      for (const auto& each : look.facts->interfaces) {
        if (network_of(*look.facts, each.address) == network) addresses.back() = each.address;
      }
    }
    if (all_reach(looks, addresses)) return addresses;
  }
  return by_ssh;
}

std::vector<Trouble> judge_hosts(const SshPlan& plan, const Demands& demands,
                                 const std::vector<HostLook>& looks) {
  return Judge(plan, demands, looks).run();
}

bool any_error(const std::vector<Trouble>& troubles) {
  return std::any_of(troubles.begin(), troubles.end(),
                     [](const Trouble& trouble) { return trouble.gravity == Gravity::error; });
}

std::string render_trouble(const Trouble& trouble) {
  auto text = fmt::format("host {}: {}", trouble.host, trouble.text);
  if (!trouble.mend.empty()) text += "; " + trouble.mend;
  return text;
}

}  // namespace cox::provider
