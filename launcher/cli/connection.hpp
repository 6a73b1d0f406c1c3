#pragma once

#include <boost/json/fwd.hpp>
#include <boost/json/parse_options.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "runtime/base/result.hpp"
#include "runtime/os/http.hpp"

namespace cox::cli {

/// The API of one cluster. What only reads is asked once more where the connection breaks.
class Connection {
 public:
  /// `name` empty: the configuration file's cluster, or the node's own.
  /// Errors: invalid_argument "cluster parameter is required"; not_found, unavailable.
  [[nodiscard]] static Result<Connection> open(const std::string& name);
  /// The same of a cluster that is made: for jobs. Errors too: conflict, with the state in
  /// parentheses.
  [[nodiscard]] static Result<Connection> open_complete(const std::string& name);

  [[nodiscard]] const std::string& cluster() const { return cluster_; }

  /// An AWS Batch operation by its name in the URI: "describejobs". Errors carry the service's
  /// words.
  [[nodiscard]] Result<boost::json::value> batch(std::string_view operation,
                                                 const boost::json::value& body);
  /// Our own routes: GET /cox/v1/<route>, POST with a body, PUT of bytes.
  [[nodiscard]] Result<boost::json::value> get(const std::string& route);
  [[nodiscard]] Result<boost::json::value> post(const std::string& route,
                                                const boost::json::value& body);
  [[nodiscard]] Result<boost::json::value> put(const std::string& route, std::string bytes);
  /// Calls for each line of a GET that streams; ends early when the handler says false.
  [[nodiscard]] Result<void> lines(const std::string& route,
                                   const std::function<bool(std::string_view)>& line);

 private:
  Connection(std::string cluster, os::HttpClient client)
      : cluster_(std::move(cluster)), client_(std::move(client)) {}
  [[nodiscard]] Result<boost::json::value> call(const os::HttpRequest& request);
  [[nodiscard]] Result<void> open_again(const Error& why);

  std::string cluster_;
  os::HttpClient client_;
};

/// For output of jobs, which is any bytes.
[[nodiscard]] boost::json::parse_options lenient();

/// Percent-encoded for a query. Pure.
[[nodiscard]] std::string encoded(std::string_view text);

// Reading members that may be absent. Pure.
[[nodiscard]] std::string text_of(const boost::json::object& object, std::string_view name);
[[nodiscard]] std::int64_t int_of(const boost::json::object& object, std::string_view name);
[[nodiscard]] const boost::json::object* object_of(const boost::json::object& object,
                                                   std::string_view name);

}  // namespace cox::cli
