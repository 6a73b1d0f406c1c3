#pragma once

#include <map>
#include <optional>
#include <string>

#include "runtime/base/result.hpp"

/// ~/.parallelcluster/awsbatch-cli.cfg, which names the cluster that is meant without -c.
namespace cox::cli {

/// An INI file as Python's configparser reads it: names of options in lower case.
struct CliConfig {
  std::string path;
  std::map<std::string, std::map<std::string, std::string>> sections;

  /// Nothing where the section or the option is missing.
  [[nodiscard]] std::optional<std::string> find(const std::string& section,
                                                const std::string& option) const;
  /// Of the cluster's own section: queue and definitions that are not the cluster's first.
  [[nodiscard]] std::string of_cluster(const std::string& cluster, const std::string& option) const;
};

/// `path` is for messages. Errors: invalid_argument for a line that is neither a section nor an
/// option, with its number. Pure.
[[nodiscard]] Result<CliConfig> parse_cli_config(const std::string& path, const std::string& text);

/// Errors: not_found when there is no such file.
[[nodiscard]] Result<CliConfig> load_cli_config();

/// [main] cluster_name. Errors: invalid_argument naming section, option and file. Pure.
[[nodiscard]] Result<std::string> default_cluster(const CliConfig& config);

}  // namespace cox::cli
