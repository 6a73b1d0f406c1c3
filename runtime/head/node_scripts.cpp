#include "runtime/head/node_scripts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "runtime/base/text.hpp"
#include "runtime/head/plain_text.hpp"

namespace cox::head {

namespace {

constexpr std::string_view kMark = "node-script-";
constexpr std::string_view kFileScheme = "file://";
constexpr std::size_t kNameMax = 100;
constexpr std::size_t kLastBytes = 1024;

/// Becomes the script, in its place or from where it was put. HOME is the user's own where there is
/// such: what a script leaves there is meant to stay, and the part's directory does not.
constexpr const char* kRun =
    "home=$(getent passwd \"$(id -u)\" | cut -d: -f6)\n"
    "if [ -n \"$home\" ] && [ -w \"$home\" ]; then HOME=$home; export HOME; fi\n"
    "case $0 in /*) [ -e \"$0\" ] || { echo \"$0: there is no such file on this machine or the "
    "node\" >&2; exit 127; };; esac\n"
    "exec \"$0\" \"$@\"\n";

/// The place of the script among those of its action, from 1.
int place_in_action(const NodeScripts& scripts, std::size_t at) {
  const auto& action = scripts.list[at].action;
  const auto end = scripts.list.begin() + static_cast<std::ptrdiff_t>(at) + 1;
  return static_cast<int>(std::count_if(
      scripts.list.begin(), end, [&](const NodeScript& each) { return each.action == action; }));
}

bool may_stand_in_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

std::string own_path(const std::string& script) {
  return script.starts_with(kFileScheme) ? script.substr(kFileScheme.size()) : script;
}

std::vector<EnvVar> environment_of(const NodeScript& script, const ScriptRun& run) {
  std::vector<std::string> shared;
  for (const auto& each : run.cluster->shared) shared.push_back(each.mount_dir);
  return {{"PCLUSTER_AWS_REGION", run.cluster->region},
          {"PCLUSTER_STACK_NAME", run.cluster->stack_name},
          {"PCLUSTER_SHARED_DIRS", shared.empty() ? "NONE" : join(shared, ",")},
          {"PCLUSTER_HEAD_NODE_IP", run.head_address},
          {"COX_CLUSTER", run.cluster->name},
          {"COX_ACTION", script.action},
          {"COX_NODE_TYPE", run.node->ordinal == 0 ? "HeadNode" : "ComputeNode"},
          {"COX_NODE_ID", run.node->id.value}};
}

}  // namespace

wire::PartKey script_part(const NodeScripts& scripts, std::size_t at) {
  return {JobId{fmt::format("{}{}", kMark, scripts.list[at].action)}, place_in_action(scripts, at),
          0};
}

bool is_script(const wire::PartKey& part) { return part.job.value.starts_with(kMark); }

std::string script_progress(const NodeScripts& scripts, std::size_t at) {
  const auto& script = scripts.list[at];
  const auto all =
      std::count_if(scripts.list.begin(), scripts.list.end(),
                    [&](const NodeScript& each) { return each.action == script.action; });
  const auto name = script_file_name(script.script);
  if (all == 1) return fmt::format("{}: {}", script.action, name);
  return fmt::format("{}: {} ({} of {})", script.action, name, place_in_action(scripts, at), all);
}

std::string script_log_name(const Node& node, const wire::PartKey& part) {
  const auto action = part.job.value.substr(std::min(kMark.size(), part.job.value.size()));
  const auto host = node.hostname.substr(0, node.hostname.find('.'));
  const auto behind = part.attempt > 1 ? fmt::format("-{}", part.attempt) : std::string();
  return fmt::format("{}.{}.{}{}", host, node.id, action, behind);
}

std::string script_file_name(std::string_view script) {
  auto path = script;
  if (path.find("://") != std::string_view::npos) path = path.substr(0, path.find_first_of("?#"));
  std::string name;
  for (const char c : path.substr(path.rfind('/') + 1)) name += may_stand_in_name(c) ? c : '_';
  if (name.size() > kNameMax) name.resize(kNameMax);
  // Not hidden, no option, and no file that a part has itself.
  if (name.empty() || name[0] == '.' || name[0] == '-' || name == "hostfile") return "script";
  return name;
}

wire::Prepare prepare_script(const NodeScripts& scripts, std::size_t at, const ScriptRun& run) {
  const auto& script = scripts.list[at];
  wire::Prepare prepare;
  prepare.part = script_part(scripts, at);
  prepare.user = run.user;
  const auto file =
      run.brings_file ? "./" + script_file_name(script.script) : own_path(script.script);
  prepare.command = {"/bin/sh", "-c", kRun, file};
  prepare.command.insert(prepare.command.end(), script.args.begin(), script.args.end());
  prepare.environment = environment_of(script, run);
  prepare.vcpus = run.node->vcpus;
  prepare.memory_mib = run.node->memory.value;
  prepare.peers = {{0, run.node->id, run.node->address, run.node->hostname, 1}};
  prepare.capture_ranks = false;
  return prepare;
}

std::string script_failure(const Node& node, const NodeScript& script, std::string_view what,
                           const std::vector<std::string>& lines) {
  auto text =
      fmt::format("{} of {}: {} {}", script.action,
                  node.ordinal == 0 ? "the head node" : "a compute node", script.script, what);
  if (!lines.empty()) text += fmt::format(": \"{}\"", on_one_line(join(lines, " | "), kLastBytes));
  return text;
}

std::string script_log_line(Millis at, std::string_view text) {
  using namespace std::chrono;
  const sys_time<milliseconds> time{milliseconds(at.value)};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  return fmt::format(
      "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z {}\n", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
      clock.minutes().count(), clock.seconds().count(), clock.subseconds().count(), as_utf8(text));
}

std::vector<std::string> last_lines(std::string_view log, std::size_t count) {
  std::vector<std::string> lines;
  for (const auto& line : split(log, '\n')) {
    const auto blank = line.find(' ');
    if (blank != std::string::npos) lines.push_back(line.substr(blank + 1));
  }
  if (lines.size() > count) {
    lines.erase(lines.begin(), lines.end() - static_cast<std::ptrdiff_t>(count));
  }
  return lines;
}

}  // namespace cox::head
