#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "launcher/cli/log_stream.hpp"
#include "launcher/cli/pcluster_words.hpp"
#include "launcher/cluster/registry.hpp"
#include "runtime/base/result.hpp"

namespace cox::cli {

/// A log file of a cluster.
struct LogStream {
  std::string name;  ///< "coxd"; "<host name>.<instance id>.agent", or with an action's name
  std::string path;
  std::string node_type;     ///< "HeadNode" or "ComputeNode"
  std::string host;          ///< of the node; empty for the daemon's
  std::int64_t from_ms = 0;  ///< what is older has expired

  friend bool operator==(const LogStream&, const LogStream&) = default;
};

/// --filters: each list empty where all are meant.
struct LogFilter {
  std::vector<std::string> hosts;
  std::vector<std::string> node_types;

  [[nodiscard]] bool lets(const LogStream& stream) const;
};

/// "Name=node-type,Values=HeadNode Name=private-dns-name,Values=a,b", in one word or several.
/// Errors: invalid_argument with the form. Pure.
[[nodiscard]] Result<LogFilter> parse_log_filter(const std::vector<std::string>& words);

/// The logs of the cluster's daemon, of the nodes that are there, and of what nodes ran when they
/// came up, in this order.
[[nodiscard]] std::vector<LogStream> log_streams_of(const cluster::Record& record);

/// All lines of it. Errors: as os::read_file().
[[nodiscard]] Result<std::vector<LogEntry>> read_log(const LogStream& stream);

/// --start-time and --end-time, empty where not given, into the query.
/// Errors: invalid_argument in the original's words. Pure.
[[nodiscard]] Result<void> set_times(LogQuery& query, const std::string& start,
                                     const std::string& end);

/// GetClusterLogEventsResponseContent. Pure.
[[nodiscard]] boost::json::object log_events_answer(const std::vector<LogEntry>& entries,
                                                    const LogPage& page);

// Options of the verbs that show logs.
[[nodiscard]] VerbOption log_filters_option();
[[nodiscard]] VerbOption start_time_option();
[[nodiscard]] VerbOption end_time_option();

}  // namespace cox::cli
