#include <algorithm>

#include "runtime/base/text.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/os/log.hpp"

/// Files that jobs name, on nodes that share no file system with this machine: they are brought
/// there before a part is told to prepare, and results are brought back before its end is told.
/// What has come where is not stored: after a restart it is looked at again, and nothing moves that
/// is there already.
namespace cox::head {

namespace {

constexpr std::size_t kFetchesAtOnce = 8;

std::string shown_from(const std::optional<std::string>& host) {
  return host ? *host : std::string("the head");
}

}  // namespace

std::string HeadCore::host_of(const NodeId& node) const {
  const auto* known = state_.node(node);
  return known != nullptr && !known->hostname.empty() ? known->hostname : node.value;
}

/// Whether the part's inputs are on its node. Asks for them the first time; the part is acted on
/// again when they have come. Errors: invalid_argument.
Result<bool> HeadCore::is_staged(const Job& job, int node_index) {
  if (options_.stager == nullptr) return true;
  const auto& attempt = job.attempts.back();
  const auto& run = attempt.nodes[static_cast<std::size_t>(node_index)];
  const wire::PartKey part{job.id, attempt.number, node_index};
  if (const auto asked = staging_.parts.find(part); asked != staging_.parts.end()) {
    return asked->second;
  }
  if (!options_.stager->serves(run.node)) return true;
  const auto needs = staging_needs(job.spec, state_.cluster());
  if (!needs) return fail(needs.error());
  if (needs->inputs.empty()) return true;
  staging_.parts[part] = false;
  staging_.plan.want(part, run.node, needs->inputs);
  // Once all nodes of the job have asked: then those that are served first can serve the others.
  loop_.post(guarded([this] { start_copies(); }));
  show_copies(job.id);
  return false;
}

void HeadCore::start_copies() {
  if (shutting_down_) return;
  for (const auto& copy : staging_.plan.next()) {
    const int number = copy.number;
    staging_.runs[number] = options_.stager->bring(
        copy.set, copy.from, copy.to, guarded([this, number](int percent) {
          staging_.percent[number] = percent;
          for (const auto& job : staging_.plan.jobs_of(number)) show_copies(job);
        }),
        guarded([this, number](const Result<StagedBytes>& result) { copied(number, result); }));
  }
}

void HeadCore::copied(int number, const Result<StagedBytes>& result) {
  const auto run = staging_.runs.extract(number);
  staging_.percent.erase(number);
  const auto* known = staging_.plan.find(number);
  if (known == nullptr) return;
  const auto copy = *known;
  const auto jobs = staging_.plan.jobs_of(number);
  const auto from = copy.from ? std::optional(host_of(*copy.from)) : std::nullopt;
  if (result) {
    os::log_info("staged in {} on {} from {}: {} files, {} bytes", copy.set.directory,
                 host_of(copy.to), shown_from(from), result->files, result->bytes);
  } else {
    os::log_warn("not staged in {} on {} from {}: {}", copy.set.directory, host_of(copy.to),
                 shown_from(from), result.error().message);
  }
  const auto ended = staging_.plan.ended(number, result.has_value());
  if (ended.was_relay) {
    staging_.note = fmt::format("{} does not serve other hosts, this machine does: {}",
                                shown_from(from), result.error().message);
  }
  for (const auto& part : ended.failed) {
    apply(part.job, core::NodeExited{clock_.now(), part.attempt, part.node_index, 1,
                                     within("staging", result.error()).message});
  }
  for (const auto& part : ended.ready) {
    const auto asked = staging_.parts.find(part);
    if (asked == staging_.parts.end()) continue;
    asked->second = true;
    act(part.job);
  }
  start_copies();
  for (const auto& job : jobs) show_copies(job);
}

/// "staging: 1 of 3 nodes have the inputs; desk2 45%".
void HeadCore::show_copies(const JobId& id) {
  const auto* job = state_.find(id);
  if (job == nullptr || job->status != JobStatus::starting) return;
  int all = 0;
  int ready = 0;
  for (auto each = staging_.parts.lower_bound({id, 0, 0});
       each != staging_.parts.end() && each->first.job == id; ++each) {
    ++all;
    if (each->second) ++ready;
  }
  if (all == 0) return;
  auto text = fmt::format("staging: {} of {} nodes have the inputs", ready, all);
  for (const auto number : staging_.plan.copies_for(id)) {
    const auto percent = staging_.percent.find(number);
    if (percent == staging_.percent.end()) continue;
    text += fmt::format("; {} {}%", host_of(staging_.plan.find(number)->to), percent->second);
  }
  if (!staging_.note.empty()) text += " (" + staging_.note + ")";
  state_.set_progress(id, std::move(text));
}

/// The job does not start any more, or has started.
void HeadCore::forget_staging(const JobId& id) {
  const auto first = staging_.parts.lower_bound({id, 0, 0});
  auto last = first;
  while (last != staging_.parts.end() && last->first.job == id) ++last;
  if (first == last) return;
  staging_.parts.erase(first, last);
  for (const auto number : staging_.plan.forget(id)) {
    staging_.runs.erase(number);
    staging_.percent.erase(number);
  }
  loop_.post(guarded([this] { start_copies(); }));
}

/// Whether results must come here before this end is told. Begins with it the first time; the end
/// is told again when they have come, or cannot. The main node's copy of a file wins.
bool HeadCore::brings_back(const NodeId& node, const wire::Exited& message) {
  const auto& part = message.part;
  const auto* job = state_.find(part.job);
  if (options_.stager == nullptr || part.node_index != job->spec->main_node) return false;
  if (const auto known = staging_.fetches.find(part); known != staging_.fetches.end()) {
    return !known->second.is_over;
  }
  const auto& attempt = job->attempts.back();
  const auto& main = attempt.nodes[static_cast<std::size_t>(part.node_index)];
  if (attempt.over || main.phase != NodePhase::running) return false;
  const auto needs = staging_needs(job->spec, state_.cluster());
  if (!needs || needs->outputs.empty()) return false;
  std::set<NodeId> nodes;
  for (const auto& run : attempt.nodes) {
    if (run.node != node && sessions_.contains(run.node)) nodes.insert(run.node);
  }
  Fetching fetching;
  fetching.main_node = node;
  fetching.message = message;
  const auto add = [&](const NodeId& each) {
    if (!options_.stager->serves(each)) return;
    for (const auto& set : needs->outputs) fetching.next.emplace_back(each, set);
  };
  add(node);
  for (const auto& each : nodes) add(each);
  if (fetching.next.empty()) return false;
  for (const auto& set : needs->outputs) {
    for (const auto& path : set.paths) fetching.found[set.directory + "/" + path] = false;
  }
  staging_.fetches.emplace(part, std::move(fetching));
  fetch_more(part);
  return true;
}

void HeadCore::fetch_more(const wire::PartKey& part) {
  auto& fetching = staging_.fetches.at(part);
  while (!fetching.next.empty() && fetching.runs.size() < kFetchesAtOnce) {
    // The main node's come last, alone.
    if (fetching.next.back().first == fetching.main_node && !fetching.runs.empty()) return;
    const auto [from, what] = std::move(fetching.next.back());
    fetching.next.pop_back();
    const NodeId node = from;
    const StagedSet set = what;
    const int number = ++fetching.count;
    fetching.runs[number] = options_.stager->fetch(
        set, node, guarded([this, part, number, node, set](const Result<StagedBytes>& result) {
          fetched(part, number, node, set, result);
        }));
  }
  if (fetching.runs.empty()) end_fetch(part);
}

void HeadCore::fetched(const wire::PartKey& part, int number, const NodeId& node,
                       const StagedSet& set, const Result<StagedBytes>& result) {
  const auto found = staging_.fetches.find(part);
  if (found == staging_.fetches.end()) return;
  auto& fetching = found->second;
  const auto run = fetching.runs.extract(number);
  if (result) {
    os::log_info("results of {} from {}: {} files, {} bytes", part.job, host_of(node),
                 result->files, result->bytes);
    for (const auto& path : set.paths) {
      const bool missing =
          std::find(result->missing.begin(), result->missing.end(), path) != result->missing.end();
      if (!missing) fetching.found[set.directory + "/" + path] = true;
    }
  } else {
    os::log_warn("results of {} from {}: {}", part.job, host_of(node), result.error().message);
    if (fetching.failure.empty()) {
      fetching.failure = fmt::format("results could not be brought back from {}: {}", host_of(node),
                                     result.error().message);
    }
  }
  fetch_more(part);
}

/// A job that succeeded, but whose results are not here, has not.
void HeadCore::end_fetch(const wire::PartKey& part) {
  auto& fetching = staging_.fetches.at(part);
  fetching.is_over = true;
  auto message = fetching.message;
  const auto node = fetching.main_node;
  auto failure = fetching.failure;
  for (const auto& [path, found] : fetching.found) {
    if (found || !failure.empty() || message.exit_code != 0) continue;
    failure = fmt::format("the job has not made its output {}", path);
  }
  if (!failure.empty()) {
    message.reason = message.reason.empty() ? failure : message.reason + "; " + failure;
    if (message.exit_code == 0) message.exit_code = 1;
  }
  if (part_on(node, part) != nullptr) on(node, message);
  staging_.fetches.erase(part);
}

}  // namespace cox::head
