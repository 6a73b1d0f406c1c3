#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.hpp"

namespace cox::mpi {

/// What a program's file says of the libraries it is loaded with.
struct ElfProgram {
  std::vector<std::string> needed;  ///< DT_NEEDED, in order: "libmpi.so.40"
  std::string library_path;         ///< DT_RUNPATH, else DT_RPATH; empty: the system's
  std::string names;                ///< the dynamic string table: names between NUL bytes

  /// True when the program imports or exports the name.
  [[nodiscard]] bool has_name(std::string_view name) const;
};

/// Reads a dynamically linked program: ELF, 64 bits, little-endian.
/// Errors: invalid_argument for anything else, a static program among it. Never reads outside
///         `bytes`, whatever they claim.
/// Source: elf(5). Pure: parses bytes; opens no file.
[[nodiscard]] Result<ElfProgram> read_elf(std::string_view bytes);

}  // namespace cox::mpi
