#include "launcher/cli/pcluster_ssh.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstdlib>
#include <ostream>

#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/pcluster_answers.hpp"
#include "launcher/cli/pcluster_file.hpp"
#include "launcher/cli/pcluster_interrupt.hpp"
#include "launcher/cli/pcluster_json.hpp"
#include "launcher/cli/pcluster_verbs.hpp"
#include "launcher/cluster/lifecycle.hpp"
#include "launcher/provider/local_provider.hpp"
#include "launcher/provider/ssh_plan.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/fd.hpp"
#include "runtime/os/process.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

// ssh(1)'s options that take a value, and those that do not.
constexpr std::string_view kWithValue = "BbcDEeFIiJLlmOopQRSWw";
constexpr std::string_view kFlags = "46AaCfGgKkMNnqsTtVvXxYy";

constexpr const char* kUsage =
    "usage: pcluster ssh NAME [-d] [ssh options] [COMMAND ...]\n"
    "       pcluster ssh -n NAME [--dryrun [BOOL]] [ssh options] [COMMAND ...]\n"
    "\n"
    "Opens a login shell on the cluster's head node, or runs a command there with this terminal\n"
    "and stdin; the exit status is the command's. ssh's options (-i KEY, -p PORT, -o X=Y, ...)\n"
    "are taken and not needed for a local cluster. With -d or --dryrun the command is shown only.\n"
    "\n"
    "Examples:\n"
    "  pcluster ssh tutor2\n"
    "  pcluster ssh tutor2 -i ~/.ssh/key.pem awsbstat\n"
    "  pcluster ssh tutor2 'cat > submit.sh' < submit.sh\n";

/// Says once a cluster that a key is of no use here.
void say_about_key(const std::string& cluster, Streams streams) {
  const auto mark = cluster::directory_of(cluster) + "/ssh-key-was-named";
  const os::Fd made(::open(mark.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!made && errno == EEXIST) return;
  streams.err << "pcluster: the key is not needed for a local cluster\n" << std::flush;
}

std::string login_name(const std::string& cluster) {
  const auto record = cluster::load_record(cluster::directory_of(cluster));
  const auto config = record ? stored_config(*record) : std::nullopt;
  return config ? config->os_user : "ec2-user";
}

/// Version 2's template of the command: of the default file, whichever the cluster was made from.
std::string command_template() {
  constexpr const char* kDefault = "ssh {CFN_USER}@{MASTER_IP} {ARGS}";
  const auto file = read_cluster_file(default_ini_path(), {}, true);
  if (!file || !file->loaded.config) return kDefault;
  const auto& aliases = file->loaded.config->ssh_alias;
  const auto own = aliases.find("ssh");
  return own != aliases.end() ? own->second : kDefault;
}

int show_command(const SshWords& words, const std::string& address, Streams streams) {
  std::string arguments;
  for (const auto& word : words.options) arguments += " " + shell_quote(word);
  for (const auto& word : words.command) arguments += " " + shell_quote(word);
  if (!arguments.empty()) arguments.erase(0, 1);
  const std::map<std::string, std::string> values{
      {"CFN_USER", login_name(words.cluster)}, {"MASTER_IP", address}, {"ARGS", arguments}};
  const auto filled = fill_template(
      words.version2 ? command_template() : "ssh {CFN_USER}@{MASTER_IP} {ARGS}", values);
  if (!filled) {
    streams.err << "ERROR: [aliases] ssh of " << default_ini_path() << ": "
                << filled.error().message << '\n';
    return kFailed;
  }
  const std::string command(trim(*filled));
  if (words.version2) {
    streams.out << "SSH command: " << command << '\n';
  } else {
    streams.out << pretty(json::object{{"command", command}});
  }
  return kDone;
}

/// The head of a cluster of hosts runs on this machine itself: there is nothing to enter.
int run_here(const SshWords& words, Streams streams) {
  const char* shell = std::getenv("SHELL");
  std::vector<std::string> argv{shell != nullptr && *shell != '\0' ? shell : "/bin/bash"};
  if (words.command.empty()) {
    argv.emplace_back("-l");
  } else {
    argv.insert(argv.end(), {"-c", join(words.command, " ")});
  }
  if (words.dry_run) {
    std::string command;
    for (const auto& word : argv) command += (command.empty() ? "" : " ") + shell_quote(word);
    if (words.version2) {
      streams.out << "SSH command: " << command << '\n';
    } else {
      streams.out << pretty(json::object{{"command", command}});
    }
    return kDone;
  }
  if (words.command.empty()) {
    streams.err << "pcluster: the head node of " << words.cluster
                << " is this machine: a shell here\n";
  }
  streams.out.flush();
  streams.err.flush();
  os::SpawnSpec spec;
  spec.argv = argv;
  spec.descriptors = {{0, 0}, {1, 1}, {2, 2}};
  const auto pid = os::spawn(spec);
  if (!pid) {
    streams.err << "ERROR: " << pid.error().message << '\n';
    return kFailed;
  }
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  return os::exit_code_of(status);
}

/// Version 2's is a flag, version 3's takes a value; without one it is a flag too. Moves `at` on.
Result<bool> dry_run(const std::vector<std::string>& args, std::size_t& at, std::size_t equals) {
  if (equals != std::string::npos) {
    const auto value = args[at].substr(equals + 1);
    if (const auto given = boolean(value)) return *given;
    return fail(Errc::invalid_argument, "argument --dryrun: '{}' is neither true nor false", value);
  }
  const auto given = at + 1 < args.size() ? boolean(args[at + 1]) : std::nullopt;
  if (given) ++at;
  return given.value_or(true);
}

}  // namespace

Result<std::string> fill_template(const std::string& text,
                                  const std::map<std::string, std::string>& values) {
  std::string filled;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto open = text.find('{', at);
    filled += text.substr(at, open - at);
    if (open == std::string::npos) break;
    const auto close = text.find('}', open);
    const auto name =
        close == std::string::npos ? std::string() : text.substr(open + 1, close - open - 1);
    const auto value = values.find(name);
    if (value == values.end()) {
      return fail(Errc::invalid_argument, "{} is none of {{CFN_USER}}, {{MASTER_IP}} and {{ARGS}}",
                  text.substr(open, close == std::string::npos ? close : close - open + 1));
    }
    filled += value->second;
    at = close + 1;
  }
  return filled;
}

Result<SshWords> parse_ssh_words(const std::vector<std::string>& args) {
  SshWords words;
  const auto value_of = [&](std::size_t& at, std::size_t equals) -> Result<std::string> {
    if (equals != std::string::npos) return args[at].substr(equals + 1);
    if (at + 1 == args.size()) {
      return fail(Errc::invalid_argument, "argument {}: expected one argument", args[at]);
    }
    return args[++at];
  };
  std::size_t i = 0;
  for (; i < args.size(); ++i) {
    const auto equals = args[i].starts_with("--") ? args[i].find('=') : std::string::npos;
    const auto word = args[i].substr(0, equals);
    if (word == "-h" || word == "--help") {
      words.help = true;
      return words;
    }
    const bool names_cluster = word == "-n" || word == "--cluster-name";
    if (words.cluster.empty() && (names_cluster || !word.starts_with("-"))) {
      words.version2 = !names_cluster;
      const auto name = names_cluster ? value_of(i, equals) : Result<std::string>(word);
      if (!name) return fail(name.error());
      words.cluster = *name;
    } else if (word == "-r" || word == "--region") {
      if (const auto region = value_of(i, equals); !region) return fail(region.error());
    } else if (word == "-d" || word == "--dryrun") {
      const auto wanted = dry_run(args, i, equals);
      if (!wanted) return fail(wanted.error());
      words.dry_run = *wanted;
    } else if (word == "--") {
      ++i;
      break;
    } else if (word.size() > 1 && word[0] == '-' && kWithValue.find(word[1]) != word.npos) {
      words.options.push_back(word);
      words.names_key = words.names_key || word[1] == 'i';
      if (word.size() > 2) continue;  // the value is attached
      const auto value = value_of(i, equals);
      if (!value) return fail(value.error());
      words.options.push_back(*value);
    } else if (word.size() > 1 && word[0] == '-') {
      if (word.find_first_not_of(kFlags, 1) != word.npos) {
        return fail(Errc::invalid_argument, "ssh has no option {}", args[i]);
      }
      words.options.push_back(word);
    } else {
      break;
    }
  }
  if (words.cluster.empty()) {
    return fail(Errc::invalid_argument, "the cluster's name is missing");
  }
  words.command.assign(args.begin() + static_cast<std::ptrdiff_t>(i), args.end());
  return words;
}

int run_pcluster_ssh(const std::vector<std::string>& args, Streams streams) {
  const auto words = parse_ssh_words(args);
  if (!words) {
    streams.err << kUsage << "pcluster ssh: error: " << words.error().message << '\n';
    return kMisused;
  }
  if (words->help) {
    streams.out << kUsage;
    return kDone;
  }
  const auto refuse = [&](const std::string& text) {
    streams.err << "ERROR: " << text << '\n';
    return kFailed;
  };
  const auto record = cluster::current_record(words->cluster);
  if (!record) return refuse(fmt::format("cluster {} does not exist", words->cluster));
  if (!cluster::is_made(record->status)) {
    return refuse(fmt::format("cluster {} is {}: its head node cannot be entered", words->cluster,
                              cluster::cluster_status(record->status)));
  }
  struct stat owner {};
  const auto directory = cluster::directory_of(words->cluster);
  if (::geteuid() != 0 && ::stat(directory.c_str(), &owner) == 0 && owner.st_uid != ::geteuid()) {
    return refuse(
        fmt::format("cluster {} belongs to another user: only they and root can enter its "
                    "head node",
                    words->cluster));
  }
  std::string node;
  std::string address;
  {
    auto connection = Connection::open(words->cluster);
    const auto about = connection ? connection->get("cluster") : fail(connection.error());
    if (!about) return refuse(about.error().message);
    const auto* head = object_of(about->as_object(), "headNode");
    if (head == nullptr) return refuse("the head node is not running");
    node = text_of(*head, "id");
    address = text_of(*head, "address");
  }
  const auto hosts = provider::load_plan(directory);
  if (hosts && *hosts && (*hosts)->alone) return run_here(*words, streams);
  if (words->dry_run) return show_command(*words, address, streams);
  if (words->names_key) say_about_key(words->cluster, streams);
  auto entry = provider::find_local_node(directory, NodeId{node});
  if (!entry) return refuse(entry.error().message);
  if (entry->os_user.empty()) entry->os_user = login_name(words->cluster);
  streams.out.flush();
  const auto status = provider::run_in_local_node(*entry, words->command);
  // From within the node nothing is left to do here, and a usual exit may want a thread.
  if (status) ::_exit(*status);
  return refuse(status.error().message);
}

}  // namespace cox::cli
