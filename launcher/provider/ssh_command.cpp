#include "launcher/provider/ssh_command.hpp"

#include "launcher/provider/nfs_mount.hpp"
#include "launcher/provider/stage_command.hpp"
#include "runtime/base/text.hpp"

namespace cox::provider {
namespace {

constexpr int kSshFailed = 255;  // ssh(1): its own errors

std::string last_line(const std::string& text) {
  std::string last;
  for (const auto& line : split(text, '\n')) {
    if (!trim(line).empty()) last = trim(line);
  }
  return last;
}

bool says(const std::string& err, const char* words) { return err.find(words) != err.npos; }

/// What to do about ssh's own complaint; empty where nothing is known to help.
std::string mend(const SshTarget& target, const std::string& err) {
  const std::string port = target.port != 0 ? fmt::format("-p {} ", target.port) : "";
  const std::string file =
      target.known_hosts_file.empty() ? "~/.ssh/known_hosts" : target.known_hosts_file;
  if (says(err, "REMOTE HOST IDENTIFICATION HAS CHANGED")) {
    return fmt::format(
        "its host key is another one than {} has: find out why, then "
        "`ssh-keygen -R {} -f {}` and add the new key",
        file, target.host, file);
  }
  if (says(err, "host key is known") || says(err, "Host key verification failed")) {
    return fmt::format(
        "its host key is not in {}: compare `ssh-keyscan {}{} | ssh-keygen -lf -` with "
        "what its administrator says, then add it",
        file, port, target.host);
  }
  if (says(err, "Permission denied")) {
    return fmt::format(
        "it let nobody in as {}: name the right User and IdentityFile, put the key "
        "there (ssh-copy-id), or add it to ssh-agent; passwords are not asked for",
        target.user.empty() ? "this user" : target.user);
  }
  if (says(err, "Could not resolve hostname")) {
    return "its name has no address here: check the spelling, DNS or /etc/hosts";
  }
  if (says(err, "Connection refused")) {
    return "nothing listens there: is sshd running, and is it the right Port?";
  }
  if (says(err, "timed out") || says(err, "No route to host") ||
      says(err, "Network is unreachable")) {
    return "it did not answer: is it up, and does a firewall let ssh through?";
  }
  return {};
}

/// What ssh is told of a host's keys and of this user's.
void add_keys(std::vector<std::string>& argv, const SshTarget& target) {
  if (!target.identity_file.empty()) argv.insert(argv.end(), {"-i", target.identity_file});
  if (!target.known_hosts_file.empty()) {
    argv.insert(argv.end(), {"-o", "UserKnownHostsFile=" + target.known_hosts_file});
  }
}

/// Through another host. ssh's own -J would look for that one's key and ours in the user's
/// configuration only; of a chain of hosts it must.
void add_jump(std::vector<std::string>& argv, const SshTarget& target) {
  if (target.proxy_jump.find(',') != std::string::npos) {
    argv.insert(argv.end(), {"-J", target.proxy_jump});
    return;
  }
  std::vector<std::string> words{"ssh"};
  for (const auto* option : {"BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=8"}) {
    words.insert(words.end(), {"-o", option});
  }
  add_keys(words, target);
  std::string command;
  for (const auto& word : words) command += shell_quote(word) + " ";
  // Percent signs are ssh's in this option.
  std::string escaped;
  for (const char c : command) escaped += c == '%' ? "%%" : std::string(1, c);
  const bool has_port = target.proxy_jump.find(':') != std::string::npos;
  const auto gate = has_port ? "ssh://" + target.proxy_jump : target.proxy_jump;
  argv.insert(argv.end(),
              {"-o", fmt::format("ProxyCommand={}-W '[%h]:%p' -- {}", escaped, shell_quote(gate))});
}

}  // namespace

std::vector<std::string> ssh_words(const SshTarget& target, const std::vector<std::string>& more) {
  std::vector<std::string> argv{"ssh", "-T"};
  for (const auto* option :
       {"BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=8", "ConnectionAttempts=1",
        "ServerAliveInterval=5", "ServerAliveCountMax=3", "PermitLocalCommand=no",
        "RemoteCommand=none", "ForwardX11=no", "ForwardAgent=no", "LogLevel=INFO"}) {
    argv.insert(argv.end(), {"-o", option});
  }
  if (more.empty()) argv.insert(argv.end(), {"-o", "ClearAllForwardings=yes"});
  if (target.port != 0) argv.insert(argv.end(), {"-p", std::to_string(target.port)});
  if (!target.user.empty()) argv.insert(argv.end(), {"-l", target.user});
  add_keys(argv, target);
  if (!target.proxy_jump.empty()) add_jump(argv, target);
  argv.insert(argv.end(), more.begin(), more.end());
  return argv;
}

std::vector<std::string> ssh_argv(const SshTarget& target, const std::string& script,
                                  const std::vector<std::string>& more) {
  auto argv = ssh_words(target, more);
  argv.insert(argv.end(), {"--", target.host, "exec /bin/sh -c " + shell_quote(script)});
  return argv;
}

std::vector<std::string> tunnel_argv(const SshTarget& target, int port, const std::string& script) {
  return ssh_argv(target, script,
                  {"-o", "ExitOnForwardFailure=yes", "-o", "ControlPath=none", "-R",
                   fmt::format("127.0.0.1:0:127.0.0.1:{}", port)});
}

std::optional<int> allocated_port(const std::string& line) {
  constexpr std::string_view kSaid = "Allocated port ";
  const auto at = line.find(kSaid);
  if (at == std::string::npos) return std::nullopt;
  const auto rest = std::string_view(line).substr(at + kSaid.size());
  const auto number = to_int(rest.substr(0, rest.find(' ')));
  if (!number || *number < 1 || *number > 65535) return std::nullopt;
  return static_cast<int>(*number);
}

std::string host_base(const std::string& tag) { return "/var/tmp/coxswain-" + tag; }

std::string host_shared_memory(const std::string& tag) { return "/dev/shm/coxswain-" + tag; }

std::string host_scratch(const std::string& tag) { return host_base(tag) + "/jobs"; }

std::string host_node_directory(const std::string& tag, const NodeId& id) {
  return host_base(tag) + "/nodes/" + id.value;
}

std::string agent_script(const std::string& tag, const std::string& hash,
                         const std::vector<std::string>& words) {
  std::string line = fmt::format("a={}/{}/cox-agent; [ -x \"$a\" ] || exit {}; exec \"$a\"",
                                 host_base(tag), hash, kNoAgent);
  for (const auto& word : words) line += " " + shell_quote(word);
  return line;
}

std::string install_script(const std::string& tag, const std::string& hash) {
  return fmt::format(
      "umask 077; b={}; mkdir \"$b\" 2>/dev/null; "
      "if [ ! -d \"$b\" ] || [ -L \"$b\" ] || [ ! -O \"$b\" ]; then "
      "echo \"$b cannot be made, or is not this user's\" >&2; exit 1; fi; "
      "t=\"$b/.new-$$\"; mkdir \"$t\" && tar -xzf - -C \"$t\" || {{ rm -rf \"$t\"; exit 1; }}; "
      "mv -T \"$t\" \"$b/{}\" 2>/dev/null || rm -rf \"$t\"; [ -x \"$b/{}/cox-agent\" ]",
      host_base(tag), hash, hash);
}

std::string clear_script(const std::string& tag, const NodeId& id) {
  const auto directory = host_node_directory(tag, id);
  return fmt::format(
      "for a in {}/*/cox-agent; do [ -x \"$a\" ] || continue; \"$a\" --clear {} {} {} || exit 1; "
      "break; done; rm -rf {}",
      host_base(tag), directory, host_shared_memory(tag), host_scratch(tag), directory);
}

std::string clear_all_script(const std::string& tag) {
  return fmt::format(
      "b={}; for a in \"$b\"/*/cox-agent; do [ -x \"$a\" ] || continue; "
      "for n in \"$b\"/nodes/*; do [ -d \"$n\" ] || continue; \"$a\" --clear \"$n\" {} || exit 1; "
      "done; break; done; {} {} rm -rf \"$b\" {}",
      host_base(tag), host_shared_memory(tag), kUnstageLines, kUnmountLines,
      host_shared_memory(tag));
}

std::string head_file_script(const std::string& tag, const NodeId& id) {
  return fmt::format(
      "cd {} || exit 1; while read -r line; do "
      "echo \"$line\" > head.new && mv head.new head; done",
      host_node_directory(tag, id));
}

Error explain_ssh_failure(const SshTarget& target, int exit_code, const std::string& err) {
  const auto said = last_line(err);
  const auto help = exit_code == kSshFailed ? mend(target, err) : "";
  if (exit_code == 137) {
    return {Errc::unavailable,
            fmt::format("host {}: it took too long, and was given up", shown(target))};
  }
  if (exit_code == kNoAgent) {
    return {Errc::unavailable,
            fmt::format("host {}: the agent was copied to /var/tmp and cannot be run there: let "
                        "programs run from it (mount -o remount,exec /var/tmp)",
                        shown(target))};
  }
  if (!help.empty()) {
    return {Errc::unavailable, fmt::format("host {}: {} (ssh: {})", shown(target), help, said)};
  }
  return {Errc::unavailable,
          fmt::format("host {}: {}", shown(target),
                      said.empty() ? fmt::format("ended with exit status {}", exit_code) : said)};
}

}  // namespace cox::provider
