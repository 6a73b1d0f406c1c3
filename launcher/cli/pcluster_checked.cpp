#include "launcher/cli/pcluster_checked.hpp"

#include <algorithm>
#include <ostream>

#include "launcher/cli/pcluster_answers.hpp"
#include "launcher/cli/pcluster_json.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

bool is_suppressed(const config::Finding& finding, const std::vector<std::string>& suppressed) {
  if (!config::can_be_suppressed(finding)) return false;
  return std::any_of(suppressed.begin(), suppressed.end(), [&](const std::string& word) {
    return word == "ALL" || word == "type:" + finding.rule;
  });
}

config::Level level_of(const std::string& word) {
  if (word == "INFO") return config::Level::info;
  return word == "WARNING" ? config::Level::warning : config::Level::error;
}

}  // namespace

std::string fault_of_suppression(const std::vector<std::string>& suppressed) {
  for (const auto& word : suppressed) {
    const auto name = word.starts_with("type:") ? word.substr(5) : std::string();
    const bool named = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    });
    if (word != "ALL" && !named) {
      return fmt::format("--suppress-validators: '{}' is neither ALL nor type:<ValidatorName>",
                         word);
    }
  }
  return {};
}

std::optional<Checked> check_file(const Words& words, const std::string& verb, Streams streams) {
  const auto path = words.get("--cluster-configuration");
  auto file = read_cluster_file(path, {.region = words.get("--region")}, false);
  if (!file) {
    bad_request(streams, file.error().message);
    return std::nullopt;
  }
  if (file->is_ini) {
    bad_request(streams, fmt::format("{} is a file of ParallelCluster 2 (INI), which {} does "
                                     "not take: `pcluster {} -c {} NAME` does",
                                     path, verb, verb.substr(0, verb.find('-')), path));
    return std::nullopt;
  }
  auto& findings = file->loaded.findings;
  if (const auto broken = std::find_if(findings.begin(), findings.end(), config::is_about_text);
      broken != findings.end()) {
    const auto where = broken->place.line > 0
                           ? fmt::format("{}:{}:{}", path, broken->place.line, broken->place.column)
                           : path;
    streams.err << config::render(*broken, path, file->text);
    bad_request(streams, fmt::format("{}: {}", where, broken->text));
    return std::nullopt;
  }
  const auto suppressed = words.all("--suppress-validators");
  std::erase_if(findings,
                [&](const config::Finding& finding) { return is_suppressed(finding, suppressed); });
  if (file->loaded.config) {
    if (const auto more = overcommit(*file->loaded.config, machine_cpus()))
      findings.push_back(*more);
  }
  auto messages = validation_messages(findings);
  const bool refused = file->has(level_of(words.get("--validation-failure-level", "ERROR")));
  if (refused || !file->loaded.config) {
    for (const auto& finding : findings) {
      streams.err << config::render(finding, path, file->text);
    }
    say(streams, {{"configurationValidationErrors", std::move(messages)},
                  {"message", "Invalid cluster configuration."}});
    return std::nullopt;
  }
  return Checked{std::move(*file), std::move(messages)};
}

std::vector<VerbOption> checked_file_options() {
  using Takes = VerbOption::Takes;
  return {name_option(),
          {"--cluster-configuration", {"-c"}, Takes::one, true, "file of version 3 (YAML)"},
          {"--suppress-validators",
           {},
           Takes::many,
           false,
           "ALL or type:<ValidatorName>: checks to leave out"},
          {"--validation-failure-level",
           {},
           Takes::one,
           false,
           "findings from this level up refuse the file (ERROR)",
           {"INFO", "WARNING", "ERROR"}}};
}

}  // namespace cox::cli
