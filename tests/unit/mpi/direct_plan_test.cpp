#include "runtime/mpi/direct_plan.hpp"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <set>

#include "runtime/mpi/elf.hpp"

namespace cox::mpi {
namespace {

using testing::Contains;
using testing::ElementsAre;

template <class T>
std::string bytes_of(const T& value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

/// A dynamically linked program with these libraries, this search path and these names.
std::string program(const std::vector<std::string>& needed, const std::string& path = "",
                    const std::string& names = "") {
  constexpr std::uint64_t kBase = 0x400000;
  std::string table(1, '\0');
  std::string dynamic;
  const auto entry = [&](std::int64_t tag, std::uint64_t value) {
    Elf64_Dyn dyn{};
    dyn.d_tag = tag;
    dyn.d_un.d_val = value;
    dynamic += bytes_of(dyn);
  };
  const auto text = [&](const std::string& word) {
    const auto at = table.size();
    table += word + '\0';
    return at;
  };
  for (const auto& library : needed) entry(DT_NEEDED, text(library));
  if (!path.empty()) entry(DT_RUNPATH, text(path));
  if (!names.empty()) text(names);
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  const auto table_at = sizeof header + 2 * sizeof(Elf64_Phdr);
  const auto dynamic_at = table_at + table.size();
  entry(DT_STRTAB, kBase + table_at);
  entry(DT_STRSZ, table.size());
  entry(DT_NULL, 0);
  Elf64_Phdr load{};
  load.p_type = PT_LOAD;
  load.p_vaddr = kBase;
  load.p_filesz = dynamic_at + dynamic.size();
  Elf64_Phdr segment{};
  segment.p_type = PT_DYNAMIC;
  segment.p_offset = dynamic_at;
  segment.p_filesz = dynamic.size();
  return bytes_of(header) + bytes_of(load) + bytes_of(segment) + table + dynamic;
}

TEST(ReadElf, GivesLibrariesPathAndNames) {
  const auto read = read_elf(program({"libmpi.so.40", "libc.so.6"}, "/opt/lib", "MPI_Init"));

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_THAT(read->needed, ElementsAre("libmpi.so.40", "libc.so.6"));
  EXPECT_EQ(read->library_path, "/opt/lib");
  EXPECT_TRUE(read->has_name("MPI_Init"));
  EXPECT_FALSE(read->has_name("MPI_Ini"));
  EXPECT_FALSE(read->has_name("PI_Init"));
}

TEST(ReadElf, ReadsAProgramOfThisMachine) {
  std::ifstream file("/proc/self/exe", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};

  const auto read = read_elf(bytes);

  ASSERT_TRUE(read) << read.error().message;
  EXPECT_THAT(read->needed, Contains("libc.so.6"));
}

TEST(ReadElf, RefusesWhatIsNone) {
  EXPECT_EQ(read_elf("#!/bin/sh\n").error(),
            (Error{Errc::invalid_argument, "it is no ELF program"}));
  EXPECT_EQ(read_elf("").error(), (Error{Errc::invalid_argument, "it is no ELF program"}));
  auto other = program({"libc.so.6"});
  other[EI_CLASS] = ELFCLASS32;
  EXPECT_EQ(read_elf(other).error(),
            (Error{Errc::invalid_argument, "it is no 64-bit little-endian program"}));
}

TEST(ReadElf, NeverReadsBeyondTheFileHoweverItIsCutOrChanged) {
  const auto whole = program({"libmpi.so.40"}, "/opt/lib", "MPI_Comm_spawn");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // Copied to its exact size, so that a sanitizer sees a read behind the end.
    const std::string cut(whole.data(), size);
    (void)read_elf(cut);
  }
  for (std::size_t at = 0; at < whole.size(); ++at) {
    auto changed = whole;
    changed[at] = static_cast<char>(0xff);
    (void)read_elf(changed);
  }
  EXPECT_TRUE(read_elf(whole));
}

TEST(LinkageOf, KnowsOpenMpiAndMpich) {
  EXPECT_EQ(linkage_of(program({"libmpi.so.40", "libc.so.6"})), (Linkage{"openmpi", ""}));
  EXPECT_EQ(linkage_of(program({"libmpich.so.12"})), (Linkage{"mpich", ""}));
}

TEST(LinkageOf, SaysWhyItKnowsNoOther) {
  EXPECT_EQ(linkage_of(program({"libc.so.6"})),
            (Linkage{"", "the program is linked to no MPI library that is known"}));
  EXPECT_EQ(linkage_of(program({"libmpi.so.12"})),
            (Linkage{"", "the program is linked to no MPI library that is known"}));
  EXPECT_EQ(linkage_of(program({"libmpi.so.40", "libmpich.so.12"})),
            (Linkage{"", "the program is linked to two MPI libraries"}));
  EXPECT_EQ(linkage_of(program({"libmpi.so.40"}, "/opt/mpi/lib")),
            (Linkage{"", "the program looks for libraries in /opt/mpi/lib"}));
  EXPECT_EQ(linkage_of(program({"libmpi.so.40"}, "", "MPI_Comm_spawn")),
            (Linkage{"", "the program uses MPI_Comm_spawn"}));
  EXPECT_EQ(linkage_of("#!/bin/sh\n"),
            (Linkage{"", "the program is not known: it is no ELF program"}));
}

struct RoadCase {
  const char* name;
  RoadQuestion question;
  Road want;
  friend void PrintTo(const RoadCase& c, std::ostream* out) { *out << c.name; }
};

const std::vector<EnvVar> kOtherLibrary = {{"LD_LIBRARY_PATH", "/opt/mpi/lib"}};
const Linkage kOpenMpi{"openmpi", ""};
const Linkage kMpich{"mpich", ""};
const Linkage kUnknown{"", "it is a script"};

const RoadCase kRoads[] = {
    {"known", {"", kOpenMpi, {}, "", ""}, {true, "direct: Open MPI by PMI-1"}},
    {"mpich_needs_no_component", {"", kMpich, {}, "ip-a", ""}, {true, "direct: MPICH by PMI-1"}},
    {"no_component",
     {"", kOpenMpi, {}, "ip-a", ""},
     {false, "mpirun: Open MPI on ip-a has no flux component"}},
    {"unknown", {"", kUnknown, {}, "", ""}, {false, "mpirun: it is a script"}},
    {"other_library",
     {"", kOpenMpi, kOtherLibrary, "", ""},
     {false, "mpirun: the job sets LD_LIBRARY_PATH, so its MPI may be another one"}},
    {"no_places", {"", kOpenMpi, {}, "", "too few cores"}, {false, "mpirun: too few cores"}},
    {"asked_mpirun", {"mpirun", kOpenMpi, {}, "", ""}, {false, "mpirun: asked for"}},
    {"asked_direct",
     {"direct", kUnknown, {}, "", ""},
     {true, "direct: asked for, any MPI by PMI-1"}},
};

class ChooseRoad : public testing::TestWithParam<RoadCase> {};

TEST_P(ChooseRoad, TakesTheDirectOneOnlyWhereItIsKnownToWork) {
  EXPECT_EQ(choose_road(GetParam().question), GetParam().want)
      << choose_road(GetParam().question).text;
}

INSTANTIATE_TEST_SUITE_P(, ChooseRoad, testing::ValuesIn(kRoads),
                         [](const auto& test) { return test.param.name; });

TEST(RankEnvironment, TellsARankWhoItIsInEveryWayThatIsRead) {
  RankSeat seat;
  seat.rank = 3;
  seat.size = 6;
  seat.local_ranks = {2, 3};
  seat.pmi_library = "/bin/libcox-pmi.so";
  seat.session_directory = "/dev/shm/cox-1";
  seat.job_number = 77;

  const auto settings = rank_environment(seat);

  for (const auto& want :
       std::vector<EnvVar>{{"PMI_FD", "3"},
                           {"PMI_RANK", "3"},
                           {"PMI_SIZE", "6"},
                           {"COX_PMI_LOCAL_RANKS", "2,3"},
                           {"OMPI_MCA_schizo", "ompi"},
                           {"OMPI_MCA_pmix", "flux"},
                           {"OMPI_MCA_ess", "pmi"},
                           {"FLUX_JOB_ID", "77"},
                           {"FLUX_PMI_LIBRARY_PATH", "/bin/libcox-pmi.so"},
                           {"OMPI_MCA_orte_bound_at_launch", "1"},
                           {"OMPI_MCA_btl_vader_backing_directory", "/dev/shm/cox-1"},
                           {"OMPI_MCA_orte_tmpdir_base", "/dev/shm/cox-1"},
                           {"OMPI_COMM_WORLD_RANK", "3"},
                           {"OMPI_COMM_WORLD_SIZE", "6"},
                           {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                           {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                           {"OMPI_UNIVERSE_SIZE", "6"}}) {
    EXPECT_THAT(settings, Contains(want));
  }
  std::set<std::string> names;
  for (const auto& variable : settings) EXPECT_TRUE(names.insert(variable.name).second);
}

TEST(DirectDefaults, LeaveOutWhatDoesNotApply) {
  NodePaths paths{"/bin", "/mpirun"};
  EXPECT_THAT(direct_defaults(paths, "openmpi", true),
              Contains(EnvVar{"OMPI_MCA_mpi_yield_when_idle", "1"}));
  EXPECT_THAT(direct_defaults(paths, "openmpi", false),
              Contains(EnvVar{"OMPI_MCA_btl", "self,vader,tcp"}));
  EXPECT_THAT(direct_defaults(paths, "mpich", false),
              Contains(EnvVar{"LD_PRELOAD", "/bin/libcox-mpich.so"}));
  paths.fast_fabric = true;
  for (const auto& variable : direct_defaults(paths, "openmpi", false)) {
    EXPECT_NE(variable.name, "OMPI_MCA_btl");
    EXPECT_NE(variable.name, "LD_PRELOAD");
    EXPECT_NE(variable.name, "OMPI_MCA_mpi_yield_when_idle");
  }
}

TEST(JobNumber, HasNeitherBit15NorASignAndDiffers) {
  std::set<std::uint32_t> numbers;
  for (int i = 0; i < 1000; ++i) {
    const auto number = job_number(fmt::format("2f57b473-0d63-4b7e-a25f-9be7d25deb78-{}", i));
    EXPECT_EQ(number & 0x80008000U, 0U);
    EXPECT_NE(number, 0U);
    numbers.insert(number);
  }
  EXPECT_GT(numbers.size(), 990U);
}

TEST(ProcessMapping, ListsBlocksOfNodes) {
  const auto mapping = [](std::vector<int> nodes) { return process_mapping(nodes); };
  EXPECT_EQ(mapping({0, 0, 1, 1, 2, 2}), "(vector,(0,3,2))");
  EXPECT_EQ(mapping({0}), "(vector,(0,1,1))");
  EXPECT_EQ(mapping({0, 0, 0, 1}), "(vector,(0,1,3),(1,1,1))");
  EXPECT_EQ(mapping({0, 1, 2, 0, 1, 2}), "(vector,(0,3,1),(0,3,1))");
  EXPECT_EQ(mapping({}), "(vector)");
}

}  // namespace
}  // namespace cox::mpi
