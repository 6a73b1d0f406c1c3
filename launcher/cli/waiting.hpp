#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <vector>

#include "launcher/cli/connection.hpp"
#include "launcher/cli/program.hpp"

/// `awsbstat --why`: what a job waits for.
namespace cox::cli {

/// The jobs, or children, that this one waits for, of those it depends on. `others`: what is known
/// of them, by id. Each is {"kind":"dependency","text":…,"jobId":…,"status":…}. Pure.
[[nodiscard]] boost::json::array dependency_reasons(const boost::json::object& job,
                                                    const std::vector<boost::json::object>& others);

/// The ids that dependency_reasons() wants to know about. Pure.
[[nodiscard]] std::vector<std::string> ids_depended_on(const boost::json::object& job);

/// Prints each job's reasons, a line each, or as JSON. Returns the exit status.
int tell_why(const std::vector<std::string>& ids, bool as_json, Connection& connection,
             Streams streams);

}  // namespace cox::cli
