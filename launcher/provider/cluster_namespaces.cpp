#include <fcntl.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <thread>

#include "launcher/provider/address_plan.hpp"
#include "launcher/provider/capabilities.hpp"
#include "launcher/provider/local_provider.hpp"
#include "launcher/provider/network.hpp"
#include "launcher/provider/node_files.hpp"
#include "launcher/provider/refusal.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"

namespace cox::provider {
namespace {

tl::unexpected<Error> refused(const std::string& what) {
  return fail(explain_refusal(what, errno, read_namespace_settings()));
}

/// Not atomic: /proc knows no rename.
Result<void> write_proc(const std::string& path, const std::string& text) {
  const os::Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), text.data(), text.size()) < 0) {
    return refused("cannot write " + path);
  }
  return {};
}

/// The user stays who it is, and has all capabilities over what is made from here on.
Result<void> enter_new_user_namespace() {
  const auto uid = ::geteuid();
  const auto gid = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) return refused("cannot make a user namespace");
  // The kernel lets an ordinary user map its group only after giving up setgroups().
  return write_proc("/proc/self/setgroups", "deny")
      .and_then([&] { return write_proc("/proc/self/uid_map", fmt::format("{0} {0} 1", uid)); })
      .and_then([&] { return write_proc("/proc/self/gid_map", fmt::format("{0} {0} 1", gid)); });
}

bool same_namespace(const std::string& a, const std::string& b) {
  struct stat first {};
  struct stat second {};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 &&
         first.st_ino == second.st_ino && first.st_dev == second.st_dev;
}

std::optional<ProcessMark> some_living_node(const std::string& cluster_directory) {
  for (const NodeId& id : nodes_on_disk(cluster_directory)) {
    if (const auto mark = living_first_process(cluster_directory, id)) return *mark;
  }
  return std::nullopt;
}

Result<void> join_user_namespace(const ProcessMark& node) {
  const std::string theirs = fmt::format("/proc/{}/ns/user", node.pid);
  if (same_namespace(theirs, "/proc/self/ns/user")) return {};
  const os::Fd user(::open(theirs.c_str(), O_RDONLY | O_CLOEXEC));
  if (!user || ::setns(user.get(), CLONE_NEWUSER) != 0) {
    return refused("cannot join the user namespace of the cluster's nodes");
  }
  return {};
}

/// A node's first process holds its cluster's bridge network open as descriptor 5.
Result<os::Fd> join_bridge_network(const ProcessMark& node) {
  os::Fd network(::open(fmt::format("/proc/{}/fd/5", node.pid).c_str(), O_RDONLY | O_CLOEXEC));
  if (!network) return refused("cannot join the network of the cluster's nodes");
  return network;
}

/// Mounts of the machine still come in, so that an unmount there is not held up here; none go out.
Result<void> enter_new_mount_namespace() {
  if (::unshare(CLONE_NEWNS) != 0) return refused("cannot make a mount namespace");
  if (::mount("none", "/", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) {
    return refused("cannot keep mounts to the cluster");
  }
  return {};
}

}  // namespace

Result<os::Fd> enter_cluster_namespaces(const std::string& cluster_directory) {
  const auto node = some_living_node(cluster_directory);
  if (::geteuid() != 0) {
    const auto user = node ? join_user_namespace(*node) : enter_new_user_namespace();
    if (!user) return fail(user.error());
  }
  if (const auto mounts = enter_new_mount_namespace(); !mounts) return fail(mounts.error());
  if (::geteuid() != 0) {
    if (const auto kept = keep_capabilities_over_exec(); !kept) return fail(kept.error());
  }
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    return fail(os::errno_error(errno, "cannot adopt orphans"));
  }
  if (node) return join_bridge_network(*node);
  auto network = make_bridge_network();
  if (!network) return fail(network.error());
  return network;
}

Result<os::Fd> listen_in_network(const os::Fd& bridge_network) {
  Result<os::Fd> listener = fail(Errc::internal, "not made");
  // A thread of its own, because an ordinary user's process cannot come back from there.
  std::thread([&] {
    if (::setns(bridge_network.get(), CLONE_NEWNET) != 0) {
      listener = fail(os::errno_error(errno, "cannot enter the cluster's network"));
      return;
    }
    listener = os::listen_tcp(kHeadAddress, kHeadPort);
  }).join();
  return listener;
}

}  // namespace cox::provider
