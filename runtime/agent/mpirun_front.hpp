#pragma once

#include <string>
#include <vector>

namespace cox::agent {

/// The body of our mpirun, by whichever of its names it was called: launches what the line asks for
/// directly on the job's nodes, or becomes the real one with the line as it is. COX_MPIRUN: "real"
/// always the latter; "verbose" says on stderr what is done and why.
[[nodiscard]] int run_mpirun(char** argv);

}  // namespace cox::agent
