#include "runtime/core/swf.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "runtime/base/text.hpp"

namespace cox::core {

namespace {

constexpr std::size_t kFields = 18;
constexpr const char* kBlanks = " \t\r";

// Bounds that keep sums of milliseconds over a whole file within 64 bits.
constexpr std::int64_t kSubmitMax = 10'000'000'000;  ///< seconds; some traces count from 1970
constexpr std::int64_t kRunMax = 100'000'000;        ///< seconds, three years
constexpr std::int64_t kProcessorsMax = 1'000'000'000;
constexpr std::int64_t kUserMax = 1'000'000'000'000;

using Fields = std::array<std::string_view, kFields>;

/// Digits with a sign and a point where they may be: the fields that nobody reads here are
/// averages, too.
bool is_number(std::string_view field) {
  if (field.starts_with('-')) field.remove_prefix(1);
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return std::any_of(field.begin(), field.end(), is_digit) &&
         std::all_of(field.begin(), field.end(), [&](char c) { return is_digit(c) || c == '.'; }) &&
         std::count(field.begin(), field.end(), '.') <= 1;
}

Result<Fields> fields_of(std::string_view line) {
  Fields fields;
  std::size_t count = 0;
  for (auto at = line.find_first_not_of(kBlanks); at != std::string_view::npos;
       at = line.find_first_not_of(kBlanks, at)) {
    const auto end = std::min(line.find_first_of(kBlanks, at), line.size());
    if (count < kFields) fields[count] = line.substr(at, end - at);
    ++count;
    at = end;
  }
  if (count != kFields) {
    return fail(Errc::invalid_argument, "a job has {} fields, and here are {}", kFields, count);
  }
  for (std::size_t i = 0; i < kFields; ++i) {
    if (is_number(fields[i])) continue;
    return fail(Errc::invalid_argument, "field {} is no number: {}", i + 1, fields[i]);
  }
  return fields;
}

/// Field `number` (from 1) as a whole number of at most `max`; nothing where it is -1.
Result<std::optional<std::int64_t>> known(const Fields& fields, std::size_t number,
                                          std::string_view what, std::int64_t max) {
  const auto field = fields[number - 1];
  const auto value = to_int(field);
  if (!value || *value < -1 || *value > max) {
    return fail(Errc::invalid_argument,
                "{} (field {}) is {}, and not a whole number of up to {}, or -1 for unknown", what,
                number, field, max);
  }
  return *value < 0 ? std::nullopt : std::optional(*value);
}

Result<TraceEnd> end_of(std::string_view field) {
  const auto status = to_int(field);
  if (status == 0) return TraceEnd::failed;
  if (status == 1 || status == -1) return TraceEnd::succeeded;
  if (status == 5) return TraceEnd::cancelled;
  if (status == 2 || status == 3 || status == 4) return TraceEnd::part;
  return fail(Errc::invalid_argument, "the status (field 11) is {}, and not one of -1 to 5", field);
}

Result<TraceJob> job_of(const Fields& fields) {
  const auto number = to_int(fields[0]);
  if (!number) {
    return fail(Errc::invalid_argument, "the job's number (field 1) is {}, and not a whole number",
                fields[0]);
  }
  const auto submit = known(fields, 2, "the submit time", kSubmitMax);
  const auto run = known(fields, 4, "the run time", kRunMax);
  const auto given = known(fields, 5, "the number of processors given", kProcessorsMax);
  const auto asked = known(fields, 8, "the number of processors asked for", kProcessorsMax);
  const auto requested = known(fields, 9, "the run time asked for", kSubmitMax);
  const auto user = known(fields, 12, "the user's number", kUserMax);
  const auto end = end_of(fields[10]);
  for (const auto* field : {&submit, &run, &given, &asked, &requested, &user}) {
    if (!*field) return tl::make_unexpected(field->error());
  }
  if (!end) return tl::make_unexpected(end.error());
  if (!*submit) {
    return fail(Errc::invalid_argument, "the submit time (field 2) must be known, and is -1");
  }
  TraceJob job;
  job.number = *number;
  job.submit_s = **submit;
  job.run_s = *run;
  job.processors = asked->value_or(0) > 0 ? *asked : *given;
  if (job.processors == 0) job.processors.reset();  // many traces have 0 for what is not known
  job.requested_s = *requested;
  job.user = *user;
  job.end = *end;
  return job;
}

}  // namespace

Result<std::vector<TraceJob>> read_swf(std::string_view text, std::string_view name) {
  std::vector<TraceJob> jobs;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with(';')) continue;
    auto job = fields_of(line).and_then(job_of);
    if (!job) return tl::make_unexpected(within(fmt::format("{}:{}", name, number), job.error()));
    job->line = number;
    jobs.push_back(*job);
  }
  return jobs;
}

}  // namespace cox::core
