#include <fcntl.h>

#include <boost/json.hpp>

#include "runtime/base/text.hpp"
#include "runtime/head/head_core.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

/// The cluster's own story: what was made, changed and ended. It outlives the head as a file of
/// lines, which pcluster reads also when no head runs.
namespace cox::head {

namespace json = boost::json;

namespace {

constexpr std::size_t kEventsKept = 1000;
constexpr std::size_t kStoryBytesMax = 16u << 20;

std::string text_of(const json::object& object, const char* name) {
  const auto* member = object.if_contains(name);
  return member != nullptr && member->is_string() ? std::string(member->get_string())
                                                  : std::string();
}

}  // namespace

/// Takes up what heads before have told. A last line that a crash has cut is left out.
void HeadCore::read_story() {
  const auto path = options_.directory + "/events";
  const auto text = os::read_file(path, kStoryBytesMax);
  for (const auto& line : split(text ? *text : "", '\n')) {
    boost::system::error_code error;
    const auto parsed = json::parse(line, error);
    const auto* object = error ? nullptr : parsed.if_object();
    const auto* at = object != nullptr ? object->if_contains("at") : nullptr;
    if (at == nullptr || !at->is_int64()) continue;
    events_.push_back({Millis{at->get_int64()}, text_of(*object, "resource"),
                       text_of(*object, "state"), text_of(*object, "reason")});
    if (events_.size() > kEventsKept) events_.pop_front();
  }
  std::string kept;
  for (const auto& event : events_) kept += event_json(event);
  if (const auto saved = os::write_file_atomic(path, kept); !saved) {
    os::log_warn("the cluster's events: {}", saved.error().message);
  }
  story_.reset(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
}

void HeadCore::tell(std::string resource, std::string state, std::string reason) {
  os::log_info("{} {} {}", resource, state, reason);
  events_.push_back({clock_.now(), std::move(resource), std::move(state), std::move(reason)});
  if (events_.size() > kEventsKept) events_.pop_front();
  const auto line = event_json(events_.back());
  if (const auto kept = os::write_all(story_.get(), line); !kept) {
    os::log_warn("the cluster's events: {}", kept.error().message);
  }
  for (const auto& [id, follower] : event_followers_) {
    if (const auto reply = follower.lock()) reply->write(line);
  }
}

}  // namespace cox::head
