#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "launcher/config/config.hpp"
#include "runtime/base/result.hpp"

/// `pcluster configure`: asks for what a cluster's file must say, and writes it.
namespace cox::cli {

/// What the file is made of, as words: whether they are any good is the loader's to say.
struct ConfigureAnswers {
  std::string region = "us-east-1";
  std::string head_type = "t3.micro";
  std::string os = "alinux2";
  std::string queue = "queue1";
  std::vector<std::string> types{"optimal"};
  std::string max_vcpus = "10";
  std::string shared = "/shared";  ///< "none": no shared directory but the home
  bool version2 = false;           ///< what the file is of; INI has no name of a queue

  friend bool operator==(const ConfigureAnswers&, const ConfigureAnswers&) = default;
};

/// The file, in the original's order of keys. Pure.
[[nodiscard]] std::string render_cluster_file(const ConfigureAnswers& answers);

/// What stands in the way of a cluster of these answers, a sentence each, with the nearest known
/// word where there is one; empty: nothing. Pure.
[[nodiscard]] std::vector<std::string> faults_of(const ConfigureAnswers& answers);

/// The answers that would give the file again, as far as they go. Pure.
[[nodiscard]] ConfigureAnswers answers_of(const config::ClusterConfig& config);

/// Asks each question until its answer is good; an empty line is the default, a number one of the
/// choices shown. Leaves out the region where `region` has it.
/// Errors: unavailable when the input ends before the last answer.
[[nodiscard]] Result<ConfigureAnswers> ask_all(std::istream& in, std::ostream& out,
                                               ConfigureAnswers defaults,
                                               const std::string& region);

/// Which version's file is to be written: version 3 asks for a file's name (-c), version 2 has a
/// usual place. A name that is given means version 2 when the file is INI already, or is named as
/// those are: "config", or with .config, .cfg or .ini at the end. Pure.
[[nodiscard]] bool is_version2_file(const std::string& path, const std::string& text);

/// The whole verb. Returns the exit status; writes nothing unless all was answered.
int configure_file(const std::string& path, const std::string& region, std::istream& in,
                   std::ostream& out, std::ostream& err, bool version2 = false);

}  // namespace cox::cli
