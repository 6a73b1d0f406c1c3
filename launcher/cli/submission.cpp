#include "launcher/cli/submission.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "runtime/base/text.hpp"

namespace cox::cli {

namespace {

constexpr const char* kBlacklist = "HOME,LD_LIBRARY_PATH,PATH,PWD,TERM,TERMCAP,USER,VCPUS";

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_file(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

std::set<std::string> names(const std::string& list) {
  std::set<std::string> set;
  for (const auto& name : split(list, ',')) set.emplace(trim(name));
  return set;
}

/// Never exported, even when named.
bool is_reserved(const std::string& name) {
  const auto upper = to_upper(name);
  return upper.starts_with("PCLUSTER_") || upper.starts_with("AWS_") ||
         upper.starts_with("LESS_TERMCAP_");
}

/// Whether a shell can export it: functions that bash has exported have other names.
bool is_identifier(const std::string& name) {
  return !name.empty() && (name[0] < '0' || name[0] > '9') &&
         std::all_of(name.begin(), name.end(), is_word_char);
}

std::string double_quoted(const std::string& text) { return "\"" + text + "\""; }

/// A type that says nothing without a job id.
bool wants_job(const std::string& type) {
  return type == "N_TO_N" || type == "AFTER_ANY" || type == "AFTER_NOT_OK";
}

/// "afterany:ID" and its like. An array child's id has a colon, too: what follows the first is the
/// id.
std::optional<DependsOn> after_condition(const std::string& piece) {
  static const std::map<std::string, std::string> kTypes{
      {"afterok", ""}, {"afterany", "AFTER_ANY"}, {"afternotok", "AFTER_NOT_OK"}};
  const auto colon = piece.find(':');
  if (colon == std::string::npos || colon + 1 == piece.size()) return std::nullopt;
  const auto type = kTypes.find(piece.substr(0, colon));
  if (type == kTypes.end()) return std::nullopt;
  return DependsOn{piece.substr(colon + 1), type->second};
}

}  // namespace

Result<void> check(const SubmitOptions& options, bool stdin_is_terminal) {
  const bool has_command = !options.command.empty();
  const bool elsewhere = !options.working_dir.empty() || !options.parent_working_dir.empty();
  if (options.command_file && !has_command) {
    return fail(Errc::invalid_argument,
                "Error: command is required when using --command-file option");
  }
  if (options.command_file && !is_file(options.command[0])) {
    return fail(Errc::invalid_argument,
                "Error: the provided command file \"{}\" must be an existing file",
                options.command[0]);
  }
  if (!options.command_file && !has_command && (stdin_is_terminal || options.mpi)) {
    return fail(Errc::invalid_argument, "Error: command parameter is required");
  }
  if (!options.depends_on.empty()) {
    if (const auto parsed = parse_depends_on(options.depends_on); !parsed)
      return fail(parsed.error());
  }
  if (!options.env_blacklist.empty() && options.env != "all") {
    return fail(Errc::invalid_argument,
                "Error: --env-blacklist option can be used only when --env option is 'all'");
  }
  if (!options.working_dir.empty() && !options.parent_working_dir.empty()) {
    return fail(Errc::invalid_argument,
                "Error: --working-dir and --parent-working-dir options can't be used together");
  }
  if (options.mpi && (options.command_file || elsewhere)) {
    return fail(Errc::invalid_argument, "Error: {} and --mpi options can't be used together",
                options.command_file ? "--command-file" : "--working-dir or --parent-working-dir");
  }
  if (!options.mpi && (options.dry_run || options.ranks_per_node > 0 || !options.map_by.empty() ||
                       !options.bind_to.empty() || options.mpi_launch != "auto")) {
    return fail(Errc::invalid_argument,
                "Error: --dry-run, --ranks-per-node, --map-by, --bind-to and --mpi-launch can be "
                "used only with --mpi");
  }
  if (options.mpi_launch != "auto" && options.mpi_launch != "direct" &&
      options.mpi_launch != "mpirun") {
    return fail(Errc::invalid_argument,
                "Error: --mpi-launch must be direct, mpirun or auto, not {}", options.mpi_launch);
  }
  for (const auto& file : options.input_files) {
    if (!is_file(file)) {
      return fail(Errc::invalid_argument, "Error: the input file \"{}\" must be an existing file",
                  file);
    }
  }
  return {};
}

std::string job_name(const SubmitOptions& options, bool stdin_is_terminal) {
  if (!options.job_name.empty()) return options.job_name;
  // The name that the original gives whatever is submitted without a terminal.
  const bool from_stdin = options.command.empty() || (options.command_file && !stdin_is_terminal);
  if (from_stdin) return "STDIN";
  const auto& command = options.command[0];
  const auto base = command.substr(command.rfind('/') + 1);
  std::string name;
  for (const char c : base) {
    if (is_word_char(c)) {
      name += c;
    } else if (name.empty() || name.back() != '_') {
      name += '_';
    }
  }
  return name;
}

Result<std::vector<DependsOn>> parse_depends_on(const std::string& text) {
  const auto refuse = [&] {
    return fail(
        Errc::invalid_argument,
        "Error: please check the syntax of --depends-on: \"{}\". It is a list of jobId=ID and "
        "type=SEQUENTIAL or type=N_TO_N, or of afterok:ID, afterany:ID and afternotok:ID, with "
        "commas or semicolons between",
        text);
  };
  std::string plain = text;
  for (char& c : plain) {
    if (c == ';' || c == ' ') c = ',';
  }
  std::vector<DependsOn> list;
  for (const auto& piece : split(plain, ',')) {
    if (piece.empty()) continue;
    if (auto after = after_condition(piece)) {
      list.push_back(std::move(*after));
      continue;
    }
    const bool is_job = piece.starts_with("jobId=") && piece.size() > 6;
    const bool is_type = piece.starts_with("type=") && piece.size() > 5;
    if (!is_job && !is_type) return refuse();
    const auto value = piece.substr(piece.find('=') + 1);
    // The two halves of one dependency stand side by side, in either order.
    auto* last = list.empty() ? nullptr : &list.back();
    const bool joins = last != nullptr && (is_job ? last->job_id.empty() && wants_job(last->type)
                                                  : last->type.empty());
    if (!joins) {
      list.emplace_back();
      last = &list.back();
    }
    (is_job ? last->job_id : last->type) = value;
  }
  if (list.empty()) return refuse();
  return list;
}

std::map<std::string, std::string> exported(const std::string& list, const std::string& blacklist,
                                            const std::map<std::string, std::string>& environment) {
  const auto wanted = names(list);
  const auto hidden = names(blacklist.empty() ? kBlacklist : blacklist);
  const bool all = wanted.contains("all");
  std::map<std::string, std::string> chosen;
  for (const auto& [name, value] : environment) {
    const bool named = wanted.contains(name) || (all && !hidden.contains(name));
    if (named && !is_reserved(name) && is_identifier(name)) chosen.emplace(name, value);
  }
  return chosen;
}

Result<std::string> staged_list(const std::vector<std::string>& paths,
                                const std::string& directory) {
  std::string list;
  for (const auto& path : paths) {
    if (path.empty() || path.find(':') != std::string::npos) {
      return fail(Errc::invalid_argument,
                  "Error: the path \"{}\" of --input or --output is empty or has a ':' in it, "
                  "which separates paths",
                  path);
    }
    auto whole = std::filesystem::path(directory) / path;
    auto plain = whole.lexically_normal().string();
    if (plain.size() > 1 && plain.back() == '/') plain.pop_back();
    list += (list.empty() ? "" : ":") + plain;
  }
  return list;
}

std::string env_file(const std::map<std::string, std::string>& variables) {
  std::string text;
  for (const auto& [name, value] : variables) {
    text += fmt::format("export {}={};\n", name, shell_quote(std::string_view(value)));
  }
  return text;
}

std::string command_chain(const SubmitOptions& options, const JobFiles& files,
                          const std::vector<std::string>& words) {
  std::vector<std::string> steps;
  const auto enter = [&](const std::string& directory) {
    steps.push_back(fmt::format("mkdir -p {}", double_quoted(directory)));
    steps.push_back(fmt::format("cd {}", double_quoted(directory)));
  };
  if (!options.working_dir.empty()) enter(options.working_dir);
  if (!options.parent_working_dir.empty()) {
    enter(options.parent_working_dir);
    enter("job-${AWS_BATCH_JOB_ID}");
  }
  const bool elsewhere = !options.working_dir.empty() || !options.parent_working_dir.empty();
  if (elsewhere && !files.all.empty()) {
    std::string from;
    std::string beside;
    for (const auto& name : files.all) {
      const auto quoted = shell_quote(std::string_view(name));
      from += " \"$COX_JOB_DIR\"/" + quoted;
      beside += " \"$COX_NEW\"/" + quoted;
    }
    steps.emplace_back("COX_NEW=$(mktemp -d -p .)");
    steps.push_back(fmt::format("cp -p{} \"$COX_NEW\"", from));
    steps.push_back(fmt::format("mv -f{} .", beside));
    steps.emplace_back("rmdir \"$COX_NEW\"");
    steps.emplace_back("unset COX_NEW");
  }
  if (!files.env.empty()) {
    steps.push_back("source " + shell_quote(std::string_view("./" + files.env)));
  }
  if (files.script.empty()) {
    steps.push_back(shell_quote(words));
  } else {
    const auto quoted = shell_quote(std::string_view("./" + files.script));
    steps.push_back("chmod +x " + quoted);
    steps.push_back(words.empty() ? quoted : quoted + " " + shell_quote(words));
  }
  return join(steps, " && ");
}

}  // namespace cox::cli
