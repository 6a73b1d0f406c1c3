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
constexpr Size kIntel3[] = {
    {"large", 2}, {"xlarge", 4}, {"2xlarge", 8}, {"4xlarge", 16}, {"8xlarge", 32}};
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
constexpr Size kIntel7[] = {{"large", 2},       {"xlarge", 4},      {"2xlarge", 8},
                            {"4xlarge", 16},    {"8xlarge", 32},    {"12xlarge", 48},
                            {"16xlarge", 64},   {"24xlarge", 96},   {"48xlarge", 192},
                            {"metal-24xl", 96}, {"metal-48xl", 192}};
constexpr Size kFlex[] = {{"large", 2},    {"xlarge", 4},    {"2xlarge", 8},  {"4xlarge", 16},
                          {"8xlarge", 32}, {"12xlarge", 48}, {"16xlarge", 64}};
constexpr Size kAmd7[] = {{"medium", 1},     {"large", 2},      {"xlarge", 4},
                          {"2xlarge", 8},    {"4xlarge", 16},   {"8xlarge", 32},
                          {"12xlarge", 48},  {"16xlarge", 64},  {"24xlarge", 96},
                          {"32xlarge", 128}, {"48xlarge", 192}, {"metal-48xl", 192}};
constexpr Size kGraviton[] = {{"medium", 1},    {"large", 2},     {"xlarge", 4},
                              {"2xlarge", 8},   {"4xlarge", 16},  {"8xlarge", 32},
                              {"12xlarge", 48}, {"16xlarge", 64}, {"metal", 64}};
constexpr Size kGravitonNoMetal[] = {{"medium", 1},    {"large", 2},    {"xlarge", 4},
                                     {"2xlarge", 8},   {"4xlarge", 16}, {"8xlarge", 32},
                                     {"12xlarge", 48}, {"16xlarge", 64}};
constexpr Size kGraviton8[] = {{"medium", 1},     {"large", 2},       {"xlarge", 4},
                               {"2xlarge", 8},    {"4xlarge", 16},    {"8xlarge", 32},
                               {"12xlarge", 48},  {"16xlarge", 64},   {"24xlarge", 96},
                               {"48xlarge", 192}, {"metal-24xl", 96}, {"metal-48xl", 192}};
constexpr Size kIntel8[] = {{"large", 2},       {"xlarge", 4},     {"2xlarge", 8},
                            {"4xlarge", 16},    {"8xlarge", 32},   {"12xlarge", 48},
                            {"16xlarge", 64},   {"24xlarge", 96},  {"32xlarge", 128},
                            {"48xlarge", 192},  {"96xlarge", 384}, {"metal-48xl", 192},
                            {"metal-96xl", 384}};
constexpr Size kAmd8[] = {{"medium", 1},     {"large", 2},       {"xlarge", 4},
                          {"2xlarge", 8},    {"4xlarge", 16},    {"8xlarge", 32},
                          {"12xlarge", 48},  {"16xlarge", 64},   {"24xlarge", 96},
                          {"48xlarge", 192}, {"metal-24xl", 96}, {"metal-48xl", 192}};
constexpr Size kDisks7[] = {{"large", 2},       {"xlarge", 4},      {"2xlarge", 8},
                            {"3xlarge", 12},    {"6xlarge", 24},    {"12xlarge", 48},
                            {"18xlarge", 72},   {"24xlarge", 96},   {"48xlarge", 192},
                            {"metal-24xl", 96}, {"metal-48xl", 192}};
constexpr Size kDenser[] = {{"xlarge", 4},   {"2xlarge", 8},  {"4xlarge", 16},
                            {"6xlarge", 24}, {"8xlarge", 32}, {"12xlarge", 48}};
constexpr Size kHardDisks[] = {{"2xlarge", 8}, {"4xlarge", 16}, {"8xlarge", 32}, {"16xlarge", 64}};
constexpr Size kGpuParts[] = {{"large", 2}, {"xlarge", 4}, {"2xlarge", 8}, {"4xlarge", 16}};
constexpr Size kFirstGraviton[] = {{"medium", 1},  {"large", 2},    {"xlarge", 4},
                                   {"2xlarge", 8}, {"4xlarge", 16}, {"metal", 16}};
constexpr Size kFast[] = {{"large", 2},    {"xlarge", 4},    {"2xlarge", 8}, {"3xlarge", 12},
                          {"6xlarge", 24}, {"12xlarge", 48}, {"metal", 48}};
constexpr Size kFast7[] = {
    {"large", 2},     {"xlarge", 4},    {"2xlarge", 8},    {"4xlarge", 16},    {"8xlarge", 32},
    {"12xlarge", 48}, {"16xlarge", 64}, {"32xlarge", 128}, {"metal-16xl", 64}, {"metal-32xl", 128}};
constexpr Size kDisks3[] = {{"large", 2},    {"xlarge", 4},    {"2xlarge", 8},   {"3xlarge", 12},
                            {"6xlarge", 24}, {"12xlarge", 48}, {"24xlarge", 96}, {"metal", 96}};
constexpr Size kDense[] = {{"xlarge", 4}, {"2xlarge", 8}, {"4xlarge", 16}, {"8xlarge", 32}};
constexpr Size kDense2[] = {{"xlarge", 4}, {"2xlarge", 8}, {"4xlarge", 16}};
constexpr Size kLargeMemory[] = {
    {"16xlarge", 64}, {"24xlarge", 96}, {"32xlarge", 128}, {"metal", 128}};
constexpr Size kLargerMemory[] = {{"xlarge", 4},     {"2xlarge", 8},   {"4xlarge", 16},
                                  {"8xlarge", 32},   {"16xlarge", 64}, {"24xlarge", 96},
                                  {"32xlarge", 128}, {"metal", 128}};
constexpr Size kFastMemory[] = {{"2xlarge", 8},  {"4xlarge", 16},  {"6xlarge", 24},
                                {"8xlarge", 32}, {"12xlarge", 48}, {"metal", 48}};
constexpr Size kMemory1[] = {{"16xlarge", 64}, {"32xlarge", 128}};
constexpr Size kExtraMemory1[] = {{"xlarge", 4},   {"2xlarge", 8},   {"4xlarge", 16},
                                  {"8xlarge", 32}, {"16xlarge", 64}, {"32xlarge", 128}};
constexpr Size kGpu3[] = {{"4xlarge", 16}, {"8xlarge", 32}, {"16xlarge", 64}};
constexpr Size kGpu4[] = {{"xlarge", 4},    {"2xlarge", 8},   {"4xlarge", 16}, {"8xlarge", 32},
                          {"12xlarge", 48}, {"16xlarge", 64}, {"metal", 96}};
constexpr Size kAmdGpu4[] = {
    {"xlarge", 4}, {"2xlarge", 8}, {"4xlarge", 16}, {"8xlarge", 32}, {"16xlarge", 64}};
constexpr Size kGpu5[] = {{"xlarge", 4},    {"2xlarge", 8},   {"4xlarge", 16},  {"8xlarge", 32},
                          {"12xlarge", 48}, {"16xlarge", 64}, {"24xlarge", 96}, {"48xlarge", 192}};
constexpr Size kGravitonGpu[] = {{"xlarge", 4},   {"2xlarge", 8},   {"4xlarge", 16},
                                 {"8xlarge", 32}, {"16xlarge", 64}, {"metal", 64}};
constexpr Size kMemory4[] = {{"large", 2},    {"xlarge", 4},   {"2xlarge", 8},
                             {"4xlarge", 16}, {"8xlarge", 32}, {"16xlarge", 64}};
constexpr Size kCluster3[] = {{"2xlarge", 8}, {"8xlarge", 32}, {"16xlarge", 64}};
constexpr Size kInference1[] = {{"xlarge", 4}, {"2xlarge", 8}, {"6xlarge", 24}, {"24xlarge", 96}};
constexpr Size kInference2[] = {
    {"xlarge", 4}, {"8xlarge", 32}, {"24xlarge", 96}, {"48xlarge", 192}};
constexpr Size kTraining[] = {{"2xlarge", 8}, {"32xlarge", 128}};
constexpr Size kFpga[] = {{"2xlarge", 8}, {"4xlarge", 16}, {"16xlarge", 64}};
constexpr Size kArmDisks[] = {{"medium", 1},  {"large", 2},    {"xlarge", 4},
                              {"2xlarge", 8}, {"4xlarge", 16}, {"8xlarge", 32}};

struct Family {
  const char* name;
  std::int64_t mib_per_vcpu;
  std::span<const Size> sizes;
};

constexpr Family kFamilies[] = {
    {"a1", 2048, kFirstGraviton},
    {"c3", 1920, kIntel3},
    {"c4", 1920, kIntel4},
    {"c5", 2048, kCompute5},
    {"c5d", 2048, kCompute5},
    {"c5a", 2048, kAmd5},
    {"c5ad", 2048, kAmd5},
    {"c6i", 2048, kIntel6},
    {"c6id", 2048, kIntel6},
    {"c6in", 2048, kIntel6},
    {"c6a", 2048, kAmd6},
    {"c7i", 2048, kIntel7},
    {"c7i-flex", 2048, kFlex},
    {"c7a", 2048, kAmd7},
    {"c6g", 2048, kGraviton},
    {"c6gd", 2048, kGraviton},
    {"c7g", 2048, kGraviton},
    {"c7gd", 2048, kGraviton},
    {"c6gn", 2048, kGravitonNoMetal},
    {"c7gn", 2048, kGravitonNoMetal},
    {"c8g", 2048, kGraviton8},
    {"c8gd", 2048, kGraviton8},
    {"c8gn", 2048, kGraviton8},
    {"c8gb", 2048, kGraviton8},
    {"c8i", 2048, kIntel8},
    {"c8id", 2048, kIntel8},
    {"c8i-flex", 2048, kFlex},
    {"c8a", 2048, kAmd8},
    {"m4", 4096, kIntel4},
    {"m5", 4096, kGeneral5},
    {"m5d", 4096, kGeneral5},
    {"m5n", 4096, kGeneral5},
    {"m5dn", 4096, kGeneral5},
    {"m5a", 4096, kAmd5},
    {"m5ad", 4096, kAmd5},
    {"m5zn", 4096, kFast},
    {"m6i", 4096, kIntel6},
    {"m6id", 4096, kIntel6},
    {"m6in", 4096, kIntel6},
    {"m6idn", 4096, kIntel6},
    {"m6a", 4096, kAmd6},
    {"m7i", 4096, kIntel7},
    {"m7i-flex", 4096, kFlex},
    {"m7a", 4096, kAmd7},
    {"m6g", 4096, kGraviton},
    {"m6gd", 4096, kGraviton},
    {"m7g", 4096, kGraviton},
    {"m7gd", 4096, kGraviton},
    {"m8g", 4096, kGraviton8},
    {"m8gd", 4096, kGraviton8},
    {"m8gn", 4096, kGraviton8},
    {"m8gb", 4096, kGraviton8},
    {"m8i", 4096, kIntel8},
    {"m8id", 4096, kIntel8},
    {"m8i-flex", 4096, kFlex},
    {"m8a", 4096, kAmd8},
    {"r3", 7808, kIntel3},
    {"r4", 7808, kMemory4},
    {"r5", 8192, kGeneral5},
    {"r5d", 8192, kGeneral5},
    {"r5n", 8192, kGeneral5},
    {"r5dn", 8192, kGeneral5},
    {"r5b", 8192, kGeneral5},
    {"r5a", 8192, kAmd5},
    {"r5ad", 8192, kAmd5},
    {"r6i", 8192, kIntel6},
    {"r6id", 8192, kIntel6},
    {"r6in", 8192, kIntel6},
    {"r6idn", 8192, kIntel6},
    {"r6a", 8192, kAmd6},
    {"r7i", 8192, kIntel7},
    {"r7iz", 8192, kFast7},
    {"r7a", 8192, kAmd7},
    {"r6g", 8192, kGraviton},
    {"r6gd", 8192, kGraviton},
    {"r7g", 8192, kGraviton},
    {"r7gd", 8192, kGraviton},
    {"r8g", 8192, kGraviton8},
    {"r8gd", 8192, kGraviton8},
    {"r8gn", 8192, kGraviton8},
    {"r8gb", 8192, kGraviton8},
    {"r8i", 8192, kIntel8},
    {"r8id", 8192, kIntel8},
    {"r8i-flex", 8192, kFlex},
    {"r8a", 8192, kAmd8},
    {"x8g", 16384, kGraviton8},
    {"x2gd", 16384, kGraviton},
    {"x1", 15616, kMemory1},
    {"x1e", 31232, kExtraMemory1},
    {"x2idn", 16384, kLargeMemory},
    {"x2iedn", 32768, kLargerMemory},
    {"x2iezn", 32768, kFastMemory},
    {"z1d", 8192, kFast},
    {"i3", 7808, kMemory4},
    {"i3en", 8192, kDisks3},
    {"i4i", 8192, kIntel6},
    {"i4g", 8192, kMemory4},
    {"i7i", 8192, kIntel7},
    {"i7ie", 8192, kDisks7},
    {"i8g", 8192, kGraviton8},
    {"i8ge", 8192, kDisks7},
    {"im4gn", 4096, kMemory4},
    {"is4gen", 6144, kArmDisks},
    {"d2", 7808, kDense2},
    {"d3", 8192, kDense},
    {"d3en", 4096, kDenser},
    {"h1", 4096, kHardDisks},
    {"g3", 7808, kGpu3},
    {"g4dn", 4096, kGpu4},
    {"g4ad", 4096, kAmdGpu4},
    {"g5", 4096, kGpu5},
    {"g6", 4096, kGpu5},
    {"g6e", 8192, kGpu5},
    {"g6f", 4096, kGpuParts},
    {"g5g", 2048, kGravitonGpu},
    {"p3", 7808, kCluster3},
    {"inf1", 2048, kInference1},
    {"inf2", 4096, kInference2},
    {"trn1", 4096, kTraining},
    {"f1", 15616, kFpga},
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
    {"m3.medium", 1, 3840},
    {"m3.large", 2, 7680},
    {"m3.xlarge", 4, 15360},
    {"m3.2xlarge", 8, 30720},
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
    {"d2.8xlarge", 36, 249856},
    {"i3.metal", 72, 524288},
    {"g3s.xlarge", 4, 31232},
    {"hpc6a.48xlarge", 96, 393216},
    {"hpc6id.32xlarge", 64, 1048576},
    {"hpc7a.12xlarge", 24, 786432},
    {"hpc7a.24xlarge", 48, 786432},
    {"hpc7a.48xlarge", 96, 786432},
    {"hpc7a.96xlarge", 192, 786432},
    {"hpc7g.4xlarge", 16, 131072},
    {"hpc7g.8xlarge", 32, 131072},
    {"hpc7g.16xlarge", 64, 131072},
    {"p2.xlarge", 4, 62464},
    {"p2.8xlarge", 32, 499712},
    {"p2.16xlarge", 64, 749568},
    {"p3dn.24xlarge", 96, 786432},
    {"p4d.24xlarge", 96, 1179648},
    {"p4de.24xlarge", 96, 1179648},
    {"p5.48xlarge", 192, 2097152},
    {"p5.4xlarge", 16, 262144},
    {"p5e.48xlarge", 192, 2097152},
    {"p5en.48xlarge", 192, 2097152},
    {"p6-b200.48xlarge", 192, 2097152},
    {"trn1n.32xlarge", 128, 524288},
    {"trn2.48xlarge", 192, 2097152},
    {"gr6.4xlarge", 16, 131072},
    {"gr6.8xlarge", 32, 262144},
    {"dl1.24xlarge", 96, 786432},
    {"vt1.3xlarge", 12, 24576},
    {"vt1.6xlarge", 24, 49152},
    {"vt1.24xlarge", 96, 196608},
    {"f2.6xlarge", 24, 262144},
    {"f2.12xlarge", 48, 524288},
    {"f2.48xlarge", 192, 2097152},
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
  if (family == "a1") return "arm64";
  const auto digit = family.find_first_of("0123456789");
  if (digit == std::string_view::npos) return "x86_64";
  const auto letters = family.substr(digit + 1);
  return letters.find('g') == std::string_view::npos ? "x86_64" : "arm64";
}

int threads_per_core(std::string_view type) {
  const auto family = family_of(type);
  // AMD's since the seventh generation: c7a, m8a.
  const auto digit = family.find_first_of("0123456789");
  const bool newer_amd =
      digit != std::string_view::npos && family[digit] >= '7' && family.substr(digit + 1) == "a";
  const bool single =
      family == "t2" || newer_amd || family.starts_with("hpc") || architecture_of(type) == "arm64";
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
