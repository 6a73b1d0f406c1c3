#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/pcluster_file.hpp"
#include "launcher/cli/pcluster_json.hpp"
#include "launcher/cli/plain_words.hpp"
#include "runtime/base/text.hpp"

/// `cox validate`: all that is to be said about a cluster's file.
namespace cox::cli {

namespace json = boost::json;

namespace {

json::object to_json(const ClusterFile& file) {
  json::array findings;
  for (const auto& finding : file.loaded.findings) {
    json::object shown{
        {"level", to_string(finding.level)}, {"type", finding.rule}, {"message", finding.text}};
    if (!finding.path.empty()) shown["path"] = finding.path;
    if (finding.place.line > 0) {
      shown["line"] = finding.place.line;
      shown["column"] = finding.place.column;
    }
    findings.emplace_back(std::move(shown));
  }
  return {{"file", file.path},
          {"version", file.is_ini ? 2 : 3},
          {"valid", !file.has(config::Level::error)},
          {"findings", std::move(findings)}};
}

/// "no errors, 1 warning, 3 notes".
std::string counts(const std::vector<config::Finding>& findings) {
  const auto count = [&](config::Level level, const char* name) {
    const auto found =
        std::count_if(findings.begin(), findings.end(),
                      [&](const config::Finding& finding) { return finding.level == level; });
    return fmt::format("{} {}{}", found == 0 ? "no" : std::to_string(found), name,
                       found == 1 ? "" : "s");
  };
  return fmt::format("{}, {}, {}", count(config::Level::error, "error"),
                     count(config::Level::warning, "warning"), count(config::Level::info, "note"));
}

int validate(const std::string& path, const config::LoadOptions& options, bool as_json,
             Streams streams) {
  const auto file = read_cluster_file(path, options, false);
  if (!file) {
    streams.err << "cox validate: " << file.error().message << '\n';
    return kFailed;
  }
  if (as_json) {
    streams.out << pretty(to_json(*file));
  } else {
    for (const auto& finding : file->loaded.findings) {
      streams.out << config::render(finding, path, file->text);
    }
    streams.out << fmt::format("{}: a file of version {}: {}\n", path, file->is_ini ? 2 : 3,
                               counts(file->loaded.findings));
  }
  return file->has(config::Level::error) ? kFailed : kDone;
}

}  // namespace

int run_validate(const std::vector<std::string>& args, Streams streams) {
  std::string path;
  config::LoadOptions options;
  bool as_json = false;
  bool schema = false;
  bool keys = false;
  CLI::App app("Says all that is wrong with a cluster's file, and what becomes of its keys.",
               "cox validate");
  app.add_option("FILE", path,
                 "a file of ParallelCluster 3 (YAML) or 2 (INI), told by its content");
  app.add_option("-r,--region", options.region, "the region, if the file does not say");
  app.add_option("-t,--cluster-template", options.cluster_template,
                 "of a file of version 2: the section [cluster LABEL] to check");
  app.add_flag("--json", as_json, "findings as JSON");
  app.add_flag("--schema", schema, "prints a JSON Schema of a version 3 file instead");
  app.add_flag("--keys", keys, "prints all keys of a version 3 file as Markdown instead");
  app.footer(
      "Exit status: 0 without errors, 1 with errors, 2 for a wrong command line.\n"
      "\n"
      "Examples:\n"
      "  cox validate cluster.yaml\n"
      "  cox validate --json -t awsbatch ~/.parallelcluster/config\n"
      "  cox validate --schema > cluster.schema.json");
  const Usage usage{"cox validate", "[options] FILE"};
  const int over = read_plain(app, args, usage, streams);
  if (over >= 0) return over;
  if (path.empty() && !schema && !keys) return misused(usage, "FILE is required", streams);
  if (schema) streams.out << config::render_json_schema();
  if (keys) streams.out << config::render_key_table();
  return path.empty() ? kDone : validate(path, options, as_json, streams);
}

}  // namespace cox::cli
