#include <algorithm>
#include <boost/json.hpp>
#include <functional>
#include <tuple>

#include "runtime/api/shapes.hpp"
#include "runtime/base/text.hpp"

/// ListJobs: by queue, by array or by multi-node job; filters; pages.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::int64_t kPageMax = 100;
constexpr std::int64_t kStatusPageMax = 1000;  // without a filter, since 2023
// Of a queue for one page: one with fewer jobs than it may have, or none, says where to go on.
constexpr std::size_t kLookedAtMax = 10'000;

/// A job, or a node of one, in a list.
struct Item {
  const Job* job = nullptr;
  std::optional<int> node_index;
};

struct Filter {
  std::string name;
  std::vector<std::string> values;
};

bool matches(std::string_view pattern, std::string_view text) {
  if (!pattern.empty() && pattern.back() == '*') {
    return text.starts_with(pattern.substr(0, pattern.size() - 1));
  }
  return text == pattern;
}

bool passes(const Arns& here, const Filter& filter, const Job& job) {
  return std::any_of(filter.values.begin(), filter.values.end(), [&](const std::string& value) {
    if (filter.name == "JOB_NAME") return matches(to_lower(value), to_lower(job.spec->name));
    if (filter.name == "JOB_DEFINITION") {
      const auto wanted = short_name(here, value, "job-definition");
      const std::string_view whole = job.spec->definition.get();
      return matches(wanted, whole) || matches(wanted, whole.substr(0, whole.find(':')));
    }
    if (filter.name == "SHARE_IDENTIFIER") return value == job.spec->share;
    const auto when = to_int(value).value_or(0);
    return filter.name == "BEFORE_CREATED_AT" ? job.created_at.value < when
                                              : job.created_at.value > when;
  });
}

std::optional<Filter> read_filter(const Members& body, std::optional<Error>& complaint) {
  const auto entries = body.objects("filters");
  if (entries.empty()) return std::nullopt;
  if (entries.size() > 1) body.complain("Only one filter can be given");
  const Members member(*entries.front(), "filters.", complaint);
  Filter filter{member.required_text("name"), member.texts("values")};
  constexpr std::string_view kKnown[] = {"JOB_NAME", "JOB_DEFINITION", "BEFORE_CREATED_AT",
                                         "AFTER_CREATED_AT", "SHARE_IDENTIFIER"};
  if (std::find(std::begin(kKnown), std::end(kKnown), filter.name) == std::end(kKnown)) {
    body.complain(fmt::format("Filter name {} is not valid", filter.name));
  }
  if (filter.name.ends_with("CREATED_AT") &&
      (filter.values.size() != 1 || !to_int(filter.values[0]))) {
    body.complain(fmt::format("Filter {} takes one time in milliseconds", filter.name));
  }
  return filter;
}

/// A token names the last item that was shown, so that a list that changes between two pages
/// neither repeats nor skips what stays in it.
std::string token_of(const Item& item) {
  return fmt::format(
      "{:x}-{}", item.job->created_at.value,
      item.node_index ? fmt::format("{}#{}", item.job->id, *item.node_index) : item.job->id.value);
}

std::optional<ListPlace> read_token(std::string_view token) {
  const auto dash = token.find('-');
  if (dash == std::string_view::npos || dash == 0 || dash > 15) return std::nullopt;
  std::int64_t created = 0;
  for (const char c : token.substr(0, dash)) {
    const auto digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    created = created * 16 + static_cast<std::int64_t>(digit);
  }
  return ListPlace{Millis{created}, JobId{std::string(token.substr(dash + 1))}};
}

/// A page, and where the next one begins; empty: there is none.
struct Listed {
  json::array jobs;
  std::string next;
};

Listed jobs_of_queue(const View& view, const Request& request, const QueueName& queue,
                     const std::vector<JobStatus>& states, const std::optional<Filter>& filter,
                     std::size_t results, const std::optional<ListPlace>& after) {
  Listed page;
  const auto arns = arns_for(view, request);
  std::size_t looked_at = 0;
  bool has_more = false;
  std::string last;
  view.each_job(queue, states, after, filter.has_value(), [&](const Job& job) {
    const bool shows = may_see(job, request.user) && (!filter || passes(arns, *filter, job));
    has_more = looked_at == kLookedAtMax || (shows && page.jobs.size() == results);
    if (has_more) return false;
    ++looked_at;
    if (page.jobs.size() < results) last = token_of({&job, {}});
    if (shows) page.jobs.push_back(job_summary(arns, job, {}));
    return true;
  });
  if (has_more) page.next = last;
  return page;
}

/// The index behind '#' or ':' of a child or a node.
int index_in(const JobId& id) {
  const auto mark = id.value.find_last_of("#:");
  if (mark == std::string::npos) return -1;
  return static_cast<int>(to_int(std::string_view(id.value).substr(mark + 1)).value_or(-1));
}

/// The children of an array or the nodes of a multi-node job; none when it is neither or unknown.
Listed parts_of(const View& view, const Request& request, const std::string& id,
                std::optional<JobStatus> status, std::size_t results,
                const std::optional<ListPlace>& after) {
  Listed page;
  const auto arns = arns_for(view, request);
  const auto* parent = view.find(JobId{short_name(arns, id, "job")});
  if (parent == nullptr || !may_see(*parent, request.user)) return page;
  const bool has_nodes = parent->is_multi_node();
  const int count = has_nodes                   ? parent->node_count()
                    : parent->is_array_parent() ? *parent->spec->array_size
                                                : 0;
  std::string last;
  for (int i = after ? index_in(after->id) + 1 : 0; i < count; ++i) {
    const Item item = has_nodes ? Item{parent, i} : Item{view.find(child_of(parent->id, i)), {}};
    if (item.job == nullptr || (status && item.job->status != *status)) continue;
    if (page.jobs.size() == results) {
      page.next = last;
      break;
    }
    page.jobs.push_back(job_summary(arns, *item.job, item.node_index));
    last = token_of(item);
  }
  return page;
}

bool comes_before(const Job* a, const Job* b) {
  return std::tie(a->created_at, a->id) < std::tie(b->created_at, b->id);
}

}  // namespace

void View::each_job(const QueueName& queue, const std::vector<JobStatus>& states,
                    const std::optional<ListPlace>& after, bool newest_first,
                    const std::function<bool(const Job&)>& take) const {
  std::vector<const Job*> list;
  for (const auto status : states) {
    for (const auto* job : jobs(queue, status)) list.push_back(job);
  }
  std::sort(list.begin(), list.end(), comes_before);
  if (newest_first) std::reverse(list.begin(), list.end());
  for (const auto* job : list) {
    if (after) {
      const auto place = std::tie(job->created_at, job->id);
      const auto last = std::tie(after->created_at, after->id);
      if (newest_first ? place >= last : place <= last) continue;
    }
    if (!take(*job)) return;
  }
}

Answer list_jobs(const View& view, const Request& request, const json::object& object) {
  std::optional<Error> complaint;
  const Members body(object, "", complaint);
  const auto queue = body.text("jobQueue").value_or("");
  const auto array = body.text("arrayJobId").value_or("");
  const auto multi_node = body.text("multiNodeJobId").value_or("");
  if (!queue.empty() + !array.empty() + !multi_node.empty() != 1) {
    body.complain("Exactly one of jobQueue, arrayJobId and multiNodeJobId must be given");
  }

  std::optional<JobStatus> status;
  if (const auto given = body.text("jobStatus"); given && !given->empty()) {
    status = job_status_from(*given);
    if (!status) body.complain(fmt::format("Job status {} is not valid", *given));
  }
  const auto filter = read_filter(body, complaint);
  const auto results = body.integer("maxResults").value_or(kPageMax);
  const std::int64_t most = filter ? kPageMax : kStatusPageMax;
  if (results < 1 || results > most) {
    body.complain(fmt::format("maxResults must be from 1 to {}", most));
  }
  std::optional<ListPlace> after;
  if (const auto token = body.text("nextToken"); token && !token->empty()) {
    after = read_token(*token);
    if (!after) body.complain("nextToken is not valid");
  }
  const QueueName queue_name{short_name(arns_for(view, request), queue, "job-queue")};
  const auto& queues = view.cluster().queues;
  if (!queue.empty() && std::none_of(queues.begin(), queues.end(), [&](const JobQueue& known) {
        return known.name == queue_name;
      })) {
    body.complain(fmt::format("JobQueue {} not found.", queue_name));
  }
  if (complaint) return render_error(*complaint);

  // AWS: a filter is not for children and nodes; with one the status is ignored, but for this one.
  const bool filters = filter && !queue.empty();
  if (filters && filter->name != "SHARE_IDENTIFIER") status.reset();
  if (!queue.empty() && !filter && !status) status = JobStatus::running;
  std::vector<JobStatus> states;
  for (int i = 0; i <= static_cast<int>(JobStatus::failed); ++i) {
    const auto each = static_cast<JobStatus>(i);
    if (!status || *status == each) states.push_back(each);
  }
  const auto most_shown = static_cast<std::size_t>(results);
  auto page =
      queue.empty()
          ? parts_of(view, request, array.empty() ? multi_node : array, status, most_shown, after)
          : jobs_of_queue(view, request, queue_name, states, filter, most_shown, after);
  json::object answer;
  if (!page.next.empty()) answer["nextToken"] = page.next;
  answer["jobSummaryList"] = std::move(page.jobs);
  return json_answer(answer);
}

}  // namespace cox::api
