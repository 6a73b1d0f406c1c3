#pragma once

namespace cox::cli {

// Exit statuses of all commands, as the originals have them.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;   ///< a check or the service said no
inline constexpr int kMisused = 2;  ///< the command line itself

}  // namespace cox::cli
