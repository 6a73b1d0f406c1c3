#include <algorithm>
#include <array>
#include <tuple>

#include "launcher/config/config.hpp"
#include "runtime/base/text.hpp"

/// vCPUs and memory of EC2's instance types, nominal, as EC2 reports them.
namespace cox::config {

namespace {

struct Row {
  const char* name;
  int vcpus;
  std::int64_t memory_mib;
};

constexpr Row kRows[] = {
    {"t2.nano", 1, 512},
    {"t2.micro", 1, 1024},
    {"t2.small", 1, 2048},
    {"t2.medium", 2, 4096},
    {"t2.large", 2, 8192},
    {"t2.xlarge", 4, 16384},
    {"t2.2xlarge", 8, 32768},
    {"t3.nano", 2, 512},
    {"t3.micro", 2, 1024},
    {"t3.small", 2, 2048},
    {"t3.medium", 2, 4096},
    {"t3.large", 2, 8192},
    {"t3.xlarge", 4, 16384},
    {"t3.2xlarge", 8, 32768},
    {"t3a.nano", 2, 512},
    {"t3a.micro", 2, 1024},
    {"t3a.small", 2, 2048},
    {"t3a.medium", 2, 4096},
    {"t3a.large", 2, 8192},
    {"t3a.xlarge", 4, 16384},
    {"t3a.2xlarge", 8, 32768},
    {"c4.large", 2, 3840},
    {"c4.xlarge", 4, 7680},
    {"c4.2xlarge", 8, 15360},
    {"c4.4xlarge", 16, 30720},
    {"c4.8xlarge", 36, 61440},
    {"c5.large", 2, 4096},
    {"c5.xlarge", 4, 8192},
    {"c5.2xlarge", 8, 16384},
    {"c5.4xlarge", 16, 32768},
    {"c5.9xlarge", 36, 73728},
    {"c5.12xlarge", 48, 98304},
    {"c5.18xlarge", 72, 147456},
    {"c5.24xlarge", 96, 196608},
    {"c5n.large", 2, 5376},
    {"c5n.xlarge", 4, 10752},
    {"c5n.2xlarge", 8, 21504},
    {"c5n.4xlarge", 16, 43008},
    {"c5n.9xlarge", 36, 98304},
    {"c5n.18xlarge", 72, 196608},
    {"c6i.large", 2, 4096},
    {"c6i.xlarge", 4, 8192},
    {"c6i.2xlarge", 8, 16384},
    {"c6i.4xlarge", 16, 32768},
    {"c6i.8xlarge", 32, 65536},
    {"c6i.12xlarge", 48, 98304},
    {"c6i.16xlarge", 64, 131072},
    {"c6i.24xlarge", 96, 196608},
    {"c6i.32xlarge", 128, 262144},
    {"c6gn.16xlarge", 64, 131072},
    {"m4.large", 2, 8192},
    {"m4.xlarge", 4, 16384},
    {"m4.2xlarge", 8, 32768},
    {"m4.4xlarge", 16, 65536},
    {"m4.10xlarge", 40, 163840},
    {"m4.16xlarge", 64, 262144},
    {"m5.large", 2, 8192},
    {"m5.xlarge", 4, 16384},
    {"m5.2xlarge", 8, 32768},
    {"m5.4xlarge", 16, 65536},
    {"m5.8xlarge", 32, 131072},
    {"m5.12xlarge", 48, 196608},
    {"m5.16xlarge", 64, 262144},
    {"m5.24xlarge", 96, 393216},
    {"m5.metal", 96, 393216},
    {"m6g.xlarge", 4, 16384},
    {"m6i.large", 2, 8192},
    {"m6i.xlarge", 4, 16384},
    {"m6i.2xlarge", 8, 32768},
    {"m6i.4xlarge", 16, 65536},
    {"m6i.8xlarge", 32, 131072},
    {"r4.large", 2, 15616},
    {"r4.xlarge", 4, 31232},
    {"r4.2xlarge", 8, 62464},
    {"r4.4xlarge", 16, 124928},
    {"r4.8xlarge", 32, 249856},
    {"r4.16xlarge", 64, 499712},
    {"r5.large", 2, 16384},
    {"r5.xlarge", 4, 32768},
    {"r5.2xlarge", 8, 65536},
    {"r5.4xlarge", 16, 131072},
    {"r5.8xlarge", 32, 262144},
    {"r5.12xlarge", 48, 393216},
    {"r5.16xlarge", 64, 524288},
    {"r5.24xlarge", 96, 786432},
    {"hpc6a.48xlarge", 96, 393216},
    {"hpc6id.32xlarge", 64, 1048576},
    {"hpc7a.96xlarge", 192, 786432},
    {"hpc7g.16xlarge", 64, 131072},
    {"p3.2xlarge", 8, 62464},
    {"p3.8xlarge", 32, 249856},
    {"p3.16xlarge", 64, 499712},
    {"p3dn.24xlarge", 96, 786432},
    {"p4d.24xlarge", 96, 1179648},
    {"p4de.24xlarge", 96, 1179648},
    {"p5.48xlarge", 192, 2097152},
    {"g4dn.xlarge", 4, 16384},
    {"g5.xlarge", 4, 16384},
};

// What AWS Batch means by "optimal".
constexpr std::array<std::string_view, 3> kOptimalFamilies = {"c4", "m4", "r4"};

std::string_view family_of(std::string_view name) { return name.substr(0, name.find('.')); }

InstanceType to_type(const Row& row) { return {row.name, row.vcpus, MiB{row.memory_mib}}; }

bool is_optimal(std::string_view name) {
  return std::find(kOptimalFamilies.begin(), kOptimalFamilies.end(), family_of(name)) !=
         kOptimalFamilies.end();
}

std::vector<std::string> known_words() {
  std::vector<std::string> words{"optimal"};
  for (const auto& row : kRows) {
    words.emplace_back(row.name);
    const std::string family(family_of(row.name));
    if (std::find(words.begin(), words.end(), family) == words.end()) words.push_back(family);
  }
  return words;
}

}  // namespace

std::optional<InstanceType> find_instance_type(std::string_view name) {
  for (const auto& row : kRows) {
    if (name == row.name) return to_type(row);
  }
  return std::nullopt;
}

Result<std::vector<InstanceType>> expand_instance_types(const std::vector<std::string>& words) {
  std::vector<InstanceType> types;
  for (const auto& word : words) {
    const auto before = types.size();
    for (const auto& row : kRows) {
      const bool meant = word == row.name || word == family_of(row.name) ||
                         (word == "optimal" && is_optimal(row.name));
      if (meant) types.push_back(to_type(row));
    }
    if (types.size() != before) continue;
    const auto near = nearest(word, known_words());
    return fail(Errc::not_found, "instance type {} is not known{}", word,
                near ? fmt::format("; did you mean {}?", *near) : "");
  }
  std::sort(types.begin(), types.end(), [](const InstanceType& a, const InstanceType& b) {
    return std::tie(a.vcpus, a.memory, a.name) < std::tie(b.vcpus, b.memory, b.name);
  });
  types.erase(std::unique(types.begin(), types.end()), types.end());
  return types;
}

}  // namespace cox::config
