#include "runtime/mpi/topology.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "runtime/mpi/xml_reader.hpp"

// hwloc's own import is not used: it trusts its input, and crashes on XML that was tampered with,
// while this text comes over the network.

namespace cox::mpi {
namespace {

/// Operating system's numbers of hardware threads.
struct CpuSet {
  std::vector<std::uint32_t> words;  ///< 32 numbers each, the lowest first
  bool endless = false;              ///< all higher numbers are in the set too

  [[nodiscard]] std::uint32_t word(std::size_t i) const {
    return i < words.size() ? words[i] : endless ? ~std::uint32_t{0} : 0;
  }
};

// More than any machine has; a text that claims more is a lie that would cost time.
constexpr std::size_t kCoresMax = 65'536;
constexpr std::size_t kDomainsMax = 4096;
constexpr std::size_t kWordsMax = 4096;

/// One word of "0x0000ffff,,0x0"; hwloc leaves out words of zero in between.
std::optional<std::uint32_t> word_from(std::string_view text) {
  if (text.empty()) return 0;
  if (text.starts_with("0x")) text.remove_prefix(2);
  if (text.empty() || text.size() > 8) return std::nullopt;
  std::uint32_t word = 0;
  for (const char c : text) {
    const auto digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    word = word << 4 | static_cast<std::uint32_t>(digit);
  }
  return word;
}

/// hwloc's list of words, the highest first; "0xf...f" in front stands for all higher ones.
std::optional<CpuSet> cpu_set_from(std::string_view text) {
  CpuSet set;
  while (!text.empty()) {
    const auto comma = text.rfind(',');
    const auto piece = comma == std::string_view::npos ? text : text.substr(comma + 1);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(0, comma);
    if (piece == "0xf...f" && text.empty()) {
      set.endless = true;
      return set;
    }
    const auto word = word_from(piece);
    if (!word || set.words.size() == kWordsMax) return std::nullopt;
    set.words.push_back(*word);
  }
  return set;
}

bool intersect(const CpuSet& a, const CpuSet& b) {
  if (a.endless && b.endless) return true;
  for (std::size_t i = 0; i < std::max(a.words.size(), b.words.size()); ++i) {
    if ((a.word(i) & b.word(i)) != 0) return true;
  }
  return false;
}

/// Builds the shape from the objects of the tree, in the order of the text, which is the logical
/// one: a parent before its children, memory before cores.
class ShapeBuilder {
 public:
  /// False when the object is not as hwloc writes it.
  [[nodiscard]] bool open(const XmlElement& object) {
    const auto type = object.attribute("type");
    if (!type) return false;
    Level level = levels_.empty() ? Level{} : levels_.back();
    CpuSet cpus;
    const bool counts =
        *type == "PU" || *type == "Core" || *type == "NUMANode" || *type == "Machine";
    if (counts) {
      const auto set = object.attribute("cpuset");
      auto read = set ? cpu_set_from(*set) : std::nullopt;
      if (!read) return false;
      cpus = std::move(*read);
    }
    if (*type == "Machine" && !read_allowed(object)) return false;
    if (*type == "Package") level.package = static_cast<int>(packages_++);
    if (*type == "NUMANode") numas_.push_back(cpus);
    if (*type == "Core") {
      level.core = cores_.size();
      cores_.push_back({level.package, std::move(cpus), {}, true});
    } else if (*type == "PU" && is_allowed(cpus)) {
      // Some virtual machines tell of hardware threads alone; each then counts as a core.
      if (!level.core) cores_.push_back({level.package, cpus, {}, false});
      cores_[level.core.value_or(cores_.size() - 1)].threads.push_back(threads_++);
    }
    levels_.push_back(level);
    return cores_.size() <= kCoresMax && numas_.size() <= kDomainsMax && packages_ <= kDomainsMax;
  }

  void close() { levels_.pop_back(); }

  /// The shape. Cores and packages of which nothing may be used are no part of it.
  [[nodiscard]] Topology finish() const {
    const bool has_cores =
        std::any_of(cores_.begin(), cores_.end(), [](const auto& core) { return core.real; });
    Topology shape;
    std::vector<int> packages;  // those with cores, in order
    for (const auto& found : cores_) {
      if (found.threads.empty() || found.real != has_cores) continue;
      auto package = std::find(packages.begin(), packages.end(), found.package);
      if (package == packages.end()) package = packages.insert(packages.end(), found.package);
      shape.cores.push_back({static_cast<int>(shape.cores.size()),
                             static_cast<int>(package - packages.begin()), numa_of(found.cpus),
                             found.threads});
    }
    return shape;
  }

 private:
  /// What an object lies in.
  struct Level {
    int package = 0;
    std::optional<std::size_t> core;
  };
  struct FoundCore {
    int package = 0;
    CpuSet cpus;
    std::vector<int> threads;
    bool real = true;  ///< not a hardware thread that stands for one
  };

  [[nodiscard]] bool read_allowed(const XmlElement& machine) {
    const auto set = machine.attribute("allowed_cpuset");
    if (!set) return true;
    allowed_ = cpu_set_from(*set);
    return allowed_.has_value();
  }

  [[nodiscard]] bool is_allowed(const CpuSet& cpus) const {
    return !allowed_ || intersect(*allowed_, cpus);
  }

  /// The first NUMA node that is local to it. Others may be: memory of another kind.
  [[nodiscard]] int numa_of(const CpuSet& cpus) const {
    const auto found = std::find_if(numas_.begin(), numas_.end(),
                                    [&cpus](const CpuSet& numa) { return intersect(numa, cpus); });
    return found == numas_.end() ? 0 : static_cast<int>(found - numas_.begin());
  }

  std::vector<Level> levels_;
  std::optional<CpuSet> allowed_;
  std::vector<FoundCore> cores_;
  std::vector<CpuSet> numas_;
  std::size_t packages_ = 0;
  int threads_ = 0;
};

/// Feeds the objects of the text to the builder. False when it is no export of hwloc 2.
bool read_objects(std::string_view xml, ShapeBuilder& shape) {
  XmlReader reader(xml);
  const auto root = reader.next();
  const bool known = root && root->kind == XmlElement::Kind::open && root->name == "topology" &&
                     root->attribute("version").value_or("").starts_with("2.");
  if (!known) return false;
  while (const auto element = reader.next()) {
    if (element->name != "object") continue;
    if (element->kind == XmlElement::Kind::close) {
      shape.close();
      continue;
    }
    if (!shape.open(*element)) return false;
    if (element->kind == XmlElement::Kind::empty) shape.close();
  }
  return reader.at_good_end();
}

}  // namespace

Result<Topology> parse_topology(std::string_view hwloc_xml) {
  constexpr std::size_t kBytesMax = 16u << 20;
  ShapeBuilder builder;
  if (hwloc_xml.size() > kBytesMax || !read_objects(hwloc_xml, builder)) {
    return fail(Errc::invalid_argument, "not a topology as hwloc exports it");
  }
  auto shape = builder.finish();
  if (shape.cores.empty()) return fail(Errc::invalid_argument, "a topology without any core");
  return shape;
}

Topology flat_topology(int cores, int threads_per_core) {
  Topology shape;
  for (int core = 0; core < cores; ++core) {
    shape.cores.push_back({core, 0, 0, {}});
    for (int thread = 0; thread < threads_per_core; ++thread) {
      shape.cores.back().hardware_threads.push_back(core * threads_per_core + thread);
    }
  }
  return shape;
}

}  // namespace cox::mpi
