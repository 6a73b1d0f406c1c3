#include "launcher/cli/payload.hpp"

#include <unistd.h>

#include <algorithm>
#include <ostream>

#include "launcher/cli/client_log.hpp"
#include "launcher/cli/mpi_source.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::cli {

namespace {

constexpr std::size_t kFileMax = 512u << 20;

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> values;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (equals != std::string::npos) values[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return values;
}

std::map<std::string, std::string> chosen_variables(const SubmitOptions& options,
                                                    const std::string& blacklist) {
  const auto all = environment();
  for (const auto& piece : split(options.env, ',')) {
    const std::string name(trim(piece));
    if (name == "all" || all.contains(name)) continue;
    client_log(LogLevel::info, "payload:chosen_variables", "variable " + name + " is not set");
  }
  return exported(options.env, blacklist, all);
}

/// A file of the same name gives way, as it does in the original's folder of the job.
void add_file(std::vector<Upload>& files, Upload file) {
  std::erase_if(files, [&](const Upload& other) { return other.name == file.name; });
  files.push_back(std::move(file));
}

Result<std::vector<Upload>> read_input_files(const std::vector<std::string>& paths) {
  std::vector<Upload> files;
  for (const auto& path : paths) {
    auto bytes = os::read_file(path, kFileMax);
    if (!bytes) return fail(bytes.error());
    const bool executable = ::access(path.c_str(), X_OK) == 0;
    add_file(files,
             {path.substr(path.rfind('/') + 1), std::move(*bytes), executable ? 0700u : 0600u});
  }
  return files;
}

Result<Payload> make_mpi_payload(const SubmitOptions& options, const std::string& blacklist) {
  const auto binary = mpi_binary(options.command[0]);
  if (!binary) return fail(binary.error());
  auto bytes = os::read_file(binary->path, kFileMax);
  if (!bytes) return fail(bytes.error());
  auto files = read_input_files(options.input_files);
  if (!files) return fail(files.error());
  Payload payload{options.command, std::move(*files)};
  payload.command[0] = binary->name;
  payload.linkage = mpi::linkage_of(*bytes);
  add_file(payload.files, {binary->name, std::move(*bytes), 0755});
  if (!options.env.empty()) payload.environment = chosen_variables(options, blacklist);
  return payload;
}

}  // namespace

bool mend_line_ends(std::string& script) {
  if (script.find("\r\n") == std::string::npos || script.find('\0') != std::string::npos) {
    return false;
  }
  std::string mended;
  for (std::size_t i = 0; i < script.size(); ++i) {
    if (script[i] == '\r' && i + 1 < script.size() && script[i + 1] == '\n') continue;
    mended += script[i];
  }
  script = std::move(mended);
  return true;
}

Result<Payload> make_payload(const SubmitOptions& options, const std::string& name,
                             const std::string& env_blacklist, Streams streams) {
  if (options.mpi) return make_mpi_payload(options, env_blacklist);
  auto files = read_input_files(options.input_files);
  if (!files) return fail(files.error());
  Payload payload{options.command, std::move(*files)};
  JobFiles named;
  if (!options.env.empty()) {
    named.env = name + ".env.sh";
    add_file(payload.files, {named.env, env_file(chosen_variables(options, env_blacklist))});
  }
  if (options.command_file || options.command.empty()) {
    // The descriptor itself: /dev/stdin would be opened anew, which another user's pipe forbids.
    auto text = options.command_file
                    ? os::read_file(options.command[0], kFileMax)
                    : os::read_all(STDIN_FILENO, "the script from stdin", kFileMax);
    if (!text) return fail(text.error());
    if (mend_line_ends(*text)) {
      streams.err << "awsbsub: "
                  << (options.command_file ? options.command[0] : "the script from stdin")
                  << " has CRLF line ends; it is sent with LF line ends\n";
    }
    named.script = name + ".sh";
    add_file(payload.files, {named.script, std::move(*text), 0700});
    if (options.command_file) payload.command.erase(payload.command.begin());
  }
  for (const auto& file : payload.files) named.all.push_back(file.name);
  const bool plain =
      named.all.empty() && options.working_dir.empty() && options.parent_working_dir.empty();
  if (!plain) {
    payload.command = {"/bin/bash", "-c", command_chain(options, named, payload.command)};
  }
  return payload;
}

}  // namespace cox::cli
