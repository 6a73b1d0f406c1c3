#include "launcher/provider/nfs_mount.hpp"

#include <array>
#include <utility>

#include "launcher/provider/ssh_command.hpp"
#include "runtime/base/text.hpp"

namespace cox::provider {
namespace {

using State = MountSaid::State;

/// $1: its number; $2: the directory; $3: the source. A server that is silent must not hold the
/// cluster: mount tries once, and is ended.
constexpr std::string_view kPut = R"sh(put() {
d=$2; t=; now=
while read -r s m rest; do if [ "$m" = "$d" ]; then now=$s; fi; done < /proc/self/mounts
if [ "$now" = "$3" ]; then echo "$1 mounted"; return; fi
if [ -n "$now" ]; then echo "$1 others $now"; return; fi
if [ "$(id -u)" != 0 ]; then echo "$1 not-root"; return; fi
if ! [ -x /sbin/mount.nfs ] && ! [ -x /usr/sbin/mount.nfs ]; then echo "$1 no-client"; return; fi
if [ -e "$d" ] || [ -L "$d" ]; then
  if [ -L "$d" ] || ! [ -d "$d" ] || [ -n "$(ls -A "$d")" ]; then echo "$1 used"; return; fi
else
  t=$d
  while p=$(dirname "$t") && [ ! -d "$p" ]; do t=$p; done
  said=$(mkdir -p "$d" 2>&1) || { echo "$1 failed" $said; return; }
fi
printf '%s\n%s\n%s\n' "$d" "$t" "$3" > "$b/mounts/$1"
said=$(timeout -k 2 %SECONDS% mount -t nfs -o retry=0 "$3" "$d" 2>&1); r=$?
if [ $r = 0 ]; then echo "$1 mounted"; return; fi
rm -f "$b/mounts/$1"
x=$d
[ -z "$t" ] || while rmdir "$x" && [ "$x" != "$t" ]; do x=$(dirname "$x"); done
if [ $r = 124 ] || [ $r = 137 ]; then echo "$1 silent"; else echo "$1 failed" $said; fi
}
)sh";

}  // namespace

constexpr std::string_view kUnmountLines =
    "for f in \"$b\"/mounts/*; do [ -f \"$f\" ] || continue; "
    "{ read -r d; read -r t; read -r w; } < \"$f\"; now=; "
    "while read -r s m rest; do if [ \"$m\" = \"$d\" ]; then now=$s; fi; done < /proc/self/mounts; "
    "if [ \"$now\" = \"$w\" ]; then timeout 10 umount \"$d\" || umount -l \"$d\" || exit 1; fi; "
    "x=$d; [ -z \"$t\" ] || while rmdir \"$x\" && [ \"$x\" != \"$t\" ]; do x=$(dirname \"$x\"); "
    "done; "
    "done;";

std::string mount_script(const std::string& tag, const std::vector<NfsMount>& mounts) {
  std::string script(kPut);
  constexpr std::string_view kPlace = "%SECONDS%";
  script.replace(script.find(kPlace), kPlace.size(), std::to_string(kMountSeconds));
  script +=
      fmt::format("umask 077; b={}; mkdir -p \"$b/mounts\" || exit 1; umask 022\n", host_base(tag));
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    script += fmt::format("put {} {} {}\n", i, shell_quote(mounts[i].directory),
                          shell_quote(mounts[i].source));
  }
  return script + "exit 0\n";
}

std::vector<MountSaid> read_mounts(const std::string& said, std::size_t mounts) {
  constexpr std::array<std::pair<std::string_view, State>, 7> kStates{
      {{"mounted", State::mounted},
       {"others", State::others},
       {"used", State::used},
       {"not-root", State::not_root},
       {"no-client", State::no_client},
       {"silent", State::silent},
       {"failed", State::failed}}};
  std::vector<MountSaid> list(mounts);
  for (const auto& line : split(said, '\n')) {
    const auto words = split(line, ' ');
    const auto number = to_int(words.front());
    if (!number || *number < 0 || static_cast<std::size_t>(*number) >= mounts) continue;
    auto& one = list[static_cast<std::size_t>(*number)];
    for (const auto& [name, state] : kStates) {
      if (words.size() > 1 && words[1] == name) one.state = state;
    }
    if (words.size() > 2) one.text = join({words.begin() + 2, words.end()}, " ");
  }
  return list;
}

MountFault explain_mount(const NfsMount& mount, const MountSaid& said) {
  switch (said.state) {
    case State::mounted:
      return {};
    case State::others:
      return {fmt::format("{} is mounted at {} there", said.text, mount.directory),
              "unmount it, or name another MountDir"};
    case State::used:
      return {fmt::format("{} there is no empty directory, and {} would hide what is in it",
                          mount.directory, mount.source),
              "name a MountDir that the hosts do not have, or have empty"};
    case State::not_root:
      return {fmt::format("only root may mount {} there, and its user is not", mount.source),
              fmt::format("log in there as root (User), or have it mounted at {} and leave Source "
                          "out",
                          mount.directory)};
    case State::no_client:
      return {"the NFS client is not there", "install it there: apt-get install nfs-common"};
    case State::silent:
      return {
          fmt::format("the server of {} did not answer within {} s", mount.source, kMountSeconds),
          "is it up, and does a firewall let TCP to its port 2049 through?"};
    case State::failed:
      return {fmt::format("{} cannot be mounted: {}", mount.source, said.text),
              "look whether the server exports it to this host, and whether the host's kernel has "
              "NFS (modprobe nfs)"};
    case State::untold:
      return {fmt::format("it did not tell of {}", mount.directory), "look at it, and try again"};
  }
  return {};
}

}  // namespace cox::provider
