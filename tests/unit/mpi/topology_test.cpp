#include "runtime/mpi/topology.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hwloc.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <type_traits>

#include "tests/unit/mpi/shapes.hpp"

namespace cox::mpi {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct MachineCase {
  const char* name;
  std::size_t packages;
  std::size_t numas;  ///< that have cores
  std::size_t cores;
  std::size_t threads;
  friend void PrintTo(const MachineCase& c, std::ostream* out) { *out << c.name; }
};

const MachineCase kCases[] = {
    {"c4.large", 1, 1, 1, 2},
    {"c5.18xlarge", 2, 2, 36, 72},
    {"dual-socket-numa2", 2, 4, 16, 32},
    {"hpc6a.48xlarge", 2, 4, 96, 96},
    {"hybrid-6p6e", 1, 1, 12, 18},
    {"laptop-4c8t", 1, 1, 4, 8},
    {"many-core-snc4", 1, 4, 64, 256},
    {"single-core", 1, 1, 1, 1},
    {"uneven-sockets", 2, 1, 4, 4},
    {"vm-without-cores", 1, 1, 4, 4},
};

class Machine : public testing::TestWithParam<MachineCase> {};

TEST_P(Machine, IsReadAsItIs) {
  const auto& want = GetParam();

  const auto topology = parse_topology(machine_xml(want.name));

  ASSERT_TRUE(topology) << topology.error().message;
  std::set<int> packages;
  std::set<int> numas;
  std::vector<int> threads;
  for (const auto& core : topology->cores) {
    EXPECT_EQ(core.index, &core - topology->cores.data()) << "in logical order";
    packages.insert(core.package);
    numas.insert(core.numa);
    threads.insert(threads.end(), core.hardware_threads.begin(), core.hardware_threads.end());
  }
  EXPECT_EQ(topology->cores.size(), want.cores);
  EXPECT_EQ(packages.size(), want.packages);
  EXPECT_EQ(numas.size(), want.numas);
  ASSERT_EQ(threads.size(), want.threads);
  for (std::size_t i = 0; i < threads.size(); ++i) EXPECT_EQ(threads[i], static_cast<int>(i));
}

INSTANTIATE_TEST_SUITE_P(Topology, Machine, testing::ValuesIn(kCases), [](const auto& test) {
  std::string name = test.param.name;
  for (auto& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return name;
});

TEST(Topology, KnowsWhereACoreSits) {
  const auto topology = machine("dual-socket-numa2");

  EXPECT_EQ(topology.cores[0], (Core{0, 0, 0, {0, 1}}));
  EXPECT_EQ(topology.cores[4], (Core{4, 0, 1, {8, 9}}));
  EXPECT_EQ(topology.cores[15], (Core{15, 1, 3, {30, 31}}));
}

TEST(Topology, CountsCoresOfDifferentKinds) {
  const auto topology = machine("hybrid-6p6e");

  EXPECT_THAT(topology.cores[5].hardware_threads, ElementsAre(10, 11));
  EXPECT_THAT(topology.cores[6].hardware_threads, ElementsAre(12));
}

/// The shape as hwloc's own import has it.
Topology shape_by_hwloc(hwloc_topology_t topology) {
  Topology shape;
  for (hwloc_obj_t core = nullptr;
       (core = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_CORE, core)) != nullptr;) {
    const auto* package = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_PACKAGE, core);
    int numa = -1;
    for (hwloc_obj_t node = nullptr;
         (node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE, node)) != nullptr;) {
      if (numa < 0 && hwloc_bitmap_intersects(node->cpuset, core->cpuset) != 0) {
        numa = static_cast<int>(node->logical_index);
      }
    }
    Core read{static_cast<int>(core->logical_index),
              package == nullptr ? 0 : static_cast<int>(package->logical_index),
              numa,
              {}};
    for (hwloc_obj_t thread = nullptr;
         (thread = hwloc_get_next_obj_inside_cpuset_by_type(topology, core->cpuset, HWLOC_OBJ_PU,
                                                            thread)) != nullptr;) {
      read.hardware_threads.push_back(static_cast<int>(thread->logical_index));
    }
    shape.cores.push_back(read);
  }
  return shape;
}

struct DestroyTopology {
  void operator()(hwloc_topology_t topology) const { hwloc_topology_destroy(topology); }
};
using Loaded = std::unique_ptr<std::remove_pointer_t<hwloc_topology_t>, DestroyTopology>;

/// hwloc's topology of the XML, or of this machine for an empty one.
Loaded load(const std::string& xml) {
  hwloc_topology_t topology = nullptr;
  EXPECT_EQ(hwloc_topology_init(&topology), 0);
  if (!xml.empty()) {
    EXPECT_EQ(hwloc_topology_set_xmlbuffer(topology, xml.c_str(), static_cast<int>(xml.size() + 1)),
              0);
  }
  EXPECT_EQ(hwloc_topology_load(topology), 0);
  return Loaded(topology);
}

TEST(Topology, IsReadAsHwlocReadsIt) {
  for (const std::string name : kMachines) {
    if (name == "vm-without-cores") continue;  // has threads alone
    EXPECT_EQ(machine(name), shape_by_hwloc(load(machine_xml(name)).get())) << name;
  }
}

TEST(Topology, OfThisMachineIsReadAsHwlocReadsIt) {
  const auto loaded = load("");
  char* text = nullptr;
  int size = 0;
  ASSERT_EQ(hwloc_topology_export_xmlbuffer(loaded.get(), &text, &size, 0), 0);
  const std::string xml(text);
  hwloc_free_xmlbuffer(loaded.get(), text);

  const auto topology = parse_topology(xml);

  ASSERT_TRUE(topology) << topology.error().message << "\n" << xml;
  const auto want = shape_by_hwloc(loaded.get());
  if (!want.cores.empty()) {
    EXPECT_EQ(*topology, want);
  }
}

TEST(Topology, LeavesOutWhatMayNotBeUsed) {
  auto xml = machine_xml("dual-socket-numa2");
  const std::string all = "allowed_cpuset=\"0xffffffff\"";
  ASSERT_NE(xml.find(all), std::string::npos);
  // The second package's first core, and one hardware thread of its second.
  xml.replace(xml.find(all), all.size(), "allowed_cpuset=\"0x00070000\"");

  const auto topology = parse_topology(xml);

  ASSERT_TRUE(topology) << topology.error().message;
  EXPECT_EQ(*topology, (Topology{{{0, 0, 2, {0, 1}}, {1, 0, 2, {2}}}}));
}

TEST(Topology, ReadsSetsOfManyWords) {
  const auto topology = parse_topology(
      "<topology version=\"2.0\"><object type=\"Machine\" cpuset=\"0xf...f,0x0\""
      " allowed_cpuset=\"0xf...f,0x0\">"
      "<object type=\"NUMANode\" cpuset=\"0x1,0x00000000,0x0\"/>"
      "<object type=\"NUMANode\" cpuset=\"0xffffffff,0x00000000\"/>"
      "<object type=\"Core\" cpuset=\"0x80000000,0x0\">"
      "<object type=\"PU\" cpuset=\"0x80000000,0x0\"/></object>"
      "<object type=\"Core\" cpuset=\"0x00000001,0x0,0x0\">"
      "<object type=\"PU\" cpuset=\"0x00000001,0x0,0x0\"/></object>"
      "<object type=\"Core\" cpuset=\"0x1\"><object type=\"PU\" cpuset=\"0x1\"/></object>"
      "</object></topology>");

  ASSERT_TRUE(topology) << topology.error().message;
  EXPECT_EQ(*topology, (Topology{{{0, 0, 1, {0}}, {1, 0, 0, {1}}}}));
}

struct BadXml {
  const char* name;
  std::string text;
  friend void PrintTo(const BadXml& c, std::ostream* out) { *out << c.name; }
};

const std::string kHead = "<topology version=\"2.0\">";
const std::string kTail = "</topology>";

const BadXml kBadXml[] = {
    {"nothing", ""},
    {"text", "text"},
    {"other_root", "<html version=\"2.0\"></html>"},
    {"no_version", "<topology/>"},
    {"old_version", "<topology version=\"1.0\"></topology>"},
    {"two_roots", kHead + kTail + kHead + kTail},
    {"text_behind", kHead + kTail + "x"},
    {"not_closed", kHead + "<object type=\"Group\">" + kTail},
    {"closed_twice", kHead + "</object>" + kTail},
    {"no_type", kHead + "<object/>" + kTail},
    {"no_set", kHead + "<object type=\"PU\"/>" + kTail},
    {"bad_set", kHead + "<object type=\"PU\" cpuset=\"0xg\"/>" + kTail},
    {"wide_word", kHead + "<object type=\"PU\" cpuset=\"0x123456789\"/>" + kTail},
    {"endless_inside", kHead + "<object type=\"PU\" cpuset=\"0x1,0xf...f\"/>" + kTail},
    {"bare_attribute", kHead + "<object type=PU/>" + kTail},
    {"open_attribute", kHead + "<object type=\"PU/>" + kTail},
    {"open_comment", kHead + kTail + "<!-- "},
    {"zero_byte_behind", kHead + kTail + std::string(1, '\0')},
    {"too_deep",
     [] {
       std::string text = kHead;
       for (int i = 0; i < 300; ++i) text += "<object type=\"Group\">";
       for (int i = 0; i < 300; ++i) text += "</object>";
       return text + kTail;
     }()},
    {"too_many",
     [] {
       std::string text = kHead;
       for (int i = 0; i < 5000; ++i) text += "<object type=\"NUMANode\" cpuset=\"0x1\"/>";
       return text + kTail;
     }()},
};

class NoExport : public testing::TestWithParam<BadXml> {};

TEST_P(NoExport, IsRefused) {
  const auto topology = parse_topology(GetParam().text);

  ASSERT_FALSE(topology);
  EXPECT_EQ(topology.error(),
            (Error{Errc::invalid_argument, "not a topology as hwloc exports it"}));
}

INSTANTIATE_TEST_SUITE_P(Topology, NoExport, testing::ValuesIn(kBadXml),
                         [](const auto& test) { return test.param.name; });

TEST(Topology, RefusesEveryCut) {
  auto xml = machine_xml("c4.large");
  while (!xml.empty() && xml.back() == '\n') xml.pop_back();
  for (std::size_t size = 0; size < xml.size(); ++size) {
    ASSERT_FALSE(parse_topology(std::string(xml, 0, size))) << size;
  }
  EXPECT_EQ(parse_topology(kHead + kTail).error(),
            (Error{Errc::invalid_argument, "a topology without any core"}));
}

TEST(Topology, OfAPlainMachine) {
  EXPECT_EQ(flat_topology(2, 2), (Topology{{{0, 0, 0, {0, 1}}, {1, 0, 0, {2, 3}}}}));
  EXPECT_THAT(flat_topology(0, 1).cores, IsEmpty());
  EXPECT_EQ(flat_topology(4, 2), machine("laptop-4c8t")) << "logical numbers, not the system's";
}

RC_GTEST_PROP(Topology, SurvivesDamagedXml, ()) {
  static const auto kXml = machine_xml("c4.large");
  auto text = kXml;
  text[*rc::gen::inRange<std::size_t>(0, text.size())] = *rc::gen::arbitrary<char>();

  const auto topology = parse_topology(text);

  RC_ASSERT(!topology || !topology->cores.empty());
}

}  // namespace
}  // namespace cox::mpi
