#pragma once

#include <string>

#include "runtime/base/result.hpp"
#include "runtime/model/cluster.hpp"

namespace cox::coxd {

/// ~/.parallelcluster/awsbatch-cli.cfg of the cluster's home: what lets the awsb* commands be typed
/// on its nodes without -c. `head_address` is the head node's. Pure.
[[nodiscard]] std::string render_awsbatch_cli_config(const ClusterSettings& settings,
                                                     const std::string& head_address);

/// The login files of the cluster's home. Pure.
[[nodiscard]] std::string render_bash_profile();
[[nodiscard]] std::string render_bashrc(const std::string& os_user);

/// Puts these files into the home directory, which is made if absent. Files that are there already
/// are the user's and stay.
[[nodiscard]] Result<void> furnish_home(const std::string& home, const ClusterSettings& settings,
                                        const std::string& head_address);

}  // namespace cox::coxd
