#pragma once

#include <string>

#include "runtime/base/result.hpp"

namespace cox::cli {

/// What --mpi runs: a binary, and whether it was compiled just now.
struct MpiBinary {
  std::string path;
  std::string name;  ///< base name it goes by in the job
};

/// A source (.c .cc .cpp .f90 …) compiled by the wrapper that goes with its suffix, or a binary as
/// it is. Compiled programs are kept by the content of the source, the compiler and its flags.
/// Errors: invalid_argument; the compiler's own words have then been written to stderr. A source
/// that includes files beside it is compiled every time: they are not in its content.
[[nodiscard]] Result<MpiBinary> mpi_binary(const std::string& source);

}  // namespace cox::cli
