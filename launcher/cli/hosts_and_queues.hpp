#pragma once

#include <boost/json/fwd.hpp>
#include <string>

/// Tables and details of awsbhosts and awsbqueues, of what the cluster's API says. Pure.
namespace cox::cli {

[[nodiscard]] std::string render_hosts(const boost::json::array& hosts);
[[nodiscard]] std::string render_host_details(const boost::json::array& hosts, bool colour);

[[nodiscard]] std::string render_queues(const boost::json::array& queues, bool colour);
[[nodiscard]] std::string render_queue_details(const boost::json::array& queues, bool colour);

}  // namespace cox::cli
