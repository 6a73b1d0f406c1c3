#include "launcher/provider/share_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "launcher/provider/local_provider.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/process.hpp"

/// A directory more for a node that runs.
namespace cox::provider {
namespace {

/// A directory below another, with no link on the way: what lies on it is a job's to change.
os::Fd open_below(const os::Fd& directory, const std::string& name) {
  struct open_how how {};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return os::Fd(
      static_cast<int>(::syscall(SYS_openat2, directory.get(), name.c_str(), &how, sizeof how)));
}

Result<void> enter_mounts(int pid) {
  const os::Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process || ::setns(process.get(), CLONE_NEWNS) != 0) {
    return fail(os::errno_error(errno, "cannot enter the node's mounts"));
  }
  return {};
}

/// The mount point in the node, made where the node has its own root: nothing is ever made on what
/// the node shows of this machine.
Result<os::Fd> place_in_node(const std::string& target) {
  os::Fd at(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat root {};
  if (!at || ::fstat(at.get(), &root) != 0) return fail(os::errno_error(errno, "/"));
  for (const auto& part : split(target, '/')) {
    if (part.empty()) continue;
    auto next = open_below(at, part);
    if (!next && errno == ENOENT) {
      struct stat here {};
      const bool own = ::fstat(at.get(), &here) == 0 && here.st_dev == root.st_dev;
      if (!own || ::mkdirat(at.get(), part.c_str(), 0755) != 0) {
        return fail(Errc::unavailable,
                    "there is no place for {} in a node that runs: take a directory right below "
                    "/, or make the cluster anew",
                    target);
      }
      next = open_below(at, part);
    }
    if (!next) return fail(within(target, os::errno_error(errno, part)));
    at = std::move(next);
  }
  return at;
}

Result<void> bind_in_node(int pid, const std::string& source, const std::string& target) {
  const os::Fd tree(::open_tree(AT_FDCWD, source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  struct stat wanted {};
  if (!tree || ::fstat(tree.get(), &wanted) != 0) return fail(os::errno_error(errno, source));
  if (auto entered = enter_mounts(pid); !entered) return entered;
  const auto place = place_in_node(target);
  if (!place) return fail(place.error());
  struct stat there {};
  const bool is_bound = ::fstat(place->get(), &there) == 0 && there.st_dev == wanted.st_dev &&
                        there.st_ino == wanted.st_ino;
  if (is_bound) return {};
  if (::move_mount(tree.get(), "", place->get(), "",
                   MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return fail(within(target, os::errno_error(errno, "cannot mount")));
  }
  return {};
}

int tell(const Result<void>& done) {
  if (done) return 0;
  (void)os::write_all(STDOUT_FILENO, done.error().message);
  return 1;
}

}  // namespace

int share_directory(int pid, const std::string& source, const std::string& target) {
  return tell(bind_in_node(pid, source, target));
}

int unshare_directory(int pid, const std::string& target) {
  return tell(enter_mounts(pid).and_then([&]() -> Result<void> {
    if (::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL) return {};
    return fail(os::errno_error(errno, target));
  }));
}

Result<void> show_directory(int pid, const std::string& source, const std::string& target) {
  const auto ran = os::run({os::program_directory() + "/coxd", "--share-directory",
                            std::to_string(pid), source, target});
  if (!ran) return fail(ran.error());
  if (ran->exit_code == 0) return {};
  return fail(Errc::unavailable, "{}", ran->out.empty() ? ran->err : ran->out);
}

void hide_directory(int pid, const std::string& target) {
  [[maybe_unused]] const auto ran = os::run(
      {os::program_directory() + "/coxd", "--unshare-directory", std::to_string(pid), target});
}

}  // namespace cox::provider
