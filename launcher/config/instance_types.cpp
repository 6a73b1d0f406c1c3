#include <algorithm>
#include <array>
#include <span>
#include <tuple>

#include "launcher/config/config.hpp"
#include "launcher/config/rules.hpp"
#include "runtime/base/text.hpp"

/// vCPUs and memory of EC2's instance types: nominal, as EC2 reports them.
namespace cox::config {

namespace {

/// A size of a family whose memory follows from its vCPUs.
struct Size {
  const char* name;
  int vcpus;
};

constexpr Size kIntel4[] = {{"large", 2}, {"xlarge", 4}, {"2xlarge", 8}, {"4xlarge", 16}};
constexpr Size kCompute5[] = {{"large", 2},     {"xlarge", 4},    {"2xlarge", 8},
                              {"4xlarge", 16},  {"9xlarge", 36},  {"12xlarge", 48},
                              {"18xlarge", 72}, {"24xlarge", 96}, {"metal", 96}};
constexpr Size kGeneral5[] = {{"large", 2},     {"xlarge", 4},    {"2xlarge", 8},
                              {"4xlarge", 16},  {"8xlarge", 32},  {"12xlarge", 48},
                              {"16xlarge", 64}, {"24xlarge", 96}, {"metal", 96}};
constexpr Size kAmd5[] = {{"large", 2},    {"xlarge", 4},    {"2xlarge", 8},   {"4xlarge", 16},
                          {"8xlarge", 32}, {"12xlarge", 48}, {"16xlarge", 64}, {"24xlarge", 96}};
constexpr Size kIntel6[] = {{"large", 2},      {"xlarge", 4},    {"2xlarge", 8},   {"4xlarge", 16},
                            {"8xlarge", 32},   {"12xlarge", 48}, {"16xlarge", 64}, {"24xlarge", 96},
                            {"32xlarge", 128}, {"metal", 128}};
constexpr Size kAmd6[] = {{"large", 2},      {"xlarge", 4},     {"2xlarge", 8},   {"4xlarge", 16},
                          {"8xlarge", 32},   {"12xlarge", 48},  {"16xlarge", 64}, {"24xlarge", 96},
                          {"32xlarge", 128}, {"48xlarge", 192}, {"metal", 192}};
constexpr Size kIntel7[] = {{"large", 2},     {"xlarge", 4},    {"2xlarge", 8},
                            {"4xlarge", 16},  {"8xlarge", 32},  {"12xlarge", 48},
                            {"16xlarge", 64}, {"24xlarge", 96}, {"48xlarge", 192}};
constexpr Size kGraviton[] = {{"medium", 1},    {"large", 2},     {"xlarge", 4},
                              {"2xlarge", 8},   {"4xlarge", 16},  {"8xlarge", 32},
                              {"12xlarge", 48}, {"16xlarge", 64}, {"metal", 64}};
constexpr Size kGravitonNoMetal[] = {{"medium", 1},    {"large", 2},    {"xlarge", 4},
                                     {"2xlarge", 8},   {"4xlarge", 16}, {"8xlarge", 32},
                                     {"12xlarge", 48}, {"16xlarge", 64}};
constexpr Size kGpu4[] = {{"xlarge", 4},    {"2xlarge", 8},   {"4xlarge", 16}, {"8xlarge", 32},
                          {"12xlarge", 48}, {"16xlarge", 64}, {"metal", 96}};
constexpr Size kGpu5[] = {{"xlarge", 4},    {"2xlarge", 8},   {"4xlarge", 16},  {"8xlarge", 32},
                          {"12xlarge", 48}, {"16xlarge", 64}, {"24xlarge", 96}, {"48xlarge", 192}};
constexpr Size kMemory4[] = {{"large", 2},    {"xlarge", 4},   {"2xlarge", 8},
                             {"4xlarge", 16}, {"8xlarge", 32}, {"16xlarge", 64}};
constexpr Size kCluster3[] = {{"2xlarge", 8}, {"8xlarge", 32}, {"16xlarge", 64}};

struct Family {
  const char* name;
  std::int64_t mib_per_vcpu;
  std::span<const Size> sizes;
};

constexpr Family kFamilies[] = {
    {"c4", 1920, kIntel4},    {"c5", 2048, kCompute5},  {"c5d", 2048, kCompute5},
    {"c5a", 2048, kAmd5},     {"c6i", 2048, kIntel6},   {"c6a", 2048, kAmd6},
    {"c7i", 2048, kIntel7},   {"c6g", 2048, kGraviton}, {"c6gn", 2048, kGravitonNoMetal},
    {"c7g", 2048, kGraviton}, {"m4", 4096, kIntel4},    {"m5", 4096, kGeneral5},
    {"m5d", 4096, kGeneral5}, {"m5a", 4096, kAmd5},     {"m6i", 4096, kIntel6},
    {"m6a", 4096, kAmd6},     {"m7i", 4096, kIntel7},   {"m6g", 4096, kGraviton},
    {"m7g", 4096, kGraviton}, {"r4", 7808, kMemory4},   {"r5", 8192, kGeneral5},
    {"r5d", 8192, kGeneral5}, {"r5a", 8192, kAmd5},     {"r6i", 8192, kIntel6},
    {"r6a", 8192, kAmd6},     {"r7i", 8192, kIntel7},   {"r6g", 8192, kGraviton},
    {"r7g", 8192, kGraviton}, {"g4dn", 4096, kGpu4},    {"g5", 4096, kGpu5},
    {"p3", 7808, kCluster3},
};

/// A type whose figures follow no rule.
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
    {"t4g.nano", 2, 512},
    {"t4g.micro", 2, 1024},
    {"t4g.small", 2, 2048},
    {"t4g.medium", 2, 4096},
    {"t4g.large", 2, 8192},
    {"t4g.xlarge", 4, 16384},
    {"t4g.2xlarge", 8, 32768},
    {"c4.8xlarge", 36, 61440},
    {"m4.10xlarge", 40, 163840},
    {"m4.16xlarge", 64, 262144},
    {"c5n.large", 2, 5376},
    {"c5n.xlarge", 4, 10752},
    {"c5n.2xlarge", 8, 21504},
    {"c5n.4xlarge", 16, 43008},
    {"c5n.9xlarge", 36, 98304},
    {"c5n.18xlarge", 72, 196608},
    {"c5n.metal", 72, 196608},
    {"hpc6a.48xlarge", 96, 393216},
    {"hpc6id.32xlarge", 64, 1048576},
    {"hpc7a.12xlarge", 24, 786432},
    {"hpc7a.24xlarge", 48, 786432},
    {"hpc7a.48xlarge", 96, 786432},
    {"hpc7a.96xlarge", 192, 786432},
    {"hpc7g.4xlarge", 16, 131072},
    {"hpc7g.8xlarge", 32, 131072},
    {"hpc7g.16xlarge", 64, 131072},
    {"p3dn.24xlarge", 96, 786432},
    {"p4d.24xlarge", 96, 1179648},
    {"p4de.24xlarge", 96, 1179648},
    {"p5.48xlarge", 192, 2097152},
};

// The families that AWS Batch takes for "optimal"; never a bare machine.
constexpr std::array<std::string_view, 6> kOptimalFamilies = {"c4", "c5", "m4", "m5", "r4", "r5"};

std::string_view family_of(std::string_view name) { return name.substr(0, name.find('.')); }

bool is_optimal(std::string_view name) {
  return !name.ends_with(".metal") && std::find(kOptimalFamilies.begin(), kOptimalFamilies.end(),
                                                family_of(name)) != kOptimalFamilies.end();
}

std::vector<InstanceType> make_table() {
  std::vector<InstanceType> table;
  for (const auto& family : kFamilies) {
    for (const auto& size : family.sizes) {
      table.push_back({fmt::format("{}.{}", family.name, size.name), size.vcpus,
                       MiB{family.mib_per_vcpu * size.vcpus}});
    }
  }
  for (const auto& row : kRows) table.push_back({row.name, row.vcpus, MiB{row.memory_mib}});
  std::sort(table.begin(), table.end(), [](const InstanceType& a, const InstanceType& b) {
    return std::tie(a.vcpus, a.memory, a.name) < std::tie(b.vcpus, b.memory, b.name);
  });
  return table;
}

/// All types, smallest first.
const std::vector<InstanceType>& known_types() {
  static const std::vector<InstanceType> table = make_table();
  return table;
}

/// What may stand where a type is meant.
std::vector<std::string> known_words() {
  std::vector<std::string> words{"optimal"};
  for (const auto& type : known_types()) {
    words.push_back(type.name);
    const std::string family(family_of(type.name));
    if (std::find(words.begin(), words.end(), family) == words.end()) words.push_back(family);
  }
  return words;
}

}  // namespace

std::optional<InstanceType> find_instance_type(std::string_view name) {
  for (const auto& type : known_types()) {
    if (type.name == name) return type;
  }
  return std::nullopt;
}

std::string architecture_of(std::string_view type) {
  // Graviton's letter stands behind the generation's digit: c6gn, t4g, hpc7g; g4dn has none.
  const auto family = family_of(type);
  const auto digit = family.find_first_of("0123456789");
  if (digit == std::string_view::npos) return "x86_64";
  const auto letters = family.substr(digit + 1);
  return letters.find('g') == std::string_view::npos ? "x86_64" : "arm64";
}

int threads_per_core(std::string_view type) {
  const auto family = family_of(type);
  const bool single =
      family == "t2" || family.starts_with("hpc") || architecture_of(type) == "arm64";
  return single ? 1 : 2;
}

Result<std::vector<InstanceType>> expand_instance_types(const std::vector<std::string>& words) {
  std::vector<bool> wanted(known_types().size(), false);
  for (const auto& word : words) {
    bool found = false;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      const auto& name = known_types()[i].name;
      const bool meant =
          word == name || word == family_of(name) || (word == "optimal" && is_optimal(name));
      if (meant) wanted[i] = found = true;
    }
    if (found) continue;
    const auto near = nearest(word, known_words());
    return fail(Errc::not_found, "instance type {} is not known{}", word,
                near ? fmt::format("; did you mean {}?", *near) : "");
  }
  std::vector<InstanceType> types;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i]) types.push_back(known_types()[i]);
  }
  return types;
}

}  // namespace cox::config
