#include "launcher/config/config.hpp"
#include "launcher/config/read_config.hpp"
#include "launcher/config/rules.hpp"
#include "launcher/config/schema.hpp"
#include "runtime/base/text.hpp"

/// ParallelCluster v3's YAML file.
namespace cox::config {

namespace {

/// The rules' findings, each with its place in the file.
std::vector<Finding> placed_rules(const Tree& tree, const ClusterConfig& config,
                                  const LoadOptions& options) {
  auto findings = check_rules(config, options.providers);
  for (auto& finding : findings) finding.place = place_of(tree, finding.path);
  return findings;
}

void append(std::vector<Finding>& findings, std::vector<Finding> more) {
  findings.insert(findings.end(), std::make_move_iterator(more.begin()),
                  std::make_move_iterator(more.end()));
}

void check_region(const Tree& tree, const LoadOptions& options, std::vector<Finding>& findings) {
  const auto* region = tree.find("Region");
  if (region == nullptr || region->scalar.empty() || options.region.empty()) return;
  if (options.region == region->scalar) return;
  findings.push_back(
      {Level::error, "RegionConflictValidator", "Region", region->place,
       fmt::format("the file says {}, the option says {}", region->scalar, options.region)});
}

}  // namespace

Loaded load_yaml(std::string_view text, const LoadOptions& options) {
  Loaded loaded;
  auto& findings = loaded.findings;
  const auto tree = parse_yaml(text, findings);
  if (!tree) return loaded;
  if (tree->kind != Tree::Kind::map) {
    const auto* why = tree->kind == Tree::Kind::empty
                          ? "the file is empty"
                          : "the file is not a map of keys, such as `Region: us-east-1`";
    findings.push_back({Level::error, kTextRule, "", {}, why});
    return loaded;
  }
  append(findings, check_schema(*tree));
  auto relations = check_relations(*tree);
  append(relations, check_storage_relations(*tree));
  add_consequences(findings, std::move(relations));
  check_region(*tree, options, findings);
  auto config = read_config(*tree, options);
  add_consequences(findings, placed_rules(*tree, config, options));
  add_consequences(findings, check_fates(*tree));
  const bool usable = !stands_in_the_way(findings);
  keep_readable(findings);
  if (usable) loaded.config = std::move(config);
  return loaded;
}

}  // namespace cox::config
