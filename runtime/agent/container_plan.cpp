#include "runtime/agent/container_plan.hpp"

#include <algorithm>
#include <limits>

#include "runtime/base/text.hpp"

namespace cox::agent {

namespace {

/// True when the first part of a name is a registry, as Docker tells: it has a dot or a port.
bool names_registry(std::string_view name) {
  const auto slash = name.find('/');
  if (slash == std::string_view::npos) return false;
  const auto first = name.substr(0, slash);
  return first == "localhost" || first.find_first_of(".:") != std::string_view::npos;
}

/// "name" → "name:latest".
std::string with_tag(std::string_view name) {
  const auto last = name.substr(name.rfind('/') + 1);  // npos + 1 is 0
  const bool has_tag = last.find_first_of(":@") != std::string_view::npos;
  return std::string(name) + (has_tag ? "" : ":latest");
}

ImageSource registry_image(std::string_view name) {
  const auto tagged = with_tag(name);
  if (names_registry(name)) return {.names = {tagged}, .pull = tagged, .archive = {}, .store = {}};
  const auto official = name.find('/') == std::string_view::npos ? "library/" : "";
  const auto full = fmt::format("docker.io/{}{}", official, tagged);
  // What was made here has no registry: podman keeps it as localhost/….
  return {.names = {"localhost/" + tagged, full}, .pull = full, .archive = {}, .store = {}};
}

/// "[overlay@ROOT+RUNROOT]NAME" or "NAME".
ImageSource stored_image(std::string_view text) {
  ImageSource source;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    auto place = text.substr(1, end == std::string_view::npos ? end : end - 1);
    place.remove_prefix(std::min(place.size(), place.find('@') + 1));  // npos + 1 is 0
    source.store = std::string(place.substr(0, place.find_first_of("+:")));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  source.names = registry_image(text).names;
  return source;
}

std::string without_tag(std::string_view path) {
  return std::string(path.substr(0, path.find(':')));
}

std::string joined(std::span<const std::string> words, char separator) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : std::string(1, separator)) + word;
  return text;
}

std::vector<std::string> over(const std::string& root, const std::string& name,
                              const ContainerMachine& machine) {
  const auto momentary = fmt::format("{}/{}", kMomentary, name);
  std::vector<std::string> words{"podman",           "--root",           root,
                                 "--runroot",        momentary + "/run", "--tmpdir",
                                 momentary + "/tmp", "--log-level",      "error",
                                 "--storage-driver", machine.driver};
  if (machine.user_namespace) {
    // All files of an image become the one user's.
    words.insert(words.end(), {"--storage-opt", machine.driver + ".ignore_chown_errors=true"});
  }
  return words;
}

std::string volume(const ContainerMount& mount) {
  return fmt::format("{}:{}{}", mount.source, mount.target, mount.read_only ? ":ro" : "");
}

std::string limit_text(std::string_view name, std::int64_t soft, std::int64_t hard) {
  return fmt::format("{}={}:{}", name, soft, hard);
}

std::int64_t signed_limit(std::uint64_t value) {
  return value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())
             ? -1
             : static_cast<std::int64_t>(value);
}

void add_limits(std::vector<std::string>& words, const ContainerPlan& plan,
                const ContainerMachine& machine) {
  const auto& limits = plan.container.limits;
  if (limits.empty()) {
    words.insert(words.end(), {"--ulimit", "host"});
    return;
  }
  const auto add = [&](const std::string& text) { words.insert(words.end(), {"--ulimit", text}); };
  for (const auto& limit : limits) add(limit_text(limit.name, limit.soft, limit.hard));
  // podman raises these two to what an ordinary machine has unless they are given.
  const auto keep = [&](const std::string& name, std::uint64_t most) {
    const bool given = std::any_of(limits.begin(), limits.end(),
                                   [&](const ContainerLimit& each) { return each.name == name; });
    if (!given) add(limit_text(name, signed_limit(most), signed_limit(most)));
  };
  keep("nofile", machine.open_files);
  keep("nproc", machine.processes);
}

void add_mounts(std::vector<std::string>& words, const ContainerPlan& plan) {
  for (const auto* list : {&plan.extras, &plan.container.mounts}) {
    for (const auto& mount : *list) words.insert(words.end(), {"--volume", volume(mount)});
  }
  for (const auto& tmpfs : plan.container.tmpfs) {
    std::string options = fmt::format("size={}m", tmpfs.size_mib);
    for (const auto& option : tmpfs.options) options += "," + option;
    words.insert(words.end(), {"--tmpfs", fmt::format("{}:{}", tmpfs.target, options)});
  }
  for (const auto& device : plan.container.devices) {
    auto text = device.source + ":" + (device.target.empty() ? device.source : device.target);
    if (!device.permissions.empty()) text += ":" + device.permissions;
    words.insert(words.end(), {"--device", std::move(text)});
  }
}

/// The entry of passwd(5) or group(5) whose field (0: the name, 2: the number) is this.
std::optional<std::vector<std::string>> entry_of(std::string_view file, std::string_view key,
                                                 std::size_t field) {
  for (const auto& line : split(file, '\n')) {
    auto fields = split(line, ':');
    if (fields.size() >= 3 && fields[field] == key) return fields;
  }
  return std::nullopt;
}

std::optional<std::uint32_t> number(std::string_view text) {
  const auto value = to_int(text);
  if (!value || *value < 0 || *value > std::numeric_limits<std::uint32_t>::max() - 1) {
    return std::nullopt;
  }
  return static_cast<std::uint32_t>(*value);
}

/// What podman or its runtime would take from its own environment.
bool is_podmans(std::string_view name) {
  for (const auto* prefix : {"LD_", "XDG_", "CONTAINERS_", "_CONTAINERS", "GO", "STORAGE_",
                             "REGISTRY_", "NOTIFY_", "DBUS_", "LISTEN_"}) {
    if (name.starts_with(prefix)) return true;
  }
  return name == "PATH" || name == "HOME" || name == "TMPDIR" || name == "LANG" ||
         name == "CONTAINER_HOST";
}

}  // namespace

ImageSource read_image(std::string_view image) {
  constexpr std::string_view kDocker = "docker://";
  constexpr std::string_view kStored = "containers-storage:";
  if (image.starts_with(kDocker)) return registry_image(image.substr(kDocker.size()));
  if (image.starts_with(kStored)) return stored_image(image.substr(kStored.size()));
  for (const std::string_view transport : {"docker-archive:", "oci-archive:", "oci:", "dir:"}) {
    if (!image.starts_with(transport)) continue;
    return {.names = {},
            .pull = std::string(image),
            .archive = without_tag(image.substr(transport.size())),
            .store = {}};
  }
  return registry_image(image);
}

std::string render_containers_conf(const ContainerPlan& plan) {
  // Locks as files: /dev/shm is everybody's. No events, no networks: nothing is kept elsewhere.
  return fmt::format(
      "[containers]\ndefault_ulimits=[]\n[engine]\ncgroup_manager=\"cgroupfs\"\n"
      "events_logger=\"none\"\nlock_type=\"file\"\nruntime=\"crun\"\n"
      "[network]\nnetwork_config_dir=\"{}/networks\"\n",
      plan.directory);
}

std::vector<std::string> podman_words(const ContainerPlan& plan, const ContainerMachine& machine,
                                      std::span<const std::string> stores) {
  auto words = over(plan.directory + "/store", "job", machine);
  if (!stores.empty()) {
    words.insert(words.end(),
                 {"--storage-opt", machine.driver + ".imagestore=" + joined(stores, ',')});
  }
  return words;
}

std::vector<std::string> store_words(const ContainerPlan& plan, const ContainerMachine& machine) {
  return over(plan.store + "/images", "images", machine);
}

std::vector<std::string> create_words(const ContainerPlan& plan, const ContainerMachine& machine,
                                      const std::string& image_id, const std::string& user,
                                      std::optional<ContainerUser> mapped,
                                      const std::vector<std::string>& command) {
  const auto& container = plan.container;
  const auto& at = plan.directory;
  std::vector<std::string> words{"create",
                                 "--name",
                                 "job",
                                 "--cidfile",
                                 at + "/id",
                                 "--conmon-pidfile",
                                 at + "/monitor",
                                 "--pidfile",
                                 at + "/first",
                                 "--pull=never",
                                 "--cgroups=disabled",
                                 "--network=host",
                                 "--uts=host",
                                 "--no-hosts",
                                 "--log-driver=passthrough",
                                 "--http-proxy=false",
                                 "--read-only-tmpfs=false",
                                 "--env-file",
                                 at + "/environment"};
  if (mapped) {
    // The one user that there is goes by these numbers in the container.
    words.insert(words.end(), {"--uidmap", fmt::format("{}:0:1", mapped->uid), "--gidmap",
                               fmt::format("{}:0:1", mapped->gid), "--user",
                               fmt::format("{}:{}", mapped->uid, mapped->gid)});
  } else if (!user.empty()) {
    words.insert(words.end(), {"--user", user});
  }
  add_limits(words, plan, machine);
  if (container.read_only_root) words.emplace_back("--read-only");
  if (container.privileged) words.emplace_back("--privileged");
  if (container.init) words.emplace_back("--init");
  if (container.shared_memory_mib > 0) {
    words.insert(words.end(), {"--shm-size", fmt::format("{}m", container.shared_memory_mib)});
  }
  add_mounts(words, plan);
  words.insert(words.end(), {"--", image_id});
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

std::string render_env_file(const std::vector<std::string>& environment) {
  std::string text;
  for (const auto& variable : environment) {
    if (variable.find('\n') == std::string::npos) text += variable + "\n";
  }
  return text;
}

Result<std::vector<std::string>> multi_line(const std::vector<std::string>& environment) {
  std::vector<std::string> list;
  for (const auto& variable : environment) {
    if (variable.find('\n') == std::string::npos) continue;
    const auto name = variable.substr(0, variable.find('='));
    if (is_podmans(name)) {
      return fail(Errc::invalid_argument,
                  "environment variable {} can't have a line end in a container", name);
    }
    list.push_back(variable);
  }
  return list;
}

bool is_numeric_user(std::string_view user) {
  const auto colon = user.find(':');
  return colon != std::string_view::npos && number(user.substr(0, colon)) &&
         number(user.substr(colon + 1));
}

Result<ContainerUser> resolve_user(std::string_view user, std::string_view passwd,
                                   std::string_view groups) {
  const auto colon = user.find(':');
  const auto name = user.substr(0, colon);
  ContainerUser found;
  auto uid = number(name);
  const auto entry = uid ? entry_of(passwd, std::to_string(*uid), 2) : entry_of(passwd, name, 0);
  if (!uid && entry) uid = number((*entry)[2]);
  if (!uid) return fail(Errc::not_found, "the image has no user {}", name);
  found.uid = *uid;
  if (entry && entry->size() > 3) found.gid = number((*entry)[3]).value_or(0);
  if (colon == std::string_view::npos) return found;
  const auto group = user.substr(colon + 1);
  auto gid = number(group);
  if (!gid) {
    if (const auto listed = entry_of(groups, group, 0)) gid = number((*listed)[2]);
  }
  if (!gid) return fail(Errc::not_found, "the image has no group {}", group);
  found.gid = *gid;
  return found;
}

std::vector<int> choose_processors(const std::vector<int>& allowed,
                                   const std::map<int, int>& in_use, int wanted,
                                   std::size_t offset) {
  if (wanted < 1 || static_cast<std::size_t>(wanted) >= allowed.size()) return {};
  std::vector<int> chosen;
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    chosen.push_back(allowed[(i + offset) % allowed.size()]);
  }
  const auto use = [&](int each) {
    const auto found = in_use.find(each);
    return found == in_use.end() ? 0 : found->second;
  };
  std::stable_sort(chosen.begin(), chosen.end(), [&](int a, int b) { return use(a) < use(b); });
  chosen.resize(static_cast<std::size_t>(wanted));
  return chosen;
}

std::string complaint_of(std::string_view written) {
  std::string last;
  std::string complaint;
  for (const auto& line : split(written, '\n')) {
    const auto text = std::string(trim(line));
    if (text.empty()) continue;
    last = text;
    if (const auto at = text.find("Error: "); at != std::string::npos) {
      complaint = text.substr(at + 7);
    }
  }
  return complaint.empty() ? last : complaint;
}

}  // namespace cox::agent
