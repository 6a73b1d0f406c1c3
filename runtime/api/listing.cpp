#include <algorithm>
#include <boost/json.hpp>
#include <functional>

#include "runtime/api/shapes.hpp"
#include "runtime/base/text.hpp"

/// ListJobs: by queue, by array or by multi-node job; filters; pages.
namespace cox::api {

namespace json = boost::json;

namespace {

constexpr std::int64_t kPageMax = 100;
constexpr std::int64_t kStatusPageMax = 1000;  // without a filter, since 2023

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

bool passes(const Filter& filter, const Job& job) {
  return std::any_of(filter.values.begin(), filter.values.end(), [&](const std::string& value) {
    if (filter.name == "JOB_NAME") return matches(to_lower(value), to_lower(job.spec.name));
    if (filter.name == "JOB_DEFINITION") {
      const auto wanted = short_name(value, "job-definition");
      const auto plain = job.spec.definition.substr(0, job.spec.definition.find(':'));
      return matches(wanted, job.spec.definition) || matches(wanted, plain);
    }
    if (filter.name == "SHARE_IDENTIFIER") return value == job.spec.share;
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

/// The children of an array or the nodes of a multi-node job; empty when it is neither or unknown.
std::vector<Item> items_below(const View& view, const Request& request, const std::string& id) {
  std::vector<Item> items;
  const auto* parent = view.find(JobId{short_name(id, "job")});
  if (parent == nullptr || !may_see(*parent, request.user)) return items;
  if (parent->is_array_parent()) {
    for (int i = 0; i < *parent->spec.array_size; ++i) {
      if (const auto* child = view.find(child_of(parent->id, i))) items.push_back({child, {}});
    }
  } else if (parent->is_multi_node()) {
    for (int i = 0; i < parent->node_count(); ++i) items.push_back({parent, i});
  }
  return items;
}

std::vector<Item> items_of_queue(const View& view, const Request& request, const QueueName& queue,
                                 std::optional<JobStatus> status) {
  std::vector<Item> items;
  for (int i = 0; i <= static_cast<int>(JobStatus::failed); ++i) {
    const auto each = static_cast<JobStatus>(i);
    if (status && *status != each) continue;
    for (const auto* job : view.jobs(queue, each)) {
      if (may_see(*job, request.user)) items.push_back({job, {}});
    }
  }
  return items;
}

/// A token names the last item that was shown, so that a list that changes between two pages
/// neither repeats nor skips what stays in it.
std::string token_of(const Item& item) {
  return fmt::format(
      "{:x}-{}", item.job->created_at.value,
      item.node_index ? fmt::format("{}#{}", item.job->id, *item.node_index) : item.job->id.value);
}

struct Position {
  std::int64_t created_at = 0;
  std::string id;
};

std::optional<Position> read_token(std::string_view token) {
  const auto dash = token.find('-');
  if (dash == std::string_view::npos || dash == 0 || dash > 15) return std::nullopt;
  std::int64_t created = 0;
  for (const char c : token.substr(0, dash)) {
    const auto digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    created = created * 16 + static_cast<std::int64_t>(digit);
  }
  return Position{created, std::string(token.substr(dash + 1))};
}

int order_number(const Item& item) {
  return item.node_index.value_or(item.job->array_index.value_or(0));
}

bool comes_before(const Item& a, const Item& b) {
  if (a.job->created_at != b.job->created_at) return a.job->created_at < b.job->created_at;
  const auto parent_a = parent_of(a.job->id);
  const auto parent_b = parent_of(b.job->id);
  if (parent_a != parent_b) return parent_a < parent_b;
  return order_number(a) < order_number(b);
}

json::object page(const Arns& arns, std::vector<Item> items, bool newest_first,
                  std::int64_t results, const std::optional<Position>& after) {
  std::sort(items.begin(), items.end(), comes_before);
  if (newest_first) std::reverse(items.begin(), items.end());
  auto begin = items.begin();
  if (after) {
    const auto token = fmt::format("{:x}-{}", after->created_at, after->id);
    const auto last = std::find_if(items.begin(), items.end(),
                                   [&](const Item& item) { return token_of(item) == token; });
    // The item itself may have left the list: then go on behind its place in time.
    begin = last != items.end()
                ? last + 1
                : std::find_if(items.begin(), items.end(), [&](const Item& item) {
                    const auto created = item.job->created_at.value;
                    return newest_first ? created < after->created_at : created > after->created_at;
                  });
  }
  json::array list;
  for (; begin != items.end() && static_cast<std::int64_t>(list.size()) < results; ++begin) {
    list.push_back(job_summary(arns, *begin->job, begin->node_index));
  }
  json::object answer;
  if (begin != items.end() && begin != items.begin()) answer["nextToken"] = token_of(*(begin - 1));
  answer["jobSummaryList"] = std::move(list);
  return answer;
}

}  // namespace

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
  std::optional<Position> after;
  if (const auto token = body.text("nextToken"); token && !token->empty()) {
    after = read_token(*token);
    if (!after) body.complain("nextToken is not valid");
  }
  const QueueName queue_name{short_name(queue, "job-queue")};
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
  auto items = queue.empty() ? items_below(view, request, array.empty() ? multi_node : array)
                             : items_of_queue(view, request, queue_name, status);
  if (queue.empty() && status) {
    std::erase_if(items, [&](const Item& item) { return item.job->status != *status; });
  }
  if (filters) std::erase_if(items, [&](const Item& item) { return !passes(*filter, *item.job); });
  return json_answer(page(arns_for(view, request), std::move(items), filters, results, after));
}

}  // namespace cox::api
