#pragma once

/// What a keeper and its worker have agreed on.
namespace cox::coxd {

/// The worker's descriptors.
inline constexpr int kApiListener = 3;
inline constexpr int kAgentListener = 4;
inline constexpr int kBridgeNetwork = 5;
inline constexpr int kReady = 6;  ///< of the first worker, where somebody waits for it
inline constexpr int kChildReports = 7;
inline constexpr int kHostListener = 8;  ///< for agents on other hosts, where there are any

/// How a worker ends: its cluster has ended; it can never start as things are; any other status is
/// an accident, and the keeper starts a new one.
inline constexpr int kClusterEnded = 0;
inline constexpr int kCannotStart = 2;
inline constexpr int kStopped = 3;  ///< it was asked to by SIGTERM; the nodes go on

}  // namespace cox::coxd
