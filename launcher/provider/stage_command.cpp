#include "launcher/provider/stage_command.hpp"

#include <algorithm>
#include <array>

#include "launcher/provider/ssh_command.hpp"
#include "runtime/base/text.hpp"

namespace cox::provider {
namespace {

// rsync(1), "EXIT VALUES".
constexpr int kPartial = 23;
constexpr int kFileTrouble = 11;
constexpr int kNoProgram = 127;
constexpr int kSshFailed = 255;

/// A host that says nothing for so long is given up.
constexpr const char* kTimeout = "--timeout=60";

constexpr std::string_view kClaim = R"sh(claim() {
d=$2; m="$d/%MARK%"; t=
if [ -e "$d/%HERE%" ]; then echo "$1 shared"; return; fi
if [ -L "$d" ]; then echo "$1 no-directory"; return; fi
if [ -d "$d" ]; then
  if [ -f "$m" ]; then
    read -r o < "$m" || :
    if [ "$o" != %TAG% ] && [ "$o" != "%KNOWN%" ]; then echo "$1 others"; return; fi
  elif [ -n "$(ls -A "$d" 2>/dev/null)" ]; then echo "$1 used"; return
  fi
elif [ -e "$d" ]; then echo "$1 no-directory"; return
else
  t=$d
  while p=$(dirname "$t") && [ ! -d "$p" ]; do t=$p; done
  mkdir -p "$d" 2>/dev/null || { echo "$1 denied"; return; }
fi
if [ ! -f "$m" ]; then
  printf '%s\n' %TAG% 2>/dev/null > "$m" || { [ -z "$t" ] || rmdir "$d"; echo "$1 denied"; return; }
  printf '%s\n%s\n' "$d" "$t" > "$b/staged/$1" || { rm -f "$m"; echo "$1 denied"; return; }
fi
[ -w "$d" ] || { echo "$1 denied"; return; }
echo "$1 taken $(df -Pm "$d" | tail -n 1 | tr -s ' ' | cut -d ' ' -f 4)"
}
)sh";

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

/// A word of a command that rsync takes apart: quotes it as rsync(1) says of --rsh.
std::string rsync_quoted(const std::string& word) {
  return "\"" + replaced(word, "\"", "\"\"") + "\"";
}

std::string rsh_of(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + rsync_quoted(word);
  return text;
}

/// Modes and times are kept, so that what is there is known; owners are whoever copies. What a
/// cluster marks is not the user's.
std::vector<std::string> rsync_words(const std::string& rsh) {
  return {"env",
          "LC_ALL=C",
          "rsync",
          "-rlptR",
          "-s",
          "--from0",
          "--files-from=-",
          "--exclude=/.coxswain-*",
          kTimeout,
          "--no-human-readable",
          "--info=progress2",
          "--stats",
          "-e",
          rsh};
}

/// "[fe80::1]", "10.0.0.1": a host before rsync's colon.
std::string before_colon(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

std::int64_t number_behind(std::string_view said, std::string_view words) {
  const auto at = said.rfind(words);
  if (at == std::string_view::npos) return 0;
  auto rest = said.substr(at + words.size());
  rest = trim(rest.substr(0, rest.find('\n')));
  return to_int(rest.substr(0, rest.find(' '))).value_or(0);
}

bool says(const std::string& err, std::string_view words) { return err.find(words) != err.npos; }

/// The first thing that rsync complains of: what it says later follows from that.
std::string complaint(const std::string& err) {
  std::string last;
  for (const auto& line : split(err, '\n')) {
    const std::string text(trim(line));
    if (text.empty()) continue;
    if (text.starts_with("rsync: ")) return text.substr(7);
    last = text;
  }
  return last;
}

StageClaim::State state_of(const std::string& word) {
  using State = StageClaim::State;
  constexpr std::array<std::pair<std::string_view, State>, 6> kStates{
      {{"taken", State::taken},
       {"shared", State::shared},
       {"others", State::others},
       {"used", State::used},
       {"no-directory", State::no_directory},
       {"denied", State::denied}}};
  for (const auto& [name, state] : kStates) {
    if (word == name) return state;
  }
  return State::untold;
}

}  // namespace

// What a job has left may be closed to its owner, too. Nothing is followed, and what is mounted
// there is not gone into.
constexpr std::string_view kUnstageLines =
    "for f in \"$b\"/staged/*; do [ -f \"$f\" ] || continue; "
    "{ read -r d; read -r t; } < \"$f\"; "
    "if [ -n \"$d\" ] && [ -d \"$d\" ] && [ ! -L \"$d\" ]; then "
    "find \"$d\" -xdev -type d ! -perm -u+rwx -exec chmod u+rwx {} \\; ; "
    "find \"$d\" -xdev -mindepth 1 -delete; x=$d; "
    "[ -z \"$t\" ] || while rmdir \"$x\" && [ \"$x\" != \"$t\" ]; do x=$(dirname \"$x\"); done; "
    "fi; done;";

std::string here_mark(const std::string& tag) { return ".coxswain-here-" + tag; }

std::string claim_script(const std::string& tag, const std::string& known,
                         const std::vector<std::string>& directories) {
  auto script = replaced(std::string(kClaim), "%MARK%", kStageMark);
  script = replaced(std::move(script), "%HERE%", here_mark(tag));
  script = replaced(std::move(script), "%TAG%", tag);
  script = replaced(std::move(script), "%KNOWN%", known.empty() ? tag : known);
  script += fmt::format(
      "umask 022; b={}; mkdir -p \"$b/staged\" || exit 1\n"
      "command -v rsync > /dev/null 2>&1 && echo rsync\n",
      host_base(tag));
  for (std::size_t i = 0; i < directories.size(); ++i) {
    script += fmt::format("claim {} {}\n", i, shell_quote(directories[i]));
  }
  return script + "exit 0\n";
}

StageClaims read_claims(const std::string& said, std::size_t directories) {
  StageClaims claims;
  claims.directories.resize(directories);
  for (const auto& line : split(said, '\n')) {
    if (line == "rsync") claims.rsync = true;
    const auto words = split(line, ' ');
    const auto number = to_int(words.front());
    if (!number || *number < 0 || static_cast<std::size_t>(*number) >= directories) continue;
    auto& claim = claims.directories[static_cast<std::size_t>(*number)];
    if (words.size() > 1) claim.state = state_of(words[1]);
    if (words.size() > 2) claim.free_mib = to_int(words[2]).value_or(0);
  }
  return claims;
}

std::vector<std::string> bring_argv(const SshTarget& target, const std::string& directory) {
  auto argv = rsync_words(rsh_of(ssh_words(target)));
  argv.insert(argv.end(), {directory + "/", before_colon(target.host) + ":" + directory + "/"});
  return argv;
}

/// What leads out of the directory does not come: it would lead somewhere else here.
std::vector<std::string> fetch_argv(const SshTarget& target, const std::string& directory) {
  auto argv = rsync_words(rsh_of(ssh_words(target)));
  argv.insert(argv.end(),
              {"--safe-links", before_colon(target.host) + ":" + directory + "/", directory + "/"});
  return argv;
}

std::string relay_script(const SshTarget& to, const std::string& address,
                         const std::string& directory) {
  SshTarget there;
  there.user = to.user;
  there.port = to.port;
  auto argv = rsync_words(rsh_of(ssh_words(there)));
  argv.insert(argv.end(), {directory + "/", before_colon(address) + ":" + directory + "/"});
  return "exec " + shell_quote(argv);
}

std::string rsync_input(const StagedSet& set) {
  std::string text;
  for (const auto& path : set.paths) text += path + '\0';
  return text;
}

std::optional<int> percent_of(std::string_view said) {
  const auto at = said.rfind('%');
  if (at == std::string_view::npos) return std::nullopt;
  auto begin = at;
  while (begin > 0 && said[begin - 1] >= '0' && said[begin - 1] <= '9') --begin;
  const auto number = to_int(said.substr(begin, at - begin));
  if (!number || *number > 100) return std::nullopt;
  return static_cast<int>(*number);
}

StagedBytes totals_of(std::string_view said) {
  return {number_behind(said, "Number of regular files transferred: "),
          number_behind(said, "Total transferred file size: "),
          {}};
}

std::vector<std::string> missing_of(const StagedSet& set, int exit_code, const std::string& err) {
  if (exit_code != kPartial) return {};
  std::vector<std::string> missing;
  for (const auto& line : split(err, '\n')) {
    // Where nothing is left to send, the other end may be gone before this one has said goodbye.
    if (!line.starts_with("rsync: ") || says(line, "Broken pipe")) continue;
    if (!says(line, "link_stat") || !says(line, "No such file or directory")) return {};
    for (const auto& path : set.paths) {
      const auto whole = path == "." ? set.directory : set.directory + "/" + path;
      if (says(line, "\"" + whole + "\"") || says(line, "\"" + whole + "/.\"")) {
        missing.push_back(path);
      }
    }
  }
  return missing;
}

Error explain_rsync_failure(const SshTarget& target, const std::string& directory, int exit_code,
                            const std::string& err) {
  const auto host = shown(target);
  if (says(err, "No space left on device") || says(err, "Disk quota exceeded")) {
    return {Errc::unavailable,
            fmt::format("host {}: there is no room left in {}: make some", host, directory)};
  }
  if (says(err, "env: ") && says(err, "rsync")) {
    return {Errc::unavailable, "rsync is not on this machine: install it (apt-get install rsync)"};
  }
  if (exit_code == kNoProgram || says(err, "rsync: command not found") ||
      says(err, "rsync: not found")) {
    return {Errc::unavailable,
            fmt::format("host {}: rsync is not there: install it (apt-get install rsync)", host)};
  }
  if (exit_code == kSshFailed) return explain_ssh_failure(target, exit_code, err);
  const auto said = complaint(err);
  const auto* what =
      exit_code == kFileTrouble ? "a file cannot be written or read" : "rsync failed";
  return {Errc::unavailable,
          fmt::format("host {}: {}: {}", host, what,
                      said.empty() ? fmt::format("exit status {}", exit_code) : said)};
}

}  // namespace cox::provider
