#include "launcher/cli/connection.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdlib>

#include "launcher/cli/cli_config.hpp"
#include "launcher/cli/client_log.hpp"
#include "launcher/cluster/lifecycle.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

// On a node of a cluster its own API is here.
constexpr const char* kNodeDirectory = "/run/coxswain/cluster";

std::string node_cluster() {
  const auto name = os::read_file(std::string(kNodeDirectory) + "/name", 4096);
  return name ? std::string(trim(*name)) : std::string();
}

/// May be asked twice with one effect: it reads, or says what is to be. Pure.
bool may_be_repeated(const os::HttpRequest& request) {
  constexpr std::array kTargets{"/v1/describe", "/v1/list", "/v1/terminatejob", "/v1/canceljob",
                                "/cox/v1/fleet"};
  return request.method == "GET" ||
         std::any_of(kTargets.begin(), kTargets.end(),
                     [&](const char* each) { return request.target.starts_with(each); });
}

}  // namespace

json::parse_options lenient() {
  json::parse_options options;
  options.allow_invalid_utf8 = true;
  return options;
}

Result<Connection> Connection::open(const std::string& given) {
  auto name = given;
  if (name.empty()) {
    const auto config = load_cli_config();
    if (config) {
      const auto named = default_cluster(*config);
      if (!named) return fail(named.error());
      name = *named;
    } else if (config.error().code != Errc::not_found) {
      return fail(config.error());
    }
  }
  const auto here = node_cluster();
  if (name.empty()) name = here;
  if (name.empty()) return fail(Errc::invalid_argument, "cluster parameter is required");
  auto socket = name == here ? os::connect_unix(std::string(kNodeDirectory) + "/api.sock")
                             : cluster::connect(name);
  if (!socket && name == here) socket = cluster::connect(name);
  if (!socket) return fail(socket.error());
  return Connection(name, os::HttpClient(std::move(*socket)));
}

Result<Connection> Connection::open_complete(const std::string& name) {
  auto connection = open(name);
  // Inside a node there is no record to look at, and no need: the cluster has made the node.
  const auto record = cluster::current_record(connection ? connection->cluster() : name);
  if (record && !cluster::is_made(record->status)) {
    return fail(Errc::conflict, "cluster {} is in an invalid state ({})", record->name,
                record->status);
  }
  return connection;
}

Result<void> Connection::open_again(const Error& why) {
  // The head ended in between: connecting waits for it to come back, or starts it.
  client_log(LogLevel::warning, "connection:open_again", why.message);
  auto again = open(cluster_);
  if (!again) return fail(again.error());
  client_ = std::move(again->client_);
  return {};
}

Result<json::value> Connection::call(const os::HttpRequest& request) {
  auto response = client_.call(request);
  if (!response && may_be_repeated(request)) {
    if (auto opened = open_again(response.error()); !opened) return fail(opened.error());
    response = client_.call(request);
  }
  client_log(LogLevel::debug, "connection:call",
             fmt::format("{} {}: {}", request.method, request.target,
                         response ? std::to_string(response->status) : response.error().message));
  if (!response) return fail(response.error());
  boost::system::error_code error;
  auto parsed = json::parse(response->body.empty() ? "{}" : response->body, error, {}, lenient());
  if (error)
    return fail(Errc::internal, "the cluster's answer cannot be read: {}", error.message());
  if (response->status == 200) return parsed;
  const auto code = response->status == 404   ? Errc::not_found
                    : response->status >= 500 ? Errc::unavailable
                                              : Errc::invalid_argument;
  const auto* object = parsed.if_object();
  const auto text = object != nullptr ? text_of(*object, "message") : "";
  return fail(code, "{}", text.empty() ? fmt::format("HTTP status {}", response->status) : text);
}

Result<json::value> Connection::batch(std::string_view operation, const json::value& body) {
  os::HttpRequest request;
  request.method = "POST";
  request.target = fmt::format("/v1/{}", operation);
  request.headers["content-type"] = "application/json";
  request.body = json::serialize(body);
  return call(request);
}

Result<json::value> Connection::get(const std::string& route) {
  os::HttpRequest request;
  request.method = "GET";
  request.target = "/cox/v1/" + route;
  return call(request);
}

Result<json::value> Connection::post(const std::string& route, const json::value& body) {
  os::HttpRequest request;
  request.method = "POST";
  request.target = "/cox/v1/" + route;
  request.headers["content-type"] = "application/json";
  request.body = json::serialize(body);
  return call(request);
}

Result<json::value> Connection::put(const std::string& route, std::string bytes) {
  os::HttpRequest request;
  request.method = "PUT";
  request.target = "/cox/v1/" + route;
  request.body = std::move(bytes);
  return call(request);
}

Result<void> Connection::lines(const std::string& route,
                               const std::function<bool(std::string_view)>& line) {
  os::HttpRequest request;
  request.method = "GET";
  request.target = "/cox/v1/" + route;
  std::string rest;
  bool begun = false;
  bool more = true;
  const auto take = [&](std::string_view bytes) {
    begun = true;
    rest += bytes;
    std::size_t begin = 0;
    for (auto end = rest.find('\n'); more && end != std::string::npos;
         end = rest.find('\n', begin)) {
      more = line(std::string_view(rest).substr(begin, end - begin));
      begin = end + 1;
    }
    rest.erase(0, begin);
    return more;
  };
  auto response = client_.stream(request, take);
  if (!response && !begun) {
    if (auto opened = open_again(response.error()); !opened) return opened;
    response = client_.stream(request, take);
  }
  if (!response) return fail(response.error());
  if (response->status == 200) return {};
  boost::system::error_code error;
  const auto parsed = json::parse(response->body, error);
  const auto* object = error ? nullptr : parsed.if_object();
  return fail(response->status == 404 ? Errc::not_found : Errc::invalid_argument, "{}",
              object != nullptr ? text_of(*object, "message") : response->body);
}

std::string encoded(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    safe += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return safe;
}

std::string text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::int64_t int_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  boost::system::error_code error;
  const auto number = value != nullptr ? value->to_number<std::int64_t>(error) : 0;
  return error ? 0 : number;
}

const json::object* object_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value != nullptr ? value->if_object() : nullptr;
}

}  // namespace cox::cli
