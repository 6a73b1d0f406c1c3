#include "runtime/mpi/launch_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/mpi/shapes.hpp"

namespace cox::mpi {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

const NodePaths kPaths{"/run/coxswain/bin", "/usr/lib64/openmpi/bin/mpirun"};

MATCHER_P(Sets, name, "") { return arg.name == name; }

TEST(TunedEnvironment, MakesMpirunUseOurLauncherAndTcp) {
  const auto settings = tuned_environment(kPaths, true, true);

  EXPECT_THAT(settings, Contains(EnvVar{"OMPI_MCA_plm_rsh_agent", "/run/coxswain/bin/cox-rsh"}));
  EXPECT_THAT(settings, Contains(EnvVar{"OMPI_MCA_orte_fork_agent", "/run/coxswain/bin/cox-rank"}));
  EXPECT_THAT(settings, Contains(EnvVar{"OMPI_MCA_btl", "self,vader,tcp"}));
  EXPECT_THAT(settings, Contains(EnvVar{"OMPI_MCA_pml", "ob1"}));
  EXPECT_THAT(settings, Contains(EnvVar{"OMPI_MCA_mpi_yield_when_idle", "1"}));
  EXPECT_THAT(settings, Contains(EnvVar{"OMPI_MCA_hwloc_base_binding_policy", "none"}));
  std::set<std::string> names;
  for (const auto& [name, value] : settings) {
    EXPECT_TRUE(names.insert(name).second) << name << " is set twice";
    EXPECT_FALSE(value.empty()) << name;
  }
}

TEST(TunedEnvironment, LeavesOutWhatDoesNotApply) {
  const auto plain = tuned_environment(kPaths, false, false);
  EXPECT_THAT(plain, Not(Contains(Sets("OMPI_MCA_orte_fork_agent"))));
  EXPECT_THAT(plain, Not(Contains(Sets("OMPI_MCA_mpi_yield_when_idle"))));
  EXPECT_THAT(plain, Not(Contains(Sets("HWLOC_XMLFILE"))));
  // A job may exclude interfaces on its command line only while none is included here.
  EXPECT_THAT(plain, Not(Contains(Sets("OMPI_MCA_btl_tcp_if_include"))));

  NodePaths rented = kPaths;
  rented.fast_fabric = true;
  rented.nodes_share_cores = false;
  const auto fast = tuned_environment(rented, true, false);
  for (const auto* name :
       {"OMPI_MCA_btl", "OMPI_MCA_pml", "OMPI_MCA_osc", "OMPI_MCA_hwloc_base_binding_policy"}) {
    EXPECT_THAT(fast, Not(Contains(Sets(name))));
  }
}

TEST(TunedEnvironment, NamesTheInterfaceAndTheTopologyWhereTheyAreGiven) {
  NodePaths paths = kPaths;
  paths.interface = "eth0";
  paths.topology_file = "/run/topology.xml";

  const auto settings = tuned_environment(paths, false, false);

  EXPECT_THAT(settings, Contains(EnvVar{"OMPI_MCA_oob_tcp_if_include", "eth0"}));
  EXPECT_THAT(settings, Contains(EnvVar{"OMPI_MCA_btl_tcp_if_include", "eth0"}));
  EXPECT_THAT(settings, Contains(EnvVar{"HWLOC_XMLFILE", "/run/topology.xml"}));
  EXPECT_THAT(settings, Contains(EnvVar{"HWLOC_THISSYSTEM", "1"}));
}

struct GoldenCase {
  const char* name;
  const char* machine;
  std::vector<int> slots;
  Layout layout;
  const char* want;
  friend void PrintTo(const GoldenCase& c, std::ostream* out) { *out << c.name; }
};

// As Open MPI 4.1.4's mpirun shows them with --display-devel-map on these machines.
const GoldenCase kGoldens[] = {
    {"two_ranks",
     "laptop-4c8t",
     {2},
     {},
     "rank 0=10.0.0.11 slot=0\n"
     "rank 1=10.0.0.11 slot=1\n"},
    {"default_goes_round_numa_nodes",
     "dual-socket-numa2",
     {4, 1, 2},
     {},
     "rank 0=10.0.0.11 slot=0-3\n"
     "rank 1=10.0.0.11 slot=4-7\n"
     "rank 2=10.0.0.11 slot=8-11\n"
     "rank 3=10.0.0.11 slot=12-15\n"
     "rank 4=10.0.0.12 slot=0-3\n"
     "rank 5=10.0.0.13 slot=0-3\n"
     "rank 6=10.0.0.13 slot=4-7\n"},
    {"default_bound_to_core",
     "dual-socket-numa2",
     {6},
     {0, "", "core"},
     "rank 0=10.0.0.11 slot=0\n"
     "rank 1=10.0.0.11 slot=4\n"
     "rank 2=10.0.0.11 slot=8\n"
     "rank 3=10.0.0.11 slot=12\n"
     "rank 4=10.0.0.11 slot=1\n"
     "rank 5=10.0.0.11 slot=5\n"},
    {"slot_core",
     "dual-socket-numa2",
     {3, 2},
     {0, "slot", "core"},
     "rank 0=10.0.0.11 slot=0\n"
     "rank 1=10.0.0.11 slot=1\n"
     "rank 2=10.0.0.11 slot=2\n"
     "rank 3=10.0.0.12 slot=0\n"
     "rank 4=10.0.0.12 slot=1\n"},
    {"node_core",
     "dual-socket-numa2",
     {4, 1, 2},
     {0, "node", "core"},
     "rank 0=10.0.0.11 slot=0\n"
     "rank 1=10.0.0.12 slot=0\n"
     "rank 2=10.0.0.13 slot=0\n"
     "rank 3=10.0.0.11 slot=1\n"
     "rank 4=10.0.0.13 slot=1\n"
     "rank 5=10.0.0.11 slot=2\n"
     "rank 6=10.0.0.11 slot=3\n"},
    {"socket",
     "c5.18xlarge",
     {4},
     {0, "socket", ""},
     "rank 0=10.0.0.11 slot=0-17\n"
     "rank 1=10.0.0.11 slot=18-35\n"
     "rank 2=10.0.0.11 slot=0-17\n"
     "rank 3=10.0.0.11 slot=18-35\n"},
    {"socket_core",
     "c5.18xlarge",
     {4},
     {0, "socket", "core"},
     "rank 0=10.0.0.11 slot=0\n"
     "rank 1=10.0.0.11 slot=18\n"
     "rank 2=10.0.0.11 slot=1\n"
     "rank 3=10.0.0.11 slot=19\n"},
    {"socket_numa",
     "hpc6a.48xlarge",
     {4},
     {0, "socket", "numa"},
     "rank 0=10.0.0.11 slot=0-23\n"
     "rank 1=10.0.0.11 slot=48-71\n"
     "rank 2=10.0.0.11 slot=24-47\n"
     "rank 3=10.0.0.11 slot=72-95\n"},
    {"slot_socket",
     "c5.18xlarge",
     {3},
     {0, "slot", "socket"},
     "rank 0=10.0.0.11 slot=0-17\n"
     "rank 1=10.0.0.11 slot=18-35\n"
     "rank 2=10.0.0.11 slot=0-17\n"},
    {"core_socket",
     "c5.18xlarge",
     {2},
     {0, "core", "socket"},
     "rank 0=10.0.0.11 slot=0-17\n"
     "rank 1=10.0.0.11 slot=0-17\n"},
    {"ppr",
     "hpc6a.48xlarge",
     {96, 96},
     {0, "ppr:2:node", "numa"},
     "rank 0=10.0.0.11 slot=0-23\n"
     "rank 1=10.0.0.11 slot=24-47\n"
     "rank 2=10.0.0.12 slot=0-23\n"
     "rank 3=10.0.0.12 slot=24-47\n"},
    {"hwthreads_of_mixed_cores",
     "hybrid-6p6e",
     {4},
     {0, "slot", "hwthread"},
     "rank 0=10.0.0.11 slot=0\n"
     "rank 1=10.0.0.11 slot=0\n"
     "rank 2=10.0.0.11 slot=1\n"
     "rank 3=10.0.0.11 slot=1\n"},
    {"full_socket_passes_on",
     "uneven-sockets",
     {4},
     {0, "socket", "socket"},
     "rank 0=10.0.0.11 slot=0\n"
     "rank 1=10.0.0.11 slot=1-3\n"
     "rank 2=10.0.0.11 slot=1-3\n"
     "rank 3=10.0.0.11 slot=1-3\n"},
    {"many_cores",
     "many-core-snc4",
     {2},
     {0, "numa", "numa"},
     "rank 0=10.0.0.11 slot=0-15\n"
     "rank 1=10.0.0.11 slot=16-31\n"},
};

class Rankfile : public testing::TestWithParam<GoldenCase> {};

TEST_P(Rankfile, PlacesAsMpirunDoes) {
  const auto nodes = nodes_of(GetParam().machine, GetParam().slots);
  std::vector<NodeSlots> slots;
  for (const auto& node : nodes) slots.push_back(node.slots);

  const auto places = place_ranks(nodes, GetParam().layout);

  ASSERT_TRUE(places) << places.error().message;
  EXPECT_EQ(render_rankfile(slots, *places).value(), GetParam().want);
}

INSTANTIATE_TEST_SUITE_P(, Rankfile, testing::ValuesIn(kGoldens),
                         [](const auto& test) { return test.param.name; });

TEST(RenderRankfile, WritesRunsOfCoresAndRefusesWhatCannotBe) {
  const std::vector<NodeSlots> nodes{{"a", 2}};

  EXPECT_EQ(render_rankfile(nodes, std::vector<RankPlace>{{0, 0, {5, 0, 2, 1, 7, 8}}}).value(),
            "rank 0=a slot=0-2,5,7-8\n");
  EXPECT_EQ(
      render_rankfile(nodes, std::vector<RankPlace>{{3, 0, {}}}).error(),
      (Error{Errc::invalid_argument, "rank 3 is not bound: a rankfile must bind every rank"}));
  EXPECT_EQ(render_rankfile(nodes, std::vector<RankPlace>{{0, 1, {0}}}).error(),
            (Error{Errc::invalid_argument, "rank 0: there is no node 1"}));
  EXPECT_FALSE(render_rankfile(nodes, std::vector<RankPlace>{{0, -1, {0}}}));
}

TEST(MpirunArgv, HasOptionsBeforeTheProgram) {
  const std::vector<std::string> program{"/home/u/ring", "--map-by", "x y"};

  EXPECT_THAT(mpirun_argv(kPaths, {}, "/h", program),
              ElementsAre("/usr/lib64/openmpi/bin/mpirun", "--allow-run-as-root", "--hostfile",
                          "/h", "/home/u/ring", "--map-by", "x y"));
  EXPECT_THAT(mpirun_argv(kPaths, {0, "socket", "core"}, "/h", std::vector<std::string>{"p"}),
              ElementsAre("/usr/lib64/openmpi/bin/mpirun", "--allow-run-as-root", "--hostfile",
                          "/h", "--map-by", "socket", "--bind-to", "core", "p"));
}

TEST(MpirunArgv, CountsRanksPerNode) {
  const auto options = [](const Layout& layout) {
    auto argv = mpirun_argv(kPaths, layout, "/h", {});
    argv.erase(argv.begin(), argv.begin() + 4);
    return argv;
  };

  EXPECT_THAT(options({3, "", ""}), ElementsAre("--map-by", "ppr:3:node"));
  EXPECT_THAT(options({3, "slot", ""}), ElementsAre("--map-by", "ppr:3:node"));
  EXPECT_THAT(options({3, "node", "core"}),
              ElementsAre("--map-by", "ppr:3:node", "--rank-by", "node", "--bind-to", "core"));
  EXPECT_THAT(options({3, "socket", ""}), ElementsAre("--map-by", "socket"));
  EXPECT_THAT(options({}), IsEmpty());
}

TEST(CompilerFor, GoesByTheSuffix) {
  for (const auto* source : {"a.c", "/x.y/ring.c"}) EXPECT_EQ(compiler_for(source), "mpicc");
  for (const auto* source : {"a.cc", "a.cpp", "a.cxx", "a.C"}) {
    EXPECT_EQ(compiler_for(source), "mpicxx") << source;
  }
  for (const auto* source : {"a.f", "a.f90", "a.f95", "a.f03", "a.f08", "a.F90"}) {
    EXPECT_EQ(compiler_for(source), "mpifort") << source;
  }
  for (const auto* binary : {"", "ring", "a.out", "a.c/ring", ".c", "a.CPP", "a.c.bak", "a."}) {
    EXPECT_EQ(compiler_for(binary), std::nullopt) << binary;
  }
}

TEST(CompileArgv, NamesSourceBeforeLibraries) {
  EXPECT_THAT(compile_argv("mpicc", "pi.c", "/tmp/pi"),
              ElementsAre("mpicc", "-O2", "-o", "/tmp/pi", "pi.c", "-lm"));
  EXPECT_THAT(compile_argv("mpicc", "-o.c", "o"),
              ElementsAre("mpicc", "-O2", "-o", "o", "./-o.c", "-lm"));
}

}  // namespace
}  // namespace cox::mpi
