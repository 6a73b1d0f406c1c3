#include "launcher/coxd/script_fetcher.hpp"

#include <cstdlib>
#include <utility>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::coxd {

namespace {

using namespace std::chrono_literals;

// What is printed is kept to 1 MiB: a larger script could not be told from one that was cut.
constexpr std::size_t kScriptBytesMax = (1u << 20) - 1;
constexpr auto kFetchTime = 120s;
constexpr std::string_view kFileScheme = "file://";

bool is_url_of(const std::string& script, std::string_view scheme) {
  return to_lower(script.substr(0, scheme.size())) == scheme;
}

std::string endpoint_of_s3() {
  for (const auto* name : {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) {
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  }
  return {};
}

/// The last line that the program wrote about it: its reason.
std::string reason_of(const std::string& program, const os::RunResult& result) {
  const auto lines = split(trim(result.err), '\n');
  if (!lines.back().empty()) return lines.back();
  return fmt::format("{} ended with {}", program, result.exit_code);
}

}  // namespace

Result<ScriptSource> source_of_script(const std::string& script, const std::string& endpoint) {
  if (script.starts_with('/')) return ScriptSource{.path = script};
  if (is_url_of(script, "file:///")) return ScriptSource{.path = script.substr(kFileScheme.size())};
  if (is_url_of(script, "http://") || is_url_of(script, "https://")) {
    return ScriptSource{.argv = {"curl", "--fail", "--silent", "--show-error", "--location",
                                 "--proto", "=http,https", "--proto-redir", "=http,https",
                                 "--max-time", "100", "--max-filesize",
                                 std::to_string(kScriptBytesMax), "--", script}};
  }
  if (is_url_of(script, "s3://")) {
    ScriptSource source{.argv = {"aws", "s3", "cp", "--only-show-errors"}};
    if (!endpoint.empty()) source.argv.insert(source.argv.end(), {"--endpoint-url", endpoint});
    source.argv.insert(source.argv.end(), {script, "-"});
    return source;
  }
  return fail(Errc::invalid_argument,
              "{} is neither an absolute path nor a URL of file, http, https or s3", script);
}

void ScriptFetcher::fetch(const std::string& script, Done done) {
  loop_.post([this, alive = alive_, script, done = std::move(done)] {
    if (!*alive) return;
    const auto source = source_of_script(script, endpoint_of_s3());
    if (!source) return done(fail(source.error()));
    if (!source->argv.empty()) return run(*source, done);
    auto text = os::read_file(source->path, kScriptBytesMax);
    if (text) return done(std::optional(std::move(*text)));
    if (text.error().code == Errc::not_found) return done(std::optional<std::string>());
    done(fail(text.error()));
  });
}

void ScriptFetcher::run(const ScriptSource& source, Done done) {
  const auto program = source.argv.front();
  const int number = next_++;
  provider::ProgramSpec spec;
  spec.argv = source.argv;
  spec.limit = kFetchTime;
  auto started = provider::run_program(
      loop_, spec, [this, number, program, done](const os::RunResult& result) {
        // The run is in the midst of this call: it goes afterwards.
        loop_.post([this, alive = alive_, number] {
          if (*alive) runs_.erase(number);
        });
        if (result.exit_code != 0) {
          return done(fail(Errc::unavailable, "{}", reason_of(program, result)));
        }
        if (result.out.size() > kScriptBytesMax) {
          return done(fail(Errc::invalid_argument, "it is larger than 1 MiB"));
        }
        done(std::optional(result.out));
      });
  if (started) {
    runs_[number] = std::move(*started);
    return;
  }
  if (started.error().code != Errc::not_found) return done(fail(started.error()));
  done(fail(Errc::unavailable, "this machine has no {} to fetch it with: install {}", program,
            program == "aws" ? "awscli" : program));
}

}  // namespace cox::coxd
