#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "launcher/cli/pcluster_file.hpp"
#include "launcher/cli/pcluster_words.hpp"

/// The file of create-cluster and update-cluster: its options and checks.
namespace cox::cli {

/// A file that passed, with what is to be said about it.
struct Checked {
  ClusterFile file;
  boost::json::array messages;
};

/// Errors of the options that have a form of their own; empty: none. Pure.
[[nodiscard]] std::string fault_of_suppression(const std::vector<std::string>& suppressed);

/// Reads and checks the file. Nothing when it did not pass: that is said already.
[[nodiscard]] std::optional<Checked> check_file(const Words& words, const std::string& verb,
                                                Streams streams);

/// --cluster-name, --cluster-configuration, --suppress-validators, --validation-failure-level.
[[nodiscard]] std::vector<VerbOption> checked_file_options();

}  // namespace cox::cli
