#include "runtime/mpi/elf.hpp"

#include <elf.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>

namespace cox::mpi {
namespace {

/// A structure at an offset; nothing when it is not wholly inside.
template <class T>
std::optional<T> at(std::string_view bytes, std::uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

std::optional<std::string_view> piece(std::string_view bytes, std::uint64_t offset,
                                      std::uint64_t size) {
  if (offset > bytes.size() || bytes.size() - offset < size) return std::nullopt;
  return bytes.substr(offset, size);
}

/// The text that begins at an offset of a string table.
std::string text_at(std::string_view table, std::uint64_t offset) {
  if (offset >= table.size()) return {};
  const auto rest = table.substr(offset);
  return std::string(rest.substr(0, rest.find('\0')));
}

struct Segments {
  std::vector<Elf64_Phdr> loads;
  std::optional<std::string_view> dynamic;

  /// Where in the file the byte of a virtual address is.
  [[nodiscard]] std::optional<std::uint64_t> offset_of(std::uint64_t address) const {
    for (const auto& load : loads) {
      if (address >= load.p_vaddr && address - load.p_vaddr < load.p_filesz) {
        return load.p_offset + (address - load.p_vaddr);
      }
    }
    return std::nullopt;
  }
};

std::optional<Segments> read_segments(std::string_view bytes, const Elf64_Ehdr& header) {
  Segments segments;
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    const auto segment = at<Elf64_Phdr>(bytes, header.e_phoff + i * header.e_phentsize);
    if (!segment) return std::nullopt;
    if (segment->p_type == PT_LOAD) segments.loads.push_back(*segment);
    if (segment->p_type == PT_DYNAMIC) {
      segments.dynamic = piece(bytes, segment->p_offset, segment->p_filesz);
    }
  }
  return segments;
}

}  // namespace

bool ElfProgram::has_name(std::string_view name) const {
  for (auto found = names.find(name); found != std::string::npos;
       found = names.find(name, found + 1)) {
    const auto end = found + name.size();
    const bool begins = found == 0 || names[found - 1] == '\0';
    if (begins && (end == names.size() || names[end] == '\0')) return true;
  }
  return false;
}

Result<ElfProgram> read_elf(std::string_view bytes) {
  const auto header = at<Elf64_Ehdr>(bytes, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
    return fail(Errc::invalid_argument, "it is no ELF program");
  }
  if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB) {
    return fail(Errc::invalid_argument, "it is no 64-bit little-endian program");
  }
  const auto segments = read_segments(bytes, *header);
  if (!segments) return fail(Errc::invalid_argument, "its program headers are cut short");
  if (!segments->dynamic) return fail(Errc::invalid_argument, "it is linked statically");

  std::vector<std::uint64_t> needed;
  std::optional<std::uint64_t> run_path;
  std::optional<std::uint64_t> old_path;
  std::uint64_t table_address = 0;
  std::uint64_t table_size = 0;
  for (std::uint64_t offset = 0;; offset += sizeof(Elf64_Dyn)) {
    const auto entry = at<Elf64_Dyn>(*segments->dynamic, offset);
    if (!entry || entry->d_tag == DT_NULL) break;
    if (entry->d_tag == DT_NEEDED) needed.push_back(entry->d_un.d_val);
    if (entry->d_tag == DT_RUNPATH) run_path = entry->d_un.d_val;
    if (entry->d_tag == DT_RPATH) old_path = entry->d_un.d_val;
    if (entry->d_tag == DT_STRTAB) table_address = entry->d_un.d_ptr;
    if (entry->d_tag == DT_STRSZ) table_size = entry->d_un.d_val;
  }
  const auto table_offset = segments->offset_of(table_address);
  const auto table = table_offset ? piece(bytes, *table_offset, table_size) : std::nullopt;
  if (!table) return fail(Errc::invalid_argument, "its table of names is not in the file");

  ElfProgram program;
  for (const auto offset : needed) program.needed.push_back(text_at(*table, offset));
  if (const auto path = run_path ? run_path : old_path) {
    program.library_path = text_at(*table, *path);
  }
  program.names = std::string(*table);
  return program;
}

}  // namespace cox::mpi
