#pragma once

#include <string>

namespace cox::provider {

/// What providers of nodes beyond this machine know of their cluster.
struct RemoteCluster {
  std::string cluster_name;
  std::string cluster_directory;
  std::string bin_directory;  ///< the product's programs
  std::string region;
  std::string os_user;
  int head_port = 0;  ///< of the head's socket for agents, on this machine
};

}  // namespace cox::provider
