#include "launcher/cli/cli_config.hpp"

#include <cstdlib>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::cli {

std::optional<std::string> CliConfig::find(const std::string& section,
                                           const std::string& option) const {
  const auto found = sections.find(section);
  if (found == sections.end()) return std::nullopt;
  const auto value = found->second.find(option);
  if (value == found->second.end()) return std::nullopt;
  return value->second;
}

std::string CliConfig::of_cluster(const std::string& cluster, const std::string& option) const {
  return find("cluster " + cluster, option).value_or("");
}

Result<CliConfig> parse_cli_config(const std::string& path, const std::string& text) {
  CliConfig config{path, {}};
  std::map<std::string, std::string>* section = nullptr;
  const auto lines = split(text, '\n');
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto line = trim(lines[i]);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line.front() == '[' && line.back() == ']') {
      section = &config.sections[std::string(trim(line.substr(1, line.size() - 2)))];
      continue;
    }
    const auto mark = line.find_first_of("=:");
    if (section == nullptr || mark == std::string_view::npos) {
      return fail(Errc::invalid_argument, "{}:{}: '{}' is neither a section nor an option", path,
                  i + 1, line);
    }
    (*section)[to_lower(trim(line.substr(0, mark)))] = std::string(trim(line.substr(mark + 1)));
  }
  return config;
}

Result<CliConfig> load_cli_config() {
  const char* home = std::getenv("HOME");
  const auto path = std::string(home != nullptr ? home : "") + "/.parallelcluster/awsbatch-cli.cfg";
  const auto text = os::read_file(path, 1u << 20);
  if (!text) return fail(text.error());
  return parse_cli_config(path, *text);
}

Result<std::string> default_cluster(const CliConfig& config) {
  if (!config.sections.contains("main")) {
    return fail(Errc::invalid_argument, "there is no section 'main' in file {}", config.path);
  }
  const auto name = config.find("main", "cluster_name");
  if (!name || name->empty()) {
    return fail(Errc::invalid_argument,
                "there is no option 'cluster_name' in section 'main' of file {}", config.path);
  }
  return *name;
}

}  // namespace cox::cli
