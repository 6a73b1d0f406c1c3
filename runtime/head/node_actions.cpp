#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "runtime/base/text.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/head/node_scripts.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

/// What nodes run before they are up: one script after the other, each a part of its own on the
/// agent. The agent forgets none of them until the node is known to be up, so a head that comes
/// back finds in its Hello how far it is: nothing runs twice on a node.
namespace cox::head {

namespace {

constexpr std::size_t kLogBytesMax = 16u << 20;  // of one script; what comes after is left out
constexpr std::size_t kLastLines = 5;
constexpr int kGraceSeconds = 5;

}  // namespace

const NodeScripts* HeadCore::scripts_of(const Node& node) const {
  const auto& all = state_.cluster().scripts;
  const auto found = all.find(node.environment);
  return found == all.end() || found->second.list.empty() ? nullptr : &found->second;
}

/// Where the scripts stand on an agent that has just connected.
void HeadCore::find_scripts(const NodeId& id, const std::vector<wire::PartKey>& reported) {
  const auto* node = state_.node(id);
  if (node == nullptr || were_up_.contains(id)) return;
  const auto* scripts = scripts_of(*node);
  auto& actions = actions_[id];
  if (actions.scripts.list.empty() && scripts != nullptr) actions.scripts = *scripts;
  actions.is_begun = false;
  actions.there = {reported.begin(), reported.end()};
}

/// True when the node has run all that it is to run before it is up; goes on with it otherwise.
bool HeadCore::has_run_scripts(const NodeId& id) {
  const auto found = actions_.find(id);
  if (found == actions_.end() || were_up_.contains(id)) return true;
  auto& actions = found->second;
  if (actions.at >= actions.scripts.list.size()) return true;
  if (!actions.limit) {
    const int limit = actions.scripts.limit_s;
    actions.limit = loop_.after(std::chrono::seconds(limit), [this, id, limit] {
      script_failed(id, fmt::format("did not end within {} s", limit));
    });
  }
  if (!actions.is_begun) begin_script(id, actions);
  return false;
}

void HeadCore::begin_script(const NodeId& id, NodeActions& actions) {
  actions.is_begun = true;
  Node node = *state_.node(id);
  node.reason = script_progress(actions.scripts, actions.at);
  state_.put_node(node);
  // One that the agent has already, it tells of again by itself.
  if (actions.there.contains(script_part(actions.scripts, actions.at))) return;
  const auto at = actions.at;
  if (!options_.fetch_script) return send_script(id, at, std::nullopt);
  options_.fetch_script(actions.scripts.list[at].script,
                        guarded([this, id, at](Result<std::optional<std::string>> text) {
                          const auto still = actions_.find(id);
                          if (still == actions_.end() || still->second.at != at) return;
                          if (text) return send_script(id, at, std::move(*text));
                          script_failed(id, "could not be fetched: " + text.error().message);
                        }));
}

void HeadCore::send_script(const NodeId& id, std::size_t at, std::optional<std::string> text) {
  const auto* node = state_.node(id);
  const auto& scripts = actions_.at(id).scripts;
  // Without a connection it is begun anew on the next one.
  if (node == nullptr || !sessions_.contains(id)) return;
  const auto* head_node = state_.node(head_node_);
  const auto prepare =
      prepare_script(scripts, at,
                     {.cluster = &state_.cluster(),
                      .node = node,
                      .user = {::geteuid(), ::getegid(), user_name(::geteuid())},
                      .brings_file = text.has_value(),
                      .head_address = head_node != nullptr ? head_node->address : ""});
  if (text) {
    send(id, wire::FilePiece{prepare.part, script_file_name(scripts.list[at].script), 0700,
                             std::move(*text), true});
  }
  send(id, prepare);
}

/// True when the part is the script that the node is at.
bool HeadCore::is_present_script(const NodeId& id, const wire::PartKey& part) const {
  const auto found = actions_.find(id);
  if (found == actions_.end()) return false;
  const auto& actions = found->second;
  return actions.at < actions.scripts.list.size() &&
         script_part(actions.scripts, actions.at) == part;
}

void HeadCore::script_prepared(const NodeId& id, const wire::PartKey& part) {
  if (is_update_script(part)) return update_script_prepared(id, part);
  if (!is_present_script(id, part)) return part_is_not_wanted(id, part);
  send(id, wire::Launch{part, {}});
}

void HeadCore::script_ended(const NodeId& id, const wire::Exited& message) {
  if (is_update_script(message.part)) return update_script_ended(id, message);
  if (!is_present_script(id, message.part)) {
    // Of a node that is up it may be forgotten; of one that is not, the next head must hear of it.
    if (were_up_.contains(id)) send(id, wire::ExitedAck{message.part});
    return;
  }
  if (message.exit_code != 0) {
    return script_failed(
        id, !message.reason.empty() ? "failed: " + message.reason : ending(message.exit_code));
  }
  auto& actions = actions_.at(id);
  ++actions.at;
  actions.is_begun = false;
  is_up(id);
}

/// The node is known to be up: its agent may forget what it ran.
void HeadCore::forget_scripts(const NodeId& id) {
  const auto done = actions_.extract(id);
  if (done.empty()) return;
  journal_->then([this, id, scripts = done.mapped().scripts] {
    for (std::size_t at = 0; at < scripts.list.size(); ++at) {
      send(id, wire::ExitedAck{script_part(scripts, at)});
    }
  });
}

void HeadCore::script_failed(const NodeId& id, const std::string& what) {
  const auto* known = state_.node(id);
  const auto found = actions_.find(id);
  if (known == nullptr || found == actions_.end()) return;
  const auto& scripts = found->second.scripts;
  const auto at = found->second.at;
  const auto part = script_part(scripts, at);
  const auto log = os::read_file(script_log(*known, part), 2 * kLogBytesMax);
  const auto why =
      script_failure(*known, scripts.list[at], what, last_lines(log ? *log : "", kLastLines));
  send(id, wire::Stop{part, kGraceSeconds, "the node has failed"});
  tell(shown(*known), "CREATE_FAILED", why);
  lose(id, why);
}

std::string HeadCore::script_log(const Node& node, const wire::PartKey& part) const {
  return fmt::format("{}/actions/{}.log", options_.directory, script_log_name(node, part));
}

void HeadCore::remove_old_script_logs(Millis kept_from) {
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(options_.directory + "/actions", error)) {
    struct stat seen {};
    if (::stat(entry.path().c_str(), &seen) != 0) continue;
    const Millis written{std::int64_t{seen.st_mtim.tv_sec} * 1000};
    if (written < kept_from) (void)::unlink(entry.path().c_str());
  }
}

/// Lines are numbered, and the log's are counted: what comes again is passed over.
void HeadCore::keep_script_output(const NodeId& id, const wire::Output& message) {
  const auto* node = state_.node(id);
  if (node == nullptr || message.records.empty()) return;
  const auto& newest = message.records.back();
  const wire::OutputAck ack{message.part, message.rank,
                            newest.sequence + lines_in(newest.text) - 1};
  const auto path = script_log(*node, message.part);
  auto& written = script_lines_[{id, message.part}];
  if (written.lines == 0) {
    (void)os::make_directories(options_.directory + "/actions", 0700);
    if (const auto before = os::read_file(path, 2 * kLogBytesMax)) {
      written.lines = static_cast<std::uint64_t>(std::count(before->begin(), before->end(), '\n'));
      written.bytes = before->size();
    }
  }
  std::string more;
  for (const auto& record : message.records) {
    auto sequence = record.sequence;
    for (const auto& line : split(record.text, '\n')) {
      if (sequence++ <= written.lines) continue;
      written.lines = sequence - 1;
      if (written.bytes + more.size() > kLogBytesMax) continue;
      more += script_log_line(Millis{record.at_ms}, line);
    }
  }
  written.bytes += more.size();
  const os::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const auto kept = file ? os::write_all(file.get(), more) : fail(os::errno_error(errno, path));
  if (!kept) os::log_warn("output of a node's script: {}", kept.error().message);
  send(id, ack);
}

}  // namespace cox::head
