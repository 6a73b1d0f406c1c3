#include "launcher/provider/mount_plan.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "runtime/base/text.hpp"

namespace cox::provider {
namespace {

constexpr const char* kMpiBin = "/usr/lib64/openmpi/bin";
/// What stands in front of Open MPI's mpirun, by all names of that.
constexpr const char* kFront = "/run/coxswain/bin/cox-mpirun";
constexpr std::array<std::string_view, 3> kFrontNames = {"mpirun", "mpiexec", "orterun"};
constexpr int kLinksMax = 16;

/// Top-level directories that a node must not change.
bool is_system(const std::string& name) {
  static const std::set<std::string> names = {"usr", "etc", "boot", "bin", "sbin", "opt"};
  return names.count(name) != 0 || name.rfind("lib", 0) == 0;
}

/// Top-level directories that a node has for itself.
bool is_private(const std::string& name) {
  static const std::set<std::string> names = {"proc", "sys", "tmp", "run"};
  return names.count(name) != 0;
}

std::vector<std::string> components_of(const std::string& path) {
  std::vector<std::string> kept;
  for (const std::string& part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!kept.empty()) kept.pop_back();
    } else {
      kept.push_back(part);
    }
  }
  return kept;
}

std::string clean(const std::string& path) { return "/" + join(components_of(path), "/"); }

std::string parent_of_path(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool is_beneath(const std::string& path, const std::string& directory) {
  return directory == "/" || path == directory || path.rfind(directory + "/", 0) == 0;
}

class Planner {
 public:
  explicit Planner(const HostTree& host) : host_(host) { ours_.insert("/"); }

  void bind_top_level();
  void add_private();
  void add_product(const NodeRoot& root);
  void add_etc(const NodeRoot& root);
  [[nodiscard]] Result<void> add_mpi_programs();
  [[nodiscard]] Result<void> place(const std::string& source, const std::string& target);
  [[nodiscard]] std::vector<MountStep> finish();

 private:
  using Kind = MountStep::Kind;
  struct Bound {
    std::string source;
    bool read_only = false;
    bool of_cluster = false;  ///< directories may be made in it
  };

  void make_directory(const std::string& target, unsigned mode = 0755);
  void add_tmpfs(const std::string& target, unsigned mode);
  void add_link(const std::string& target, const std::string& to);
  void add_entry(const std::string& target, const std::string& source, const HostEntry& entry,
                 bool read_only);
  void remake(const std::string& directory);
  [[nodiscard]] Result<std::string> ensure_directory(const std::string& path);
  [[nodiscard]] Result<std::string> resolve(const std::string& path) const;
  [[nodiscard]] std::optional<std::string> link_at(const std::string& path) const;
  [[nodiscard]] std::optional<Bound> host_side_of(const std::string& path) const;

  const HostTree& host_;
  std::vector<MountStep> steps_;
  std::vector<MountStep> seals_;
  std::set<std::string> ours_;  ///< directories on tmpfs of our own
  std::map<std::string, Bound> bound_;
  std::map<std::string, std::string> links_;
};

void Planner::make_directory(const std::string& target, unsigned mode) {
  steps_.push_back({.kind = Kind::directory, .target = target, .mode = mode});
  ours_.insert(target);
}

void Planner::add_tmpfs(const std::string& target, unsigned mode) {
  steps_.push_back({.kind = Kind::tmpfs, .target = target, .mode = mode});
  ours_.insert(target);
}

void Planner::add_link(const std::string& target, const std::string& to) {
  steps_.push_back({.kind = Kind::link, .target = target, .source = to});
  links_[target] = to;
}

void Planner::add_entry(const std::string& target, const std::string& source,
                        const HostEntry& entry, bool read_only) {
  if (entry.kind == EntryKind::link) {
    add_link(target, entry.link_target);
    return;
  }
  const bool is_directory = entry.kind == EntryKind::directory;
  steps_.push_back({.kind = is_directory ? Kind::directory : Kind::file, .target = target});
  steps_.push_back({.kind = Kind::bind,
                    .target = target,
                    .source = source,
                    .read_only = read_only,
                    .optional = !read_only});
  bound_[target] = {source, read_only};
}

void Planner::bind_top_level() {
  for (const HostEntry& entry : host_.list("/")) {
    if (is_private(entry.name) && entry.kind == EntryKind::directory) continue;
    const std::string path = "/" + entry.name;
    add_entry(path, path, entry, is_system(entry.name));
  }
}

void Planner::add_private() {
  make_directory("/proc", 0555);
  steps_.push_back({.kind = Kind::proc, .target = "/proc"});
  make_directory("/sys", 0555);
  steps_.push_back({.kind = Kind::sysfs, .target = "/sys"});
  make_directory("/tmp");
  add_tmpfs("/tmp", 01777);
  make_directory("/run");
  add_tmpfs("/run", 0755);
  make_directory("/run/lock", 01777);
  if (host_.look("/dev/shm")) add_tmpfs("/dev/shm", 01777);
  if (host_.look("/dev/mqueue")) {
    steps_.push_back({.kind = Kind::mqueue, .target = "/dev/mqueue", .optional = true});
  }
}

void Planner::add_product(const NodeRoot& root) {
  const auto bind = [this](const std::string& source, const char* target, bool read_only) {
    make_directory(target);
    steps_.push_back(
        {.kind = Kind::bind, .target = target, .source = source, .read_only = read_only});
  };
  make_directory("/run/coxswain");
  bind(root.bin_directory, "/run/coxswain/bin", true);
  make_directory("/run/coxswain/node-bin");
  add_link("/run/coxswain/node-bin/ssh", "/run/coxswain/bin/cox-rsh");
  for (const auto name : kFrontNames) {
    add_link("/run/coxswain/node-bin/" + std::string(name), kFront);
  }
  bind(root.api_directory, "/run/coxswain/cluster", false);
  bind(root.scratch_directory, "/run/coxswain/scratch", false);
  if (!root.cgroup_directory.empty()) bind(root.cgroup_directory, "/run/coxswain/cgroup", false);
}

void Planner::add_etc(const NodeRoot& root) {
  const auto cover = [this](const std::string& source, const char* target) {
    if (!host_.look(target)) return;
    steps_.push_back({.kind = Kind::bind, .target = target, .source = source, .optional = true});
  };
  cover(root.hosts_file, "/etc/hosts");
  cover(root.hostname_file, "/etc/hostname");
}

std::optional<std::string> Planner::link_at(const std::string& path) const {
  if (const auto known = links_.find(path); known != links_.end()) return known->second;
  const auto bound = host_side_of(path);
  if (!bound) return std::nullopt;
  const auto entry = host_.look(bound->source);
  if (!entry || entry->kind != EntryKind::link) return std::nullopt;
  return entry->link_target;
}

Result<std::string> Planner::resolve(const std::string& path) const {
  std::string rest = clean(path);
  for (int links = 0; links < kLinksMax; ++links) {
    const auto parts = components_of(rest);
    std::string at;
    std::optional<std::string> target;
    std::size_t used = 0;
    while (used < parts.size() && !target) {
      at += "/" + parts[used++];
      target = link_at(at);
    }
    if (!target) return rest;
    std::string next = target->front() == '/' ? *target : parent_of_path(at) + "/" + *target;
    for (; used < parts.size(); ++used) next += "/" + parts[used];
    rest = clean(next);
  }
  return fail(Errc::invalid_argument, "{}: too many links on the way", path);
}

std::optional<Planner::Bound> Planner::host_side_of(const std::string& path) const {
  for (std::string at = path; at != "/"; at = parent_of_path(at)) {
    if (ours_.count(at) != 0) return std::nullopt;
    if (const auto found = bound_.find(at); found != bound_.end()) {
      Bound side = found->second;
      side.source += path.substr(at.size());
      return side;
    }
  }
  return std::nullopt;
}

void Planner::remake(const std::string& directory) {
  const Bound old = host_side_of(directory).value_or(Bound{directory});
  const auto entries = host_.list(old.source);
  add_tmpfs(directory, 0755);
  for (const HostEntry& entry : entries) {
    add_entry(directory + "/" + entry.name, old.source + "/" + entry.name, entry, old.read_only);
  }
  if (old.read_only) seals_.push_back({.kind = Kind::seal, .target = directory});
}

Result<std::string> Planner::ensure_directory(const std::string& path) {
  const auto resolved = resolve(path);
  if (!resolved) return fail(resolved.error());
  std::string at;
  for (const std::string& part : components_of(*resolved)) {
    const std::string above = at.empty() ? "/" : at;
    at += "/" + part;
    if (ours_.count(at) != 0) continue;
    if (const auto placed = bound_.find(at); placed != bound_.end() && placed->second.of_cluster) {
      continue;
    }
    const auto bound = host_side_of(at);
    if (bound) {
      const auto entry = host_.look(bound->source);
      if (entry && entry->kind == EntryKind::directory) continue;
      if (entry) return fail(Errc::invalid_argument, "{}: {} is not a directory", path, at);
      if (bound->of_cluster) {
        steps_.push_back({.kind = Kind::directory, .target = at});
        continue;
      }
      remake(above);
    }
    make_directory(at);
  }
  return resolved;
}

Result<void> Planner::place(const std::string& source, const std::string& target) {
  if (target.empty() || target.front() != '/') {
    return fail(Errc::invalid_argument, "{}: a path in a node must be absolute", target);
  }
  const auto at = resolve(target);
  if (!at) return fail(at.error());
  for (const char* own : {"/proc", "/sys", "/dev", "/run"}) {
    if (!is_beneath(*at, own)) continue;
    return fail(Errc::invalid_argument, "{}: nothing can be shared beneath {}", target, own);
  }
  if (*at == "/" || *at == "/tmp" || (parent_of_path(*at) == "/" && is_system(at->substr(1)))) {
    return fail(Errc::invalid_argument, "{}: nodes need their own here", target);
  }
  if (const auto made = ensure_directory(*at); !made) return fail(made.error());
  steps_.push_back({.kind = Kind::bind, .target = *at, .source = source});
  ours_.erase(*at);
  bound_[*at] = {.source = source, .of_cluster = true};
  return {};
}

Result<void> Planner::add_mpi_programs() {
  if (host_.look(std::string(kMpiBin) + "/mpirun")) return {};
  const auto directory = ensure_directory(kMpiBin);
  if (!directory) return fail(directory.error());
  // Debian keeps each of these as NAME.openmpi beside those of other MPIs.
  static constexpr std::array kNames = {
      "mpirun",      "mpiexec",     "mpicc",      "mpic++",    "mpicxx",      "mpiCC",
      "mpif77",      "mpif90",      "mpifort",    "orted",     "orterun",     "ompi_info",
      "ompi-clean",  "ompi-server", "orte-clean", "orte-info", "orte-server", "opal_wrapper",
      "oshmem_info", "oshrun",      "oshcc",      "oshc++",    "oshcxx",      "oshfort"};
  for (const std::string name : kNames) {
    const std::array places = {"/usr/bin/" + name + ".openmpi", "/usr/bin/" + name,
                               "/usr/local/bin/" + name};
    const auto found = std::find_if(places.begin(), places.end(),
                                    [this](const auto& place) { return host_.look(place); });
    if (found == places.end()) continue;
    const bool is_front =
        std::find(kFrontNames.begin(), kFrontNames.end(), name) != kFrontNames.end();
    add_link(*directory + "/" + name, is_front ? kFront : *found);
  }
  return {};
}

std::vector<MountStep> Planner::finish() {
  steps_.insert(steps_.end(), seals_.begin(), seals_.end());
  return std::move(steps_);
}

}  // namespace

Result<std::vector<MountStep>> plan_mounts(const NodeRoot& root, const HostTree& host) {
  Planner planner(host);
  planner.bind_top_level();
  planner.add_private();
  planner.add_product(root);
  planner.add_etc(root);
  if (const auto added = planner.add_mpi_programs(); !added) return fail(added.error());
  auto places = root.shared;
  places.emplace_back(root.home_directory, "/home/" + root.os_user);
  // What lies within another comes after it.
  std::stable_sort(places.begin(), places.end(), [](const auto& a, const auto& b) {
    return components_of(a.second) < components_of(b.second);
  });
  for (const auto& [source, target] : places) {
    if (const auto placed = planner.place(source, target); !placed) return fail(placed.error());
  }
  return planner.finish();
}

}  // namespace cox::provider
