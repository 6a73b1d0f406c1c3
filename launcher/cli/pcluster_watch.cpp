#include "launcher/cli/pcluster_watch.hpp"

#include <poll.h>

#include <boost/json.hpp>

#include "launcher/cluster/lifecycle.hpp"

namespace cox::cli {

namespace json = boost::json;

Result<ResourceEvent> parse_event(std::string_view line) {
  boost::system::error_code error;
  const auto parsed = json::parse(line, error);
  const auto* object = error ? nullptr : parsed.if_object();
  if (object == nullptr) return fail(Errc::internal, "this is no event: {}", line);
  return ResourceEvent{text_of(*object, "resource"), text_of(*object, "state"),
                       text_of(*object, "reason"), int_of(*object, "at")};
}

namespace {

/// What the record says when nobody can be asked.
Result<Creation> from_record(const std::string& name, Creation so_far, const Error& error) {
  const auto record = cluster::load_record(cluster::directory_of(name));
  if (record && record->status == "CREATE_COMPLETE") {
    so_far.complete = true;
    return so_far;
  }
  if (record && record->status == "CREATE_FAILED") {
    if (so_far.failures.empty() || so_far.failures.back().resource != name) {
      so_far.failures.push_back({name, record->status, record->status_reason});
    }
    return so_far;
  }
  return fail(error);
}

/// The daemon tells of the end before it writes it down: who reads the record next finds it there.
void await_record(const std::string& name) {
  constexpr int kTries = 500;
  constexpr int kPauseMs = 10;
  for (int i = 0; i < kTries; ++i) {
    const auto record = cluster::load_record(cluster::directory_of(name));
    if (!record || record->status != "CREATE_IN_PROGRESS") return;
    ::poll(nullptr, 0, kPauseMs);
  }
}

}  // namespace

Result<Creation> follow_creation(const std::string& name,
                                 const std::function<void(const ResourceEvent&)>& seen) {
  Creation creation;
  auto connection = Connection::open(name);
  if (!connection) return from_record(name, std::move(creation), connection.error());
  bool ended = false;
  const auto followed = connection->lines("events?follow=1", [&](std::string_view line) {
    const auto event = parse_event(line);
    if (!event) return true;
    seen(*event);
    if (event->state.ends_with("_FAILED")) creation.failures.push_back(*event);
    if (event->resource != name) return true;
    creation.complete = event->state == "CREATE_COMPLETE";
    ended = creation.complete || event->state == "CREATE_FAILED";
    return !ended;
  });
  if (ended) {
    await_record(name);
    return creation;
  }
  const Error gone{Errc::unavailable, "the cluster's daemon went away while the cluster was made"};
  return from_record(name, std::move(creation), followed ? gone : followed.error());
}

}  // namespace cox::cli
