#pragma once

#include <string>

/// Where a host is in the network.
namespace cox::agent {

struct HostPlace {
  std::string address;  ///< IPv4 of the interface
  std::string network;  ///< "10.0.0.0/24"; empty where the interface is not known
};

/// The interface by which the way leads there; no packet is sent. An empty address when no way
/// does.
[[nodiscard]] HostPlace place_towards(const std::string& address, int port);

[[nodiscard]] std::string own_hostname();

}  // namespace cox::agent
