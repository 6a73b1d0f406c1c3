#include "launcher/provider/agent_bundle.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "runtime/base/text.hpp"
#include "runtime/os/frame_link.hpp"
#include "runtime/os/process.hpp"

namespace cox::provider {
namespace {

constexpr std::array kPrograms = {"cox-agent", "cox-mpirun",    "cox-rank",
                                  "cox-rsh",   "libcox-pmi.so", "libcox-mpich.so"};
/// The C library belongs to its machine: its parts and the loader must fit each other.
constexpr std::array kOfMachine = {"libc.so",  "libm.so",  "libpthread.so", "libdl.so",
                                   "librt.so", "ld-linux", "libresolv.so",  "linux-vdso"};

/// "libfmt.so.9 => /lib/x86_64-linux-gnu/libfmt.so.9 (0x…)": the paths.
std::set<std::string> libraries_in(const std::string& ldd) {
  std::set<std::string> found;
  for (const auto& line : split(ldd, '\n')) {
    const auto arrow = line.find(" => /");
    if (arrow == std::string::npos) continue;
    const auto name = trim(std::string_view(line).substr(0, arrow));
    const bool machines = std::any_of(kOfMachine.begin(), kOfMachine.end(),
                                      [&](const char* each) { return name.starts_with(each); });
    const auto path = line.substr(arrow + 4, line.find(" (", arrow) - arrow - 4);
    if (!machines) found.insert(path);
  }
  return found;
}

}  // namespace

Result<AgentBundle> pack_agent(const std::string& bin_directory) {
  // Quickly: a connection that is slower than the difference is none to run jobs over.
  std::vector<std::string> argv{"tar",           "--create",    "--use-compress-program=gzip -1",
                                "--dereference", "--sort=name", "--mtime=@0",
                                "--owner=0",     "--group=0",   "--numeric-owner",
                                "--file=-",      "--transform", "s,^.*/\\([^/]*\\)$,lib/\\1,",
                                "--directory",   bin_directory};
  std::set<std::string> libraries;
  for (const std::string program : kPrograms) {
    argv.push_back(program);
    const auto said = os::run({"env", "LC_ALL=C", "ldd", bin_directory + "/" + program});
    // Of a program that needs no library ldd says so and fails.
    const bool is_static = said && said->err.find("not a dynamic executable") != std::string::npos;
    if (!said || (said->exit_code != 0 && !is_static)) {
      return fail(Errc::unavailable, "{}/{} is missing, or ldd is: the agent cannot be copied",
                  bin_directory, program);
    }
    libraries.merge(libraries_in(said->out));
  }
  argv.insert(argv.end(), {"--directory", "/"});
  for (const auto& path : libraries) argv.push_back(path.substr(1));
  auto packed = os::run(argv);
  if (!packed) return fail(within("the agent cannot be packed", packed.error()));
  if (packed->exit_code != 0) {
    return fail(Errc::unavailable, "the agent cannot be packed: {}", trim(packed->err));
  }
  auto hash = os::sha256_hex(packed->out).substr(0, 16);
  return AgentBundle{std::move(packed->out), std::move(hash)};
}

}  // namespace cox::provider
