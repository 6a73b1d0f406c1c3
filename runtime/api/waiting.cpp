#include <algorithm>
#include <boost/json.hpp>

#include "runtime/api/shape_rules.hpp"
#include "runtime/api/shapes.hpp"
#include "runtime/base/text.hpp"

/// Why a job waits: every reason as data, with a sentence, and what would let it start now.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::size_t kIdsShown = 100;  ///< of jobs that hold something, as data
constexpr std::size_t kIdsSaid = 3;     ///< and in a sentence

const char* type_of(const Job& job, const JobId& other) {
  for (const auto& dependency : job.spec->depends_on) {
    if (dependency.job != other) continue;
    if (dependency.kind == DependencyKind::after_any) return "AFTER_ANY";
    if (dependency.kind == DependencyKind::after_not_ok) return "AFTER_NOT_OK";
  }
  return "";
}

json::array dependencies(const View& view, const Job& job) {
  json::array list;
  for (const auto& other : job.waits_for) {
    const auto* known = view.find(other);
    const std::string status = known == nullptr ? "not known" : to_string(known->status);
    const std::string type = type_of(job, other);
    const char* what = type == "AFTER_ANY"      ? "it waits for the end of"
                       : type == "AFTER_NOT_OK" ? "it waits for the failure of"
                                                : "it depends on";
    json::object reason{{"kind", "dependency"},
                        {"text", fmt::format("{} job {}, which is {}", what, other, status)},
                        {"jobId", other.value},
                        {"status", status}};
    if (!type.empty()) reason["type"] = type;
    list.push_back(std::move(reason));
  }
  return list;
}

/// "held by jobs a, b and 4 more, and by 2 jobs of other users".
std::string holders_sentence(const std::vector<std::string>& own, std::size_t others) {
  std::string text;
  if (!own.empty()) {
    const auto said = std::min(own.size(), kIdsSaid);
    text = fmt::format("held by {} {}", own.size() == 1 ? "job" : "jobs",
                       join({own.begin(), own.begin() + static_cast<std::ptrdiff_t>(said)}, ", "));
    if (own.size() > said) text += fmt::format(" and {} more", own.size() - said);
  }
  if (others > 0) {
    text += fmt::format("{} {} {} of other users", text.empty() ? "held by" : " and by", others,
                        others == 1 ? "job" : "jobs");
  }
  return text;
}

/// Who has what the block speaks of. Other users' jobs are counted only.
void add_holders(json::object& reason, const View& view, const Job& job,
                 const std::vector<JobId>& holders) {
  std::vector<std::string> own;
  std::size_t others = 0;
  for (const auto& id : holders) {
    const auto* holder = view.find(id);
    if (holder != nullptr && may_see(*holder, job.spec->user)) {
      own.push_back(id.value);
    } else {
      ++others;
    }
  }
  const auto sentence = holders_sentence(own, others);
  if (sentence.empty()) return;
  reason["text"] = fmt::format("{}, {}", text_in(reason, "text"), sentence);
  reason["holders"] = own.size() + others;
  own.resize(std::min(own.size(), kIdsShown));
  json::array ids;
  for (auto& id : own) ids.emplace_back(std::move(id));
  reason["heldBy"] = std::move(ids);
}

json::object block_object(const View& view, const Job& job, const core::Block& block,
                          const Waiting& waiting) {
  json::object shown{{"kind", core::to_string(block.kind)},
                     {"text", core::to_sentence(block)},
                     {"computeEnvironment", block.environment.value},
                     {"wanted", block.wanted},
                     {"have", block.have}};
  if (block.environment.empty()) shown.erase("computeEnvironment");
  if (!block.queue.empty()) shown["jobQueue"] = block.queue.value;
  if (!block.by.empty()) shown["jobId"] = block.by.value;
  if (!block.note.empty()) shown["note"] = block.note;
  const auto holders = waiting.holders.find(block.environment);
  if (holders != waiting.holders.end()) add_holders(shown, view, job, holders->second);
  return shown;
}

json::array scheduler_reasons(const View& view, const Job& job, const Waiting& waiting) {
  json::array list;
  for (const auto& block : waiting.blocks) {
    list.push_back(block_object(view, job, block, waiting));
  }
  if (waiting.ahead > 0) {
    const auto text = fmt::format("{}{} {} of job queue {} {} served before it",
                                  waiting.ahead_is_least ? "at least " : "", waiting.ahead,
                                  waiting.ahead == 1 ? "job" : "jobs", job.spec->queue,
                                  waiting.ahead == 1 ? "is" : "are");
    list.push_back(json::object{{"kind", "queue_order"},
                                {"text", text},
                                {"jobQueue", job.spec->queue.value},
                                {"ahead", waiting.ahead}});
  }
  return list;
}

json::array changes_array(const std::vector<core::Changes>& all) {
  json::array list;
  for (const auto& changes : all) {
    json::array parts;
    for (const auto& change : changes) {
      json::object part{{"kind", core::to_string(change.kind)}};
      if (change.kind == core::ChangeKind::queue) {
        part["to"] = change.queue.value;
      } else {
        part["to"] = change.to;
        if (change.from != 0) part["from"] = change.from;
      }
      parts.push_back(std::move(part));
    }
    list.push_back(
        json::object{{"text", core::to_sentence(changes)}, {"changes", std::move(parts)}});
  }
  return list;
}

/// A child that waits, for all of an array's: the last that does, as those before it go first.
const Job* waiting_child(const View& view, const Job& parent) {
  for (int i = *parent.spec->array_size - 1; i >= 0; --i) {
    const auto* child = view.find(child_of(parent.id, i));
    if (child != nullptr && child->status < JobStatus::starting) return child;
  }
  return nullptr;
}

/// What its child waits for, said of the child.
json::object of_child(const View& view, const Job& child, std::size_t work) {
  auto waiting = waiting_object(view, child, work);
  for (const char* name : {"reasons", "changes"}) {
    for (auto& each : waiting.at(name).as_array()) {
      auto& object = each.as_object();
      object["text"] = fmt::format("child {}: {}", child.id, text_in(object, "text"));
      object["childId"] = child.id.value;
    }
  }
  return waiting;
}

}  // namespace

json::object waiting_object(const View& view, const Job& job, std::size_t work) {
  if (job.is_array_parent() && job.status == JobStatus::pending) {
    if (const auto* child = waiting_child(view, job)) return of_child(view, *child, work);
  }
  json::array reasons;
  json::array changes;
  if (job.status == JobStatus::pending) reasons = dependencies(view, job);
  if (job.status == JobStatus::runnable) {
    const auto waiting = view.waiting(job.id, work);
    reasons = scheduler_reasons(view, job, waiting);
    changes = changes_array(waiting.changes);
  }
  return {{"reasons", std::move(reasons)}, {"changes", std::move(changes)}};
}

std::string waiting_sentence(const json::object& waiting) {
  std::vector<std::string> sentences;
  for (const char* list : {"reasons", "changes"}) {
    for (const auto& value : waiting.at(list).as_array()) {
      sentences.push_back(text_in(value.as_object(), "text"));
    }
  }
  return join(sentences, "; ");
}

std::string render_waiting(const View& view, const Job& job) {
  constexpr std::size_t kWork = 20'000;
  return json::serialize(waiting_object(view, job, kWork));
}

}  // namespace cox::api
