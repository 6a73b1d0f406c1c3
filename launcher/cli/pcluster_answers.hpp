#pragma once

#include <boost/json/fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/pcluster_words.hpp"
#include "launcher/cluster/registry.hpp"

/// What the verbs of version 3 have in common: their options, and how they answer.
namespace cox::cli {

/// Prints the answer; returns `status`.
int say(Streams streams, const boost::json::object& object, int status = kDone);
/// Prints {"message": ...}; returns 1.
int refuse(Streams streams, const std::string& message);
/// The same with "Bad Request: " before it.
int bad_request(Streams streams, const std::string& text);

/// The original's sentence. Pure.
[[nodiscard]] std::string no_such_cluster(const std::string& name);

/// true or false in lower, upper or title case. Pure.
[[nodiscard]] std::optional<bool> boolean(const std::string& word);

/// What is wrong with options that all verbs have; empty: nothing. Pure.
[[nodiscard]] std::string fault_of(const Words& words);

/// The record of --cluster-name, as it is by now.
[[nodiscard]] std::optional<cluster::Record> find_record(const Words& words);

/// describe-cluster's answer, with what the cluster's daemon says where it can be asked.
[[nodiscard]] boost::json::object describe(const cluster::Record& record);

[[nodiscard]] VerbOption name_option();

/// A verb with the options that all have.
[[nodiscard]] Verb make_verb(const char* name, const char* summary, std::vector<VerbOption> options,
                             const char* examples);

}  // namespace cox::cli
