#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"

/// A file of version 2 as one of version 3.
namespace cox::config {

struct ConvertOptions {
  std::string cluster_template{};    ///< -t; empty: [global] cluster_template, else "default"
  bool force = false;                ///< takes over what goes below DevSettings
  std::string environment_region{};  ///< for ARNs, where the file names no region
};

struct Conversion {
  std::string yaml;                  ///< the file: remarks as comments, then the configuration
  std::vector<std::string> remarks;  ///< "Note: …", "Warning: …", in the order they are said
};

/// Converts by the rules of the original's pcluster3-config-converter (3.12), but for two keys that
/// it misspells (Throughput of RAID, LambdaFunctionsRole) and for a whole SpotBidPercentage, so
/// that the result is a file of version 3. Keys of the file are taken as they are: load_ini() says
/// what is wrong with them.
/// Errors: invalid_argument, with the line where there is one. Pure.
[[nodiscard]] Result<Conversion> convert_ini(std::string_view text, const ConvertOptions& options);

}  // namespace cox::config
