#include "runtime/store/row_text.hpp"

#include <array>
#include <boost/json.hpp>
#include <string_view>
#include <utility>

#include "runtime/base/kinds.hpp"
#include "runtime/store/members.hpp"
#include "runtime/store/store.hpp"

// Stored texts are JSON objects. Texts, lists and optionals that are empty are left out where empty
// is their default; a member that is not there keeps its default. Members with names that this
// program does not know are passed over. Bytes that are no UTF-8 go through as they are.

namespace cox::store {
namespace {

namespace json = boost::json;

constexpr std::int64_t kTextVersion = 1;

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

template <class T>
inline constexpr bool kIsShared = false;
template <class T>
inline constexpr bool kIsShared<Shared<T>> = true;

using Tags = std::map<std::string, std::string>;

template <class T>
inline constexpr bool kMayBeLeftOut = std::is_same_v<T, std::string> || std::is_same_v<T, Tags> ||
                                      kIsId<T> || kIsVector<T> || kIsOptional<T>;
template <class T>
inline constexpr bool kMayBeLeftOut<Shared<T>> = kMayBeLeftOut<T>;

// Words of enumerations, in their order.
constexpr std::array kDependencyKinds{"whole", "sequential", "n_to_n", "after_any", "after_not_ok"};
constexpr std::array kNodePhases{"preparing", "ready", "running", "exited"};
constexpr std::array kNodeStatuses{"pending", "up", "silent", "terminating", "unfit"};
constexpr std::array kJobStatuses{"SUBMITTED", "PENDING",   "RUNNABLE", "STARTING",
                                  "RUNNING",   "SUCCEEDED", "FAILED"};

constexpr const auto& words(Of<DependencyKind> /*of*/) { return kDependencyKinds; }
constexpr const auto& words(Of<NodePhase> /*of*/) { return kNodePhases; }
constexpr const auto& words(Of<NodeStatus> /*of*/) { return kNodeStatuses; }
constexpr const auto& words(Of<JobStatus> /*of*/) { return kJobStatuses; }

template <class T>
void write(json::value& out, const T& value);

template <class T>
void write_members(json::object& out, const T& value) {
  static const T kDefaults{};
  const auto write_one = [&](const auto& member) {
    const auto& content = value.*member.pointer;
    using Content = std::remove_cvref_t<decltype(content)>;
    if constexpr (kMayBeLeftOut<Content>) {
      if (content == Content{} && kDefaults.*member.pointer == Content{}) return;
    }
    write(out[member.name], content);
  };
  std::apply([&](const auto&... member) { (write_one(member), ...); }, members(Of<T>{}));
}

template <class T>
void write(json::value& out, const T& value) {
  if constexpr (HasMembers<T>) {
    write_members(out.emplace_object(), value);
  } else if constexpr (kIsVector<T>) {
    auto& array = out.emplace_array();
    array.reserve(value.size());
    for (const auto& item : value) write(array.emplace_back(nullptr), item);
  } else if constexpr (kIsShared<T>) {
    write(out, value.get());
  } else if constexpr (kIsOptional<T>) {
    if (value) write(out, *value);
  } else if constexpr (std::is_same_v<T, Tags>) {
    auto& object = out.emplace_object();
    for (const auto& [name, text] : value) object[name] = text;
  } else if constexpr (kIsId<T>) {
    out = value.value;
  } else if constexpr (std::is_same_v<T, Millis> || std::is_same_v<T, MiB>) {
    out = value.value;
  } else if constexpr (std::is_enum_v<T>) {
    out = words(Of<T>{})[static_cast<std::size_t>(value)];
  } else {
    out = value;
  }
}

/// The memory for one event's values, as a rule: there are very many events.
using Room = std::array<unsigned char, 4096>;

/// What is wrong, or nothing.
using Fault = std::optional<Error>;

Fault wrong(std::string_view want) {
  return Error{Errc::invalid_argument, fmt::format("is no {}", want)};
}

template <class T>
[[nodiscard]] Fault read(const json::value& in, T& value);

template <class T>
Fault read_members(const json::value& in, T& value) {
  const auto* object = in.if_object();
  if (object == nullptr) return wrong("object");
  Fault fault;
  const auto take = [&](const auto& member, const json::value& content) {
    fault = read(content, value.*member.pointer);
    if (fault) fault = within(member.name, std::move(*fault));
    return !fault;
  };
  // What this program writes has its members in their order: each is the next one, or is left out.
  const auto* at = object->begin();
  const auto read_next = [&](const auto& member) {
    if (at == object->end() || at->key() != member.name) return true;
    return take(member, (at++)->value());
  };
  std::apply([&](const auto&... member) { (void)(read_next(member) && ...); }, members(Of<T>{}));
  if (fault || at == object->end()) return fault;
  // Others' may have them anywhere.
  const auto read_one = [&](const auto& member) {
    const auto* found = object->if_contains(member.name);
    return found == nullptr || take(member, *found);
  };
  std::apply([&](const auto&... member) { (void)(read_one(member) && ...); }, members(Of<T>{}));
  return fault;
}

template <class T>
Fault read_list(const json::value& in, std::vector<T>& list) {
  const auto* array = in.if_array();
  if (array == nullptr) return wrong("list");
  list.clear();
  list.reserve(array->size());
  for (const auto& item : *array) {
    if (auto fault = read(item, list.emplace_back())) {
      return within(fmt::format("[{}]", list.size() - 1), std::move(*fault));
    }
  }
  return {};
}

Fault read_tags(const json::value& in, Tags& tags) {
  const auto* object = in.if_object();
  if (object == nullptr) return wrong("object");
  for (const auto& [name, content] : *object) {
    if (auto fault = read(content, tags[std::string(name)])) {
      return within(name, std::move(*fault));
    }
  }
  return {};
}

template <class T>
Fault read_word(const json::value& in, T& value) {
  const auto* text = in.if_string();
  const auto& known = words(Of<T>{});
  for (std::size_t i = 0; text != nullptr && i < known.size(); ++i) {
    if (*text == known[i]) {
      value = static_cast<T>(i);
      return {};
    }
  }
  return wrong("word that is known here");
}

template <class T>
Fault read(const json::value& in, T& value) {
  if constexpr (HasMembers<T>) {
    return read_members(in, value);
  } else if constexpr (kIsVector<T>) {
    return read_list(in, value);
  } else if constexpr (kIsShared<T>) {
    return read(in, value.edit());
  } else if constexpr (kIsOptional<T>) {
    return read(in, value.emplace());
  } else if constexpr (std::is_same_v<T, Tags>) {
    return read_tags(in, value);
  } else if constexpr (kIsId<T> || std::is_same_v<T, Millis> || std::is_same_v<T, MiB>) {
    return read(in, value.value);
  } else if constexpr (std::is_enum_v<T>) {
    return read_word(in, value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    const auto* text = in.if_string();
    if (text == nullptr) return wrong("text");
    value.assign(text->data(), text->size());
    return {};
  } else if constexpr (std::is_same_v<T, bool>) {
    const auto* truth = in.if_bool();
    if (truth == nullptr) return wrong("truth value");
    value = *truth;
    return {};
  } else {
    json::error_code error;
    value = in.to_number<T>(error);
    return error ? wrong("whole number that fits") : Fault{};
  }
}

/// The JSON value of a stored text, made in `memory`.
Result<json::value> parse(const std::string& text, json::memory_resource* memory) {
  json::parse_options options;
  options.allow_invalid_utf8 = true;
  json::error_code error;
  auto value = json::parse(text, error, memory, options);
  if (error) return fail(Errc::invalid_argument, "no JSON: {}", error.message());
  if (!value.is_object()) return fail(*wrong("object"));
  return value;
}

template <std::size_t kIndex>
Fault read_event(const json::value& in, core::JobEvent& event) {
  return read(in, event.emplace<kIndex>());
}

template <std::size_t... kIndexes>
constexpr auto event_readers(std::index_sequence<kIndexes...> /*indexes*/) {
  return std::array{&read_event<kIndexes>...};
}

}  // namespace

std::string to_text(const core::JobEvent& event) {
  Room room;
  json::monotonic_resource memory(room.data(), room.size());
  json::object object(&memory);
  object["v"] = kTextVersion;
  object["event"] = kEventNames[event.index()];
  std::visit([&object](const auto& value) { write_members(object, value); }, event);
  return json::serialize(object);
}

Result<core::JobEvent> event_from_text(const std::string& text) {
  Room room;
  json::monotonic_resource memory(room.data(), room.size());
  const auto value = parse(text, &memory);
  if (!value) return fail(within("stored event", value.error()));
  const auto& object = value->get_object();
  std::int64_t version = 0;
  if (const auto* found = object.if_contains("v"); found == nullptr || read(*found, version)) {
    return fail(Errc::invalid_argument, "stored event: has no version");
  }
  if (version > kTextVersion) {
    return fail(Errc::invalid_argument, "stored event: has version {}, newer than {}", version,
                kTextVersion);
  }
  std::string name;
  if (const auto* found = object.if_contains("event"); found == nullptr || read(*found, name)) {
    return fail(Errc::invalid_argument, "stored event: has no name");
  }
  static constexpr auto kReaders =
      event_readers(std::make_index_sequence<std::variant_size_v<core::JobEvent>>{});
  for (std::size_t i = 0; i < kReaders.size(); ++i) {
    if (name != kEventNames[i]) continue;
    core::JobEvent event;
    if (auto fault = kReaders[i](*value, event)) {
      return fail(within(fmt::format("stored event {}", name), std::move(*fault)));
    }
    return event;
  }
  return fail(Errc::invalid_argument, "stored event: '{}' is not known here", name);
}

std::string to_text(const Node& node) {
  json::monotonic_resource memory;
  json::object object(&memory);
  write_members(object, node);
  return json::serialize(object);
}

Result<Node> node_from_text(const std::string& text) {
  json::monotonic_resource memory;
  const auto value = parse(text, &memory);
  if (!value) return fail(within("stored node", value.error()));
  Node node;
  if (auto fault = read(*value, node)) return fail(within("stored node", std::move(*fault)));
  return node;
}

std::string to_text(const CatalogItem& item) {
  json::monotonic_resource memory;
  json::object object(&memory);
  std::visit([&object](const auto& each) { write_members(object, each); }, item);
  return json::serialize(object);
}

Result<CatalogItem> item_from_text(const std::string& kind, const std::string& text) {
  json::monotonic_resource memory;
  const auto value = parse(text, &memory);
  if (!value) return fail(within(fmt::format("stored {}", kind), value.error()));
  CatalogItem item;
  if (kind == kQueueKind) {
    item = JobQueue{};
  } else if (kind == kDefinitionKind) {
    item = JobDefinition{};
  } else if (kind == kPolicyKind) {
    item = SchedulingPolicy{};
  } else if (kind != kEnvironmentKind) {
    return fail(Errc::invalid_argument, "stored items: '{}' is not known here", kind);
  }
  auto fault = std::visit([&value](auto& each) { return read(*value, each); }, item);
  if (fault) return fail(within(fmt::format("stored {}", kind), std::move(*fault)));
  return item;
}

}  // namespace cox::store
