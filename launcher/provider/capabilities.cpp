#include "launcher/provider/capabilities.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "runtime/os/files.hpp"

namespace cox::provider {
namespace {

using Words = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

__user_cap_header_struct header() { return {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0}; }

Result<Words> read_capabilities() {
  auto head = header();
  Words words{};
  if (::syscall(SYS_capget, &head, words.data()) != 0) {
    return fail(os::errno_error(errno, "capget"));
  }
  return words;
}

Result<void> write_capabilities(const Words& words) {
  auto head = header();
  if (::syscall(SYS_capset, &head, words.data()) != 0) {
    return fail(os::errno_error(errno, "capset"));
  }
  return {};
}

bool has(const Words& words, unsigned capability) {
  return ((words[capability / 32].permitted >> (capability % 32)) & 1u) != 0;
}

/// What root keeps: its rights over files, processes and sockets of the node.
constexpr std::array kKept = {
    CAP_CHOWN,      CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,       CAP_FSETID,
    CAP_KILL,       CAP_SETGID,       CAP_SETUID,          CAP_SETPCAP,      CAP_SETFCAP,
    CAP_IPC_LOCK,   CAP_IPC_OWNER,    CAP_NET_RAW,         CAP_NET_ADMIN,    CAP_NET_BIND_SERVICE,
    CAP_SYS_CHROOT, CAP_SYS_PTRACE,   CAP_SYS_NICE,        CAP_SYS_RESOURCE, CAP_AUDIT_WRITE,
};

bool is_kept(unsigned capability) {
  for (const int kept : kKept) {
    if (static_cast<unsigned>(kept) == capability) return true;
  }
  return false;
}

Result<void> narrow_root() {
  auto words = read_capabilities();
  if (!words) return fail(words.error());
  for (unsigned capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    if (is_kept(capability)) continue;
    if (has(*words, capability)) (void)::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    const std::uint32_t mask = ~(1u << (capability % 32));
    auto& word = (*words)[capability / 32];
    word.permitted &= mask;
    word.effective &= mask;
    word.inheritable &= mask;
  }
  return write_capabilities(*words);
}

}  // namespace

Result<void> keep_capabilities_over_exec() {
  auto words = read_capabilities();
  if (!words) return fail(words.error());
  for (auto& word : *words) word.inheritable = word.permitted;
  if (const auto set = write_capabilities(*words); !set) return set;
  for (unsigned capability = 0; capability <= CAP_LAST_CAP; ++capability) {
    if (!has(*words, capability)) continue;
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) != 0) {
      return fail(os::errno_error(errno, "cannot keep capabilities for the daemons"));
    }
  }
  return {};
}

Result<void> drop_capabilities() {
  (void)::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (::geteuid() == 0) return narrow_root();
  return write_capabilities(Words{});
}

}  // namespace cox::provider
