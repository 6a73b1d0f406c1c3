#include "runtime/agent/container_run.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/process.hpp"

namespace cox::agent {

namespace {

constexpr std::size_t kProgressMax = 300;
constexpr const char* kRootsState = "/run/crun";

/// Not atomic: /proc knows no rename.
Result<void> write_proc(const std::string& path, const std::string& text) {
  const os::Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) < 0) {
    return fail(os::errno_error(errno, "cannot write " + path));
  }
  return {};
}

Result<void> write_file(const std::string& path, std::string_view text, unsigned mode) {
  const os::Fd file(
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!file) return fail(os::errno_error(errno, path));
  return os::write_all(file.get(), text);
}

tl::unexpected<Error> cannot_create(const std::string& why) {
  return fail(Errc::unavailable, "CannotCreateContainerError: {}", why);
}

std::string first_line(std::string_view text) {
  return std::string(trim(text.substr(0, text.find('\n'))));
}

/// crun(1) wants the file system below /sys/fs/cgroup to be one that it knows, though it is told to
/// leave cgroups alone. An empty one of ours is, and has room for what is of the moment.
Result<void> hide_cgroups() {
  if (::mount("coxswain", kMomentary, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") == 0) return {};
  return fail(os::errno_error(errno, std::string("cannot mount at ") + kMomentary));
}

/// A container's state is where nobody else's is, and goes with the step.
void own_runtime_state() {
  ::mkdir(kRootsState, 0755);
  (void)::mount("coxswain", kRootsState, "tmpfs", MS_NOSUID | MS_NODEV, "mode=700");
}

}  // namespace

ContainerRun::ContainerRun(const StepPlan& plan, int control, const sigset_t& unblocked,
                           Progress progress)
    : plan_(plan),
      box_(*plan.container),
      control_(control),
      unblocked_(unblocked),
      progress_(std::move(progress)) {}

Result<void> ContainerRun::prepare() {
  for (const char* program : {"podman", "crun"}) {
    if (!program_path(program).empty()) continue;
    return cannot_create(fmt::format("{} is not installed on this node", program));
  }
  if (auto entered = enter_namespaces(); !entered) return cannot_create(entered.error().message);
  if (auto looked = look_at_machine(); !looked) return cannot_create(looked.error().message);
  if (auto furnished = furnish(); !furnished) return cannot_create(furnished.error().message);
  if (auto brought = bring_image(); !brought) {
    return fail(Errc::unavailable, "CannotPullContainerError: {}", brought.error().message);
  }
  if (auto chosen = choose_user(); !chosen) return cannot_create(chosen.error().message);
  if (auto made = make_mount_sources(); !made) return cannot_create(made.error().message);
  if (auto created = create(); !created) return cannot_create(created.error().message);
  preparing_ = false;
  return {};
}

Result<void> ContainerRun::enter_namespaces() {
  const auto uid = ::geteuid();
  const auto gid = ::getegid();
  machine_.user_namespace = uid != 0;
  if (uid == 0) {
    if (::unshare(CLONE_NEWNS) != 0) return fail(os::errno_error(errno, "no mount namespace"));
  } else {
    // Having changed its user, the process may not write its own maps unless it may be looked at;
    // it is the job's own by now.
    ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
      return fail(os::errno_error(errno, "no user namespace to be had"));
    }
    const auto mapped =
        write_proc("/proc/self/setgroups", "deny")
            .and_then([&] { return write_proc("/proc/self/uid_map", fmt::format("0 {} 1", uid)); })
            .and_then([&] { return write_proc("/proc/self/gid_map", fmt::format("0 {} 1", gid)); });
    if (!mapped) return mapped;
  }
  if (::mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    return fail(os::errno_error(errno, "cannot keep mounts to the job"));
  }
  return hide_cgroups();
}

Result<void> ContainerRun::look_at_machine() {
  if (!machine_.user_namespace) own_runtime_state();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) machine_.open_files = limit.rlim_max;
  if (::getrlimit(RLIMIT_NPROC, &limit) == 0) machine_.processes = limit.rlim_max;

  // Overlays want a file system below that can carry them; where it cannot, layers are copied.
  const auto probe = box_.directory + "/probe";
  for (const char* name : {"", "/lower", "/upper", "/work", "/merged"}) {
    ::mkdir((probe + name).c_str(), 0700);
  }
  const auto options = fmt::format("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work{1}",
                                   probe, machine_.user_namespace ? ",userxattr" : "");
  const auto merged = probe + "/merged";
  if (::mount("overlay", merged.c_str(), "overlay", 0, options.c_str()) == 0) {
    (void)::umount2(merged.c_str(), MNT_DETACH);
  } else {
    machine_.driver = "vfs";
  }
  return {};
}

/// Files and variables of podman's own. Nothing of it is outside the attempt's directory, but for
/// the node's store of images.
Result<void> ContainerRun::furnish() {
  const auto& at = box_.directory;
  const auto state = std::string(kMomentary) + "/state";
  ::mkdir(state.c_str(), 0700);
  for (const char* name : {"/home", "/volumes"}) ::mkdir((at + name).c_str(), 0700);
  for (const char* name : {"", "/images", "/refs"}) ::mkdir((box_.store + name).c_str(), 0700);
  environment_ = {std::string("PATH=") + kProgramPath,
                  "LANG=C.UTF-8",
                  "HOME=" + at + "/home",
                  "XDG_RUNTIME_DIR=" + state,
                  "XDG_CONFIG_HOME=" + at + "/home/config",
                  "XDG_DATA_HOME=" + at + "/home/data",
                  "XDG_CACHE_HOME=" + at + "/home/cache",
                  "TMPDIR=" + box_.store,
                  "CONTAINERS_CONF=" + at + "/containers.conf"};
  if (machine_.user_namespace) {
    environment_.emplace_back("_CONTAINERS_USERNS_CONFIGURED=done");
    environment_.push_back(fmt::format("_CONTAINERS_ROOTLESS_UID={}", plan_.user.uid));
    environment_.push_back(fmt::format("_CONTAINERS_ROOTLESS_GID={}", plan_.user.gid));
  }
  stores_ = {box_.store + "/images"};
  // What the user has in a store of podman's own, and may pull with podman's or Docker's login.
  if (const auto* entry = ::getpwuid(plan_.user.uid)) {
    const std::string home = entry->pw_dir;
    const auto own = plan_.user.uid == 0 ? std::string("/var/lib/containers/storage")
                                         : home + "/.local/share/containers/storage";
    if (::access((own + "/overlay-images/images.lock").c_str(), R_OK) == 0 &&
        machine_.driver == "overlay") {
      stores_.push_back(own);
    }
    const auto login = home + "/.docker/config.json";
    if (::access(login.c_str(), R_OK) == 0) environment_.push_back("REGISTRY_AUTH_FILE=" + login);
  }
  if (auto more = multi_line(plan_.environment)) {
    environment_.insert(environment_.end(), more->begin(), more->end());
  } else {
    return fail(more.error());
  }
  return write_file(at + "/containers.conf", render_containers_conf(box_), 0600).and_then([&] {
    return write_file(at + "/environment", render_env_file(plan_.environment), 0600);
  });
}

/// Runs podman to its end, unless the job was stopped while it gets ready.
Result<RanProgram> ContainerRun::run(const std::vector<std::string>& words,
                                     const std::function<void(const std::string&)>& line) const {
  pollfd stop{control_, POLLIN, 0};
  if (preparing_ && ::poll(&stop, 1, 0) != 0) return fail(Errc::unavailable, "the job was stopped");
  return run_program({words, environment_, unblocked_}, line);
}

std::vector<std::string> ContainerRun::with(std::vector<std::string> words,
                                            const std::vector<std::string>& more) const {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// The first of the names that a store of ours has.
bool ContainerRun::find_image(const std::vector<std::string>& names) {
  if (names.empty()) return false;
  auto words = with(podman_words(box_, machine_, stores_),
                    {"image", "inspect", "--format", "{{.Id}}|{{.User}}"});
  const auto ended = run(with(std::move(words), names));
  if (!ended) return false;
  const auto line = first_line(ended->out);
  const auto bar = line.find('|');
  if (bar == std::string::npos || bar < 64) {
    not_found_ = complaint_of(ended->err);
    return false;
  }
  image_id_ = line.substr(0, bar);
  if (image_id_.starts_with("sha256:")) image_id_ = image_id_.substr(7);
  user_ = line.substr(bar + 1);
  return true;
}

/// An image is pulled once a node: who comes second waits for the first.
Result<void> ContainerRun::bring_image() {
  const auto source = read_image(box_.container.image);
  if (!source.store.empty()) stores_.push_back(source.store);
  if (find_image(source.names)) return {};
  if (source.pull.empty()) {
    return fail(Errc::not_found, "no store on this node has {}", box_.container.image);
  }
  const os::Fd lock(
      ::open((box_.store + "/pull.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return fail(os::errno_error(errno, "cannot lock the node's images"));
  progress_(fmt::format("Waiting to pull image {}", box_.container.image));
  while (::flock(lock.get(), LOCK_EX) != 0 && errno == EINTR) {
  }
  if (find_image(source.names)) return {};
  const auto id = pull(source);
  if (!id) return fail(id.error());
  if (find_image(source.archive.empty() ? source.names : std::vector<std::string>{*id})) return {};
  return fail(Errc::internal, "{} was pulled and is not there: {}", box_.container.image,
              not_found_);
}

/// The image's id. What an archive holds is noted, so that it is read once, until it changes.
Result<std::string> ContainerRun::pull(const ImageSource& source) {
  std::string note_path;
  std::string mark;
  if (!source.archive.empty()) {
    struct stat file {};
    if (::stat(source.archive.c_str(), &file) != 0) {
      return fail(os::errno_error(errno, source.archive));
    }
    std::string name = source.pull;
    std::replace(name.begin(), name.end(), '/', '_');
    note_path = box_.store + "/refs/" + name.substr(name.size() > 200 ? name.size() - 200 : 0);
    mark = fmt::format("{} {} {}.{} {}", file.st_ino, file.st_size, file.st_mtim.tv_sec,
                       file.st_mtim.tv_nsec, source.pull);
    if (const auto note = os::read_file(note_path, 4096)) {
      const auto lines = split(*note, '\n');
      if (lines.size() >= 2 && lines[0] == mark && find_image({lines[1]})) return lines[1];
    }
  }
  const auto say = [&](const std::string& line) {
    progress_(fmt::format("Pulling image {}{}{}", box_.container.image, line.empty() ? "" : ": ",
                          line.substr(0, kProgressMax)));
  };
  say("");
  auto ended = run(with(store_words(box_, machine_), {"pull", source.pull}), say);
  if (!ended) return fail(ended.error());
  if (ended->status != 0) {
    const auto why = complaint_of(ended->err);
    return fail(Errc::unavailable, "{}", why.empty() ? "podman pull failed" : why);
  }
  const auto lines = split(trim(ended->out), '\n');
  const auto id = std::string(trim(lines.back()));
  if (!note_path.empty()) (void)write_file(note_path, mark + "\n" + id + "\n", 0600);
  return id;
}

/// Who runs in the container. Where the machine lends one user only, it must go by the numbers of
/// whom the definition or the image names.
Result<void> ContainerRun::choose_user() {
  if (!box_.container.user.empty()) user_ = box_.container.user;
  if (user_.empty() || user_ == "root" || user_ == "0" || user_ == "0:0") return {};
  std::string passwd;
  std::string groups;
  if (!is_numeric_user(user_)) {
    // The image's own list tells: a container of it, never started, shows the file.
    const auto podman = podman_words(box_, machine_, stores_);
    const auto made =
        run(with(podman, {"create", "--name", "probe", "--cgroups=disabled", "--network=host",
                          "--pull=never", "--ulimit", "host", "--", image_id_, "true"}));
    if (!made) return fail(made.error());
    const auto shown = run(with(podman, {"mount", "probe"}));
    if (!shown) return fail(shown.error());
    const auto root = first_line(shown->out);
    const os::Fd tree(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    for (auto& [name, text] :
         {std::pair<const char*, std::string*>{"etc/passwd", &passwd}, {"etc/group", &groups}}) {
      const auto file = os::open_beneath(tree.get(), name, O_RDONLY);
      if (const auto read = file ? os::read_all(file->get(), name) : fail(file.error()))
        *text = *read;
    }
    (void)run(with(podman, {"rm", "--force", "probe"}));
  }
  auto found = resolve_user(user_, passwd, groups);
  if (!found) return fail(found.error());
  if (found->uid == 0 && found->gid == 0) {
    user_.clear();
  } else {
    numbers_ = *found;
  }
  return {};
}

/// A mount's source that is not there is made, as Docker does.
Result<void> ContainerRun::make_mount_sources() {
  int number = 0;
  for (auto& mount : box_.container.mounts) {
    if (mount.source.empty()) {
      mount.source = fmt::format("{}/volumes/{}", box_.directory, number++);
      ::mkdir(mount.source.c_str(), 0755);
      continue;
    }
    if (::access(mount.source.c_str(), F_OK) == 0) continue;
    if (auto made = os::make_directories(mount.source); !made) {
      return fail(within("volume " + mount.source, made.error()));
    }
  }
  return {};
}

/// Root lends other users' numbers: the attempt's directory must be theirs too.
void ContainerRun::own_home() const {
  if (machine_.user_namespace || !numbers_) return;
  const auto own = [&](const std::string& path) {
    (void)::lchown(path.c_str(), numbers_->uid, numbers_->gid);
  };
  own(plan_.home);
  own(plan_.home + "/.ssh");
  own(plan_.home + "/hostfile");
  if (plan_.directory.empty()) return;
  own(plan_.home + "/" + plan_.directory);
  for (const auto& file : plan_.files) own(plan_.home + "/" + plan_.directory + "/" + file.name);
}

Result<void> ContainerRun::create() {
  own_home();
  // Root needs no map: it has all numbers.
  const auto mapped = machine_.user_namespace ? numbers_ : std::nullopt;
  const auto user = mapped ? std::string() : user_;
  auto words = create_words(box_, machine_, image_id_, user, mapped, plan_.command);
  const auto image = std::find(words.begin(), words.end(), "--");
  std::vector<std::string> named;
  if (const auto more = multi_line(plan_.environment)) {
    for (const auto& variable : *more) {
      named.insert(named.end(), {"--env", variable.substr(0, variable.find('='))});
    }
  }
  words.insert(image, named.begin(), named.end());
  const auto ended = run(with(podman_words(box_, machine_, stores_), words));
  if (!ended) return fail(ended.error());
  if (ended->status != 0) return fail(Errc::unavailable, "{}", complaint_of(ended->err));
  const auto id = os::read_file(box_.directory + "/id", 256);
  if (!id) return fail(id.error());
  id_ = std::string(trim(*id));
  return {};
}

Result<pid_t> ContainerRun::init(int in, int out, int err) {
  const auto words = with(podman_words(box_, machine_, stores_), {"init", id_});
  const auto pid = fork_program({words, environment_, unblocked_}, in, out, err);
  if (!pid) return fail(pid.error());
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  const auto monitor = os::read_file(box_.directory + "/monitor", 64);
  const auto first = os::read_file(box_.directory + "/first", 64);
  if (status != 0 || !monitor || !first) {
    // Said once to the job's own output, and once more, of a new one, to be told as the reason.
    const auto why = why_not();
    return fail(Errc::unavailable, "CannotStartContainerError: {}",
                why.empty() ? fmt::format("podman ended with {}", os::exit_code_of(status)) : why);
  }
  monitor_ = static_cast<pid_t>(to_int(trim(*monitor)).value_or(0));
  first_ = static_cast<pid_t>(to_int(trim(*first)).value_or(0));
  return first_;
}

std::string ContainerRun::why_not() {
  (void)run(with(podman_words(box_, machine_, stores_), {"rm", "--force", "job"}));
  for (const char* name : {"/id", "/monitor", "/first"}) {
    ::unlink((box_.directory + name).c_str());
  }
  if (const auto created = create(); !created) return created.error().message;
  const auto again = run(with(podman_words(box_, machine_, stores_), {"init", "job"}));
  return again ? complaint_of(again->err) : again.error().message;
}

Result<void> ContainerRun::start() {
  running_ = true;
  const auto ended = run(with(podman_words(box_, machine_, stores_), {"start", "job"}));
  const auto why = !ended ? ended.error().message : complaint_of(ended->err);
  if (ended && ended->status == 0) return {};
  running_ = false;
  return fail(Errc::unavailable, "CannotStartContainerError: {}", why);
}

int ContainerRun::ended() {
  monitor_ = 0;
  const auto ended = run(with(podman_words(box_, machine_, stores_), {"wait", "job"}));
  running_ = false;
  const auto code = ended ? to_int(first_line(ended->out)) : std::nullopt;
  if (!code || *code < 0 || *code > 255) return SIGKILL;  // as a wait status: killed
  // 128 and a signal is how podman tells of a signal.
  const bool by_signal = *code > 128 && *code <= 128 + 64;
  return by_signal ? static_cast<int>(*code) - 128 : static_cast<int>(*code) << 8;
}

ContainerRun::Entry ContainerRun::entry(const std::string& command) const {
  if (!machine_.user_namespace || !numbers_) {
    const auto state = machine_.user_namespace ? std::string(kMomentary) + "/state/crun"
                                               : std::string(kRootsState);
    return {{program_path("crun"), "--root", state, "exec", id_, "/bin/sh", "-c", command},
            environment_};
  }
  // crun wants to be user 0 on its way in, and this container has none.
  Entry entry;
  entry.words = {program_path("nsenter"),
                 "--target",
                 std::to_string(first_),
                 "--user",
                 "--mount",
                 "--ipc",
                 "--pid",
                 "--preserve-credentials",
                 "--",
                 "/bin/sh",
                 "-c",
                 command};
  const auto variables = os::read_file(fmt::format("/proc/{}/environ", first_), 1u << 20);
  for (auto& variable : split(variables ? *variables : "", '\0')) {
    if (!variable.empty()) entry.environment.push_back(std::move(variable));
  }
  return entry;
}

}  // namespace cox::agent
