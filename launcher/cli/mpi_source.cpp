#include "launcher/cli/mpi_source.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <functional>

#include "runtime/base/text.hpp"
#include "runtime/mpi/launch_plan.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/process.hpp"

namespace cox::cli {

namespace {

std::string cache_directory() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache != nullptr && *cache != '\0') return std::string(cache) + "/coxswain/mpi";
  const char* home = std::getenv("HOME");
  return std::string(home != nullptr ? home : "/tmp") + "/.cache/coxswain/mpi";
}

/// The wrapper compiler: by PATH, else where jobs have it.
std::string find_compiler(const std::string& name) {
  const char* path = std::getenv("PATH");
  for (const auto& directory : split(path != nullptr ? path : "", ':')) {
    const auto candidate = directory + "/" + name;
    if (!directory.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  const auto there = "/usr/lib64/openmpi/bin/" + name;
  return ::access(there.c_str(), X_OK) == 0 ? there : "";
}

/// What changes when another compiler comes in place of this one: the file that its links end at.
std::string identity_of(const std::string& compiler) {
  struct stat seen {};
  if (::stat(compiler.c_str(), &seen) != 0) return "";
  return fmt::format("{} {} {}", seen.st_ino, seen.st_size, seen.st_mtim.tv_sec);
}

bool includes_own_files(const std::string& source) {
  for (const auto& line : split(source, '\n')) {
    const auto text = trim(line);
    if (text.starts_with("#") && text.find("include") != std::string_view::npos &&
        text.find('"') != std::string_view::npos) {
      return true;
    }
    if (to_lower(text).starts_with("include '") || to_lower(text).starts_with("include \""))
      return true;
  }
  return false;
}

/// Runs the compiler with its words on our stderr, as they come.
Result<void> compile(const std::vector<std::string>& argv) {
  os::SpawnSpec spec;
  spec.argv = argv;
  spec.descriptors = {{STDERR_FILENO, 1}, {STDERR_FILENO, 2}};
  const auto pid = os::spawn(spec);
  if (!pid) return fail(pid.error());
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  const int code = os::exit_code_of(status);
  if (code != 0) return fail(Errc::invalid_argument, "{} ended with exit code {}", argv[0], code);
  return {};
}

}  // namespace

Result<MpiBinary> mpi_binary(const std::string& source) {
  const auto text = os::read_file(source, 512u << 20);
  if (!text) return fail(text.error());
  const auto base = source.substr(source.rfind('/') + 1);
  const auto wrapper = mpi::compiler_for(source);
  if (!wrapper) {
    if (::access(source.c_str(), X_OK) != 0) {
      return fail(Errc::invalid_argument,
                  "{} is neither a source (.c .cc .cpp .f90) nor executable", source);
    }
    return MpiBinary{source, base};
  }
  const auto compiler = find_compiler(*wrapper);
  if (compiler.empty()) {
    return fail(Errc::not_found, "{} is not in PATH: it compiles {}", *wrapper, base);
  }
  const auto name = base.substr(0, base.rfind('.'));
  const auto made_of = fmt::format("{}\n{}\n{}", identity_of(compiler),
                                   join(mpi::compile_argv(compiler, "SOURCE", "OUT"), " "), *text);
  const auto directory = fmt::format("{}/{:016x}-{}", cache_directory(),
                                     std::hash<std::string>{}(made_of), made_of.size());
  const auto binary = directory + "/" + name;
  const auto note = directory + "/made-of";
  if (::access(binary.c_str(), X_OK) == 0 && !includes_own_files(*text) &&
      os::read_file(note, made_of.size() + 1) == made_of) {
    return MpiBinary{binary, name};
  }
  if (auto made = os::make_directories(directory, 0755); !made) return fail(made.error());
  ::unlink(note.c_str());  // until the binary is there that it tells of
  // Another awsbsub may be compiling the same: each writes its own file and puts it in place whole.
  const auto temporary = fmt::format("{}.{}", binary, ::getpid());
  if (auto compiled = compile(mpi::compile_argv(compiler, source, temporary)); !compiled) {
    ::unlink(temporary.c_str());
    ::rmdir(directory.c_str());
    return fail(within(source + " does not compile", compiled.error()));
  }
  if (::rename(temporary.c_str(), binary.c_str()) != 0) return fail(os::errno_error(errno, binary));
  if (auto noted = os::write_file_atomic(note, made_of, 0644); !noted) return fail(noted.error());
  return MpiBinary{binary, name};
}

}  // namespace cox::cli
