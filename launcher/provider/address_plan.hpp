#pragma once

#include <cstdint>
#include <string>

namespace cox::provider {

/// Every local cluster has this network to itself: its bridge is in a network namespace of its own.
inline constexpr const char* kHeadAddress = "10.0.0.1";
inline constexpr int kPrefixLength = 16;
/// Where agents dial the head.
inline constexpr int kHeadPort = 9470;
/// Where EC2 serves instance metadata.
inline constexpr const char* kMetadataAddress = "169.254.169.254";
/// The largest ordinal that has an address.
inline constexpr int kOrdinalMax = 65'000;

/// The IPv4 address of a node's eth0: 10.0.0.10 for ordinal 0, 10.0.0.11 for 1 and so on; the last
/// byte is never 0 or 255. Requires 0 <= ordinal <= kOrdinalMax. Pure.
[[nodiscard]] std::string node_address(int ordinal);

/// As EC2 names hosts: "10.0.0.11" → "ip-10-0-0-11". Pure.
[[nodiscard]] std::string hostname_of(const std::string& address);

/// A MAC address that goes with the IPv4 address, so that neighbours' tables stay right when an
/// address is given to another node: "02:00:0a:00:00:0b". Requires a dotted quad. Pure.
[[nodiscard]] std::string mac_of(const std::string& address);

/// The name of the bridge's end of a node's veth pair: "n10.0.0.11" (at most 15 characters). Pure.
[[nodiscard]] std::string link_name_of(const std::string& address);

}  // namespace cox::provider
