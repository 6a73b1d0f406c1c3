#pragma once

namespace cox::agent {

/// The body of cox-rank: runs argv[0…] as this rank, passes its output on byte for byte and gives
/// the agent each line. Ends as the rank ended: with its exit status, or by its signal.
/// Where no agent is reachable it is transparent.
int run_rank(char** argv);

}  // namespace cox::agent
