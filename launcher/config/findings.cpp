#include <algorithm>
#include <array>
#include <set>

#include "launcher/config/rules.hpp"
#include "launcher/config/tree.hpp"
#include "runtime/base/text.hpp"

/// What becomes of findings once they are made.
namespace cox::config {

namespace {

// More help nobody, and each is shown with its line.
constexpr std::size_t kFindingsMax = 500;

}  // namespace

void add_consequences(std::vector<Finding>& findings, std::vector<Finding> more) {
  std::set<std::string> faulty;
  for (const auto& finding : findings) {
    if (finding.level == Level::error) faulty.insert(finding.path);
  }
  for (auto& finding : more) {
    const auto at_or_below = faulty.lower_bound(finding.path);
    const bool known = !finding.path.empty() && at_or_below != faulty.end() &&
                       at_or_below->starts_with(finding.path);
    if (!known) findings.push_back(std::move(finding));
  }
}

void keep_readable(std::vector<Finding>& findings) {
  sort_by_place(findings);
  if (findings.size() <= kFindingsMax) return;
  const auto more = findings.size() - kFindingsMax;
  findings.resize(kFindingsMax);
  findings.push_back({Level::error,
                      kSchemaRule,
                      "",
                      {},
                      fmt::format("{} more findings are not shown: mend these first.", more)});
}

void sort_by_place(std::vector<Finding>& findings) {
  std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) {
    return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
  });
}

bool can_be_suppressed(const Finding& finding) {
  // What AWS would refuse and a local cluster can do all the same.
  constexpr std::array<std::string_view, 25> kRules{
      "AwsBatchInstancesArchitectureCompatibilityValidator",
      "DeletionPolicyValidator",
      "DuplicateInstanceTypeValidator",
      "EbsVolumeIopsValidator",
      "EbsVolumeThroughputIopsValidator",
      "EbsVolumeThroughputValidator",
      "EbsVolumeTypeSizeValidator",
      "FeatureRegionValidator",
      "FsxPersistentOptionsValidator",
      "FsxS3Validator",
      "FsxStorageCapacityValidator",
      "FsxStorageTypeOptionsValidator",
      "HeadNodeImdsValidator",
      "InstanceArchitectureCompatibilityValidator",
      "InstancesAllocationStrategyValidator",
      "InstancesCPUValidator",
      "MaxCountValidator",
      "NameValidator",
      "NotServedValidator",
      "NumberOfStorageValidator",
      "RegionValidator",
      "SchedulableMemoryValidator",
      "SchedulerDisableSudoAccessForDefaultUserValidator",
      "SchedulerOsValidator",
      "TagKeyValidator"};
  return finding.level != Level::error ||
         std::find(kRules.begin(), kRules.end(), finding.rule) != kRules.end();
}

bool is_about_text(const Finding& finding) { return finding.rule == kTextRule; }

bool stands_in_the_way(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.level == Level::error && !can_be_suppressed(finding);
  });
}

}  // namespace cox::config
