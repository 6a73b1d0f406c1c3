#include <unistd.h>

#include <algorithm>
#include <string>

#include "runtime/base/text.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/head/node_scripts.hpp"
#include "runtime/head/plain_text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

/// What an update runs on the head node, which is up. The scripts are parts on its agent, as those
/// are that a node runs before it is up; but each run has a number of its own, and these are
/// written down before the agent hears of them. The agent forgets none until the update is in force
/// or taken back: so a head that comes back finds each where it is, and none runs twice that its
/// node has not lost.
namespace cox::head {

namespace {

constexpr const char* kAction = "OnNodeUpdated";
constexpr const char* kNumbersFile = "/update-scripts";
constexpr int kGraceSeconds = 5;
constexpr std::size_t kLogBytesMax = 32u << 20;
constexpr std::size_t kLastLines = 5;

wire::PartKey part_of(int number) {
  const NodeScripts any{{{kAction, "", {}}}, 0};
  return {script_part(any, 0).job, number, 0};
}

/// "7 5 6 7": the last number that was ever given, and those of the update that is under way.
std::vector<int> read_numbers(const std::string& path) {
  std::vector<int> numbers;
  const auto text = os::read_file(path, 1u << 16);
  for (const auto& word : split(text ? std::string(trim(*text)) : "", ' ')) {
    if (const auto number = to_int(word)) numbers.push_back(static_cast<int>(*number));
  }
  return numbers;
}

Result<void> write_numbers(const std::string& path, int last, const std::vector<int>& numbers) {
  auto text = std::to_string(last);
  for (const int each : numbers) text += fmt::format(" {}", each);
  return os::write_file_atomic(path, text + "\n");
}

}  // namespace

bool is_update_script(const wire::PartKey& part) { return part.job == part_of(1).job; }

void HeadCore::run_on_head_node(NodeScripts scripts, std::function<void(Result<void>)> done) {
  if (scripts.list.empty()) return done({});
  if (state_.node(head_node_) == nullptr) {
    return done(fail(Errc::unavailable, "no head node is there to run {}", kAction));
  }
  auto& update = update_scripts_;
  const auto path = options_.directory + kNumbersFile;
  auto before = read_numbers(path);
  update.last_number = before.empty() ? 0 : before.front();
  if (!before.empty()) before.erase(before.begin());
  // Of an update that goes on they are its own; another's are left behind before it begins.
  update.numbers = update.is_open ? before : std::vector<int>();
  if (auto kept = write_numbers(path, update.last_number, update.numbers); !kept) {
    return done(fail(kept.error()));
  }
  update.is_open = true;
  update.scripts = std::move(scripts);
  update.at = 0;
  update.done = std::move(done);
  const int limit = update.scripts.limit_s;
  update.limit = loop_.after(std::chrono::seconds(limit), [this, limit] {
    update_script_failed(fmt::format("did not end within {} s", limit));
  });
  stop_strange_update_scripts();
  go_on_with_update();
}

/// After the head node's agent has said hello.
void HeadCore::find_update_scripts(const NodeId& id, const std::vector<wire::PartKey>& reported) {
  if (id != head_node_) return;
  auto& update = update_scripts_;
  update.there.clear();
  for (const auto& part : reported) {
    if (is_update_script(part)) update.there.insert(part.attempt);
  }
  std::erase_if(update.ends, [&](const auto& end) { return !update.there.contains(end.first); });
  // Until the update that goes on has said what it runs, nothing is strange.
  if (!update.is_open || update.done) stop_strange_update_scripts();
  go_on_with_update();
}

/// What an update before this one has left; its end is heard and forgotten then.
void HeadCore::stop_strange_update_scripts() {
  auto& update = update_scripts_;
  for (const int number : update.there) {
    const auto& known = update.numbers;
    if (update.is_open && std::find(known.begin(), known.end(), number) != known.end()) continue;
    send(head_node_, wire::Stop{part_of(number), kGraceSeconds, "its update is over"});
  }
}

/// Looks where the scripts are, and begins the one that is due.
void HeadCore::go_on_with_update() {
  auto& update = update_scripts_;
  const auto session = sessions_.find(head_node_);
  if (session == sessions_.end() || !session->second.greeted) return;  // begins with the next one
  while (update.done) {
    if (update.at >= update.scripts.list.size()) return end_update_scripts({});
    if (update.at >= update.numbers.size()) return begin_update_script();
    const int number = update.numbers[update.at];
    if (const auto end = update.ends.find(number); end != update.ends.end()) {
      const auto& [code, reason] = end->second;
      if (code != 0)
        return update_script_failed(reason.empty() ? ending(code) : "failed: " + reason);
      ++update.at;
      continue;
    }
    // The node has lost it: it runs anew, under a number of its own.
    if (!update.there.contains(number)) return begin_update_script();
    return send(head_node_, wire::Launch{part_of(number), {}});
  }
}

void HeadCore::begin_update_script() {
  auto& update = update_scripts_;
  const int number = ++update.last_number;
  update.numbers.resize(update.at);
  update.numbers.push_back(number);
  const auto kept = write_numbers(options_.directory + kNumbersFile, number, update.numbers);
  if (!kept) return update_script_failed("could not be begun: " + kept.error().message);
  Node node = *state_.node(head_node_);
  node.reason = script_progress(update.scripts, update.at);
  state_.put_node(node);
  if (!options_.fetch_script) return send_update_script(number, std::nullopt);
  options_.fetch_script(update.scripts.list[update.at].script,
                        guarded([this, number](Result<std::optional<std::string>> text) {
                          const auto& now = update_scripts_;
                          const bool is_due = now.done && now.numbers.size() == now.at + 1 &&
                                              now.numbers.back() == number;
                          if (!is_due) return;
                          if (text) return send_update_script(number, std::move(*text));
                          update_script_failed("could not be fetched: " + text.error().message);
                        }));
}

void HeadCore::send_update_script(int number, std::optional<std::string> text) {
  auto& update = update_scripts_;
  const auto* node = state_.node(head_node_);
  // Without a connection it is begun anew on the next one.
  if (node == nullptr || !sessions_.contains(head_node_)) return;
  auto prepare = prepare_script(update.scripts, update.at,
                                {.cluster = &state_.cluster(),
                                 .node = node,
                                 .user = {::geteuid(), ::getegid(), user_name(::geteuid())},
                                 .brings_file = text.has_value(),
                                 .head_address = node->address});
  prepare.part = part_of(number);
  update.there.insert(number);
  if (text) {
    send(head_node_,
         wire::FilePiece{prepare.part, script_file_name(update.scripts.list[update.at].script),
                         0700, std::move(*text), true});
  }
  send(head_node_, prepare);
}

void HeadCore::update_script_prepared(const NodeId& id, const wire::PartKey& part) {
  if (id == head_node_ && update_scripts_.is_open) return go_on_with_update();
  part_is_not_wanted(id, part);
}

void HeadCore::update_script_ended(const NodeId& id, const wire::Exited& message) {
  auto& update = update_scripts_;
  const int number = message.part.attempt;
  const bool is_known = !update.done || std::find(update.numbers.begin(), update.numbers.end(),
                                                  number) != update.numbers.end();
  if (id != head_node_ || !update.is_open || !is_known) {
    return send(id, wire::ExitedAck{message.part});
  }
  update.ends[number] = {message.exit_code, message.reason};
  go_on_with_update();
}

void HeadCore::update_script_failed(const std::string& what) {
  auto& update = update_scripts_;
  const auto* node = state_.node(head_node_);
  if (!update.done || node == nullptr) return;
  const auto part = part_of(update.at < update.numbers.size() ? update.numbers[update.at] : 0);
  const auto log = os::read_file(script_log(*node, part), kLogBytesMax);
  const auto why = script_failure(*node, update.scripts.list[update.at], what,
                                  last_lines(log ? *log : "", kLastLines));
  if (!update.ends.contains(part.attempt)) {
    send(head_node_, wire::Stop{part, kGraceSeconds, "the update has failed"});
  }
  end_update_scripts(fail(Errc::unavailable, "{}", why));
}

void HeadCore::end_update_scripts(const Result<void>& how) {
  auto& update = update_scripts_;
  update.limit.reset();
  const auto* known = state_.node(head_node_);
  // Of one that is lost it says why.
  if (known != nullptr && known->status != NodeStatus::terminating) {
    Node node = *known;
    node.reason.clear();
    state_.put_node(node);
  }
  if (const auto done = std::exchange(update.done, nullptr)) done(how);
}

void HeadCore::forget_head_node_scripts() {
  for (const auto& [number, end] : update_scripts_.ends) {
    send(head_node_, wire::ExitedAck{part_of(number)});
  }
  if (update_scripts_.last_number > 0) {
    const auto path = options_.directory + kNumbersFile;
    if (auto kept = write_numbers(path, update_scripts_.last_number, {}); !kept) {
      os::log_warn("{}", kept.error().message);  // the next update does it
    }
  }
  update_scripts_ = {};
}

}  // namespace cox::head
