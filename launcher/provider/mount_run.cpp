#include "launcher/provider/mount_run.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <map>

#include "runtime/os/fd.hpp"
#include "runtime/os/files.hpp"

namespace cox::provider {
namespace {

using Kind = MountStep::Kind;

/// Mounts taken from the old root before it goes, by the index of their step.
using Detached = std::map<std::size_t, os::Fd>;

Error failed(const std::string& what, const std::string& target) {
  return os::errno_error(errno, what + " at " + target);
}

/// A private copy of a part of this machine's tree, with what is mounted below it.
Result<os::Fd> clone_tree(const MountStep& step) {
  os::Fd tree(::open_tree(AT_FDCWD, step.source.c_str(),
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_NO_AUTOMOUNT));
  if (!tree) return fail(failed("cannot bind " + step.source, step.target));
  if (step.read_only) {
    struct mount_attr attributes {};
    attributes.attr_set = MOUNT_ATTR_RDONLY;
    if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &attributes,
                        sizeof attributes) != 0) {
      return fail(failed("cannot make " + step.source + " read-only", step.target));
    }
  }
  return tree;
}

/// /proc and /sys are made while the old ones can be seen: the kernel gives an ordinary user new
/// ones only then.
Result<os::Fd> new_file_system(const MountStep& step, const char* type, unsigned attributes) {
  const os::Fd context(::fsopen(type, FSOPEN_CLOEXEC));
  if (!context || ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return fail(failed(std::string("cannot make a new ") + type, step.target));
  }
  os::Fd made(::fsmount(context.get(), FSMOUNT_CLOEXEC, attributes));
  if (!made) return fail(failed(std::string("cannot mount a new ") + type, step.target));
  return made;
}

Result<os::Fd> detach(const MountStep& step) {
  constexpr unsigned kPlain = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  switch (step.kind) {
    case Kind::bind:
      return clone_tree(step);
    case Kind::proc:
      return new_file_system(step, "proc", kPlain);
    case Kind::sysfs: {
      auto fresh = new_file_system(step, "sysfs", kPlain | MOUNT_ATTR_RDONLY);
      if (fresh) return fresh;
      // Inside a container /sys is often covered in parts; then this machine's is shown.
      MountStep bind = step;
      bind.source = "/sys";
      bind.read_only = true;
      return clone_tree(bind);
    }
    case Kind::mqueue:
      return new_file_system(step, "mqueue", kPlain);
    case Kind::directory:
    case Kind::link:
    case Kind::file:
    case Kind::tmpfs:
    case Kind::seal:
      break;
  }
  return os::Fd();
}

Result<Detached> detach_all(const std::vector<MountStep>& steps) {
  Detached detached;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    auto tree = detach(steps[i]);
    if (!tree && !steps[i].optional) return fail(tree.error());
    if (tree && *tree) detached.emplace(i, std::move(*tree));
  }
  return detached;
}

Result<void> mount_tmpfs(const std::string& target, unsigned mode) {
  char options[32];
  (void)std::snprintf(options, sizeof options, "mode=%o", mode);
  if (::mount("coxswain", target.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) {
    return fail(failed("cannot mount a tmpfs", target));
  }
  return {};
}

Result<void> pivot(const std::string& mount_point) {
  if (::chdir(mount_point.c_str()) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0) {
    return fail(failed("cannot change the root", mount_point));
  }
  if (::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0) {
    return fail(failed("cannot leave the old root", mount_point));
  }
  return {};
}

Result<void> seal(const std::string& target) {
  struct mount_attr attributes {};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(AT_FDCWD, target.c_str(), 0, &attributes, sizeof attributes) != 0) {
    return fail(failed("cannot make a read-only directory", target));
  }
  return {};
}

Result<void> perform(const MountStep& step, const Detached& detached, std::size_t index) {
  switch (step.kind) {
    case Kind::directory:
      if (::mkdir(step.target.c_str(), step.mode) == 0 || errno == EEXIST) return {};
      return fail(failed("cannot make a directory", step.target));
    case Kind::link:
      if (::symlink(step.source.c_str(), step.target.c_str()) == 0) return {};
      return fail(failed("cannot make a link", step.target));
    case Kind::file:
      if (os::Fd(::open(step.target.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644))) return {};
      return fail(failed("cannot make a file", step.target));
    case Kind::tmpfs:
      return mount_tmpfs(step.target, step.mode);
    case Kind::seal:
      return seal(step.target);
    case Kind::bind:
    case Kind::proc:
    case Kind::sysfs:
    case Kind::mqueue:
      break;
  }
  const auto tree = detached.find(index);
  if (tree == detached.end()) return {};
  if (::move_mount(tree->second.get(), "", AT_FDCWD, step.target.c_str(),
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS) != 0) {
    return fail(failed("cannot mount " + step.source, step.target));
  }
  return {};
}

/// Each bind holds a descriptor until it is in place; a machine with many homes has many.
void raise_descriptor_limit() {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Result<void> enter_root(const std::vector<MountStep>& steps, const std::string& mount_point) {
  struct rlimit limit {};
  (void)::getrlimit(RLIMIT_NOFILE, &limit);
  raise_descriptor_limit();
  const mode_t mask = ::umask(0);
  auto detached = detach_all(steps);
  if (!detached) return fail(detached.error());
  if (const auto made = mount_tmpfs(mount_point, 0755); !made) return made;
  if (const auto entered = pivot(mount_point); !entered) return entered;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto done = perform(steps[i], *detached, i);
    if (!done && !steps[i].optional) return done;
  }
  (void)::umask(mask);
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
  return {};
}

}  // namespace cox::provider
