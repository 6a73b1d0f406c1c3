#include "runtime/mpi/mpirun_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/text.hpp"

namespace cox::mpi {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<MpirunLine> read(const std::string& line) { return read_mpirun_line(split(line, ' ')); }

MpirunLine known(const std::string& line) {
  const auto read_line = read(line);
  EXPECT_TRUE(read_line) << line << ": " << read_line.error().message;
  MpirunLine none;
  none.programs.emplace_back();
  return read_line.value_or(none);
}

std::string refused(const std::string& line) {
  const auto read_line = read(line);
  EXPECT_FALSE(read_line) << line;
  return read_line ? "" : read_line.error().message;
}

TEST(MpirunLine, HasTheNumberOfRanksByEachOfItsNames) {
  for (const auto* name : {"-n", "-np", "--np", "-c"}) {
    const auto line = known(std::string(name) + " 4 ./prog -n 7 :x");
    ASSERT_EQ(line.programs.size(), 1u);
    EXPECT_EQ(line.programs[0].ranks, 4);
    EXPECT_THAT(line.programs[0].words, ElementsAre("./prog", "-n", "7", ":x"))
        << "what follows the program is its own";
  }
  EXPECT_EQ(known("./prog").programs[0].ranks, 0);
}

TEST(MpirunLine, HasHostsWithTheirSlots) {
  const auto line = known("-H a:2,b,c,b prog");
  EXPECT_THAT(line.programs[0].hosts,
              ElementsAre(NamedHost{"a", 2}, NamedHost{"b", 2}, NamedHost{"c", 1}));
  EXPECT_EQ(known("--machinefile f prog").programs[0].hostfile, "f");
  EXPECT_EQ(known("-hostfile f prog").programs[0].hostfile, "f");
}

TEST(MpirunLine, HasWhatRanksAreGiven) {
  const auto line = known("-x A=b=c -x PLAIN --mca btl self,tcp -mca pml ob1 -wdir /tmp prog");
  EXPECT_THAT(line.programs[0].exports, ElementsAre(EnvVar{"A", "b=c"}));
  EXPECT_THAT(line.programs[0].passed, ElementsAre("PLAIN"));
  EXPECT_THAT(line.programs[0].parameters,
              ElementsAre(EnvVar{"btl", "self,tcp"}, EnvVar{"pml", "ob1"}));
  EXPECT_EQ(line.programs[0].directory, "/tmp");
}

TEST(MpirunLine, HasThePlaceOfRanks) {
  EXPECT_EQ(known("--map-by node prog").map_by, "node");
  EXPECT_EQ(known("--map-by NODE prog").map_by, "node");
  EXPECT_EQ(known("--map-by ppr:2:node prog").per_node, 2);
  EXPECT_EQ(known("-N 3 prog").per_node, 3);
  EXPECT_EQ(known("-npernode 3 prog").per_node, 3);
  EXPECT_EQ(known("--rank-by slot prog").rank_by, "slot");
  EXPECT_EQ(known("--bind-to none prog").bind_to, "none");
  EXPECT_TRUE(known("--map-by slot:OVERSUBSCRIBE prog").oversubscribe);
  EXPECT_TRUE(known("--oversubscribe prog").oversubscribe);
}

TEST(MpirunLine, HasHowOutputLooks) {
  const auto line = known("-tag-output --timestamp-output --output-filename out:nocopy -q prog");
  EXPECT_TRUE(line.tag_output && line.timestamp_output && line.quiet);
  EXPECT_EQ(line.output_directory, "out");
  EXPECT_FALSE(line.output_copied);
}

TEST(MpirunLine, HasSeveralPrograms) {
  const auto line = known("-n 1 a x : -n 2 -x K=1 b : -np 3 c");
  ASSERT_EQ(line.programs.size(), 3u);
  EXPECT_THAT(line.programs[0].words, ElementsAre("a", "x"));
  EXPECT_EQ(line.programs[1].ranks, 2);
  EXPECT_THAT(line.programs[1].exports, ElementsAre(EnvVar{"K", "1"}));
  EXPECT_THAT(line.programs[2].words, ElementsAre("c"));
}

TEST(MpirunLine, RefusesWhatItDoesNotFullyUnderstand) {
  EXPECT_THAT(refused("--rankfile f prog"), HasSubstr("--rankfile"));
  EXPECT_THAT(refused("--mca rmaps_base_mapping_policy node prog"),
              HasSubstr("rmaps_base_mapping_policy"));
  EXPECT_THAT(refused("--mca btl a --mca btl b prog"), HasSubstr("twice"));
  for (const auto* line : {"",
                           "-n",
                           "-n x prog",
                           "-n 0 prog",
                           "-n -1 prog",
                           "-n 2",
                           "--np",
                           "-H",
                           "-H a:x prog",
                           "-H +n0 prog",
                           "-H a:1,a:2 prog",
                           "--n 2 prog",
                           "-n 2 -n 3 prog",
                           "-x prog",
                           "--mca btl",
                           "-x A=1,B=2 prog",
                           "-x OMPI_MCA_btl=x prog",
                           "--map-by ppr:1:socket prog",
                           "--map-by slot:PE=2 prog",
                           "--map-by board prog",
                           "--bind-to board prog",
                           "--bind-to core:overload-allowed prog",
                           "--app f",
                           "--display-map prog",
                           "-V",
                           "--help",
                           "-n 1 a :",
                           ": a",
                           "-n 1 a : --tag-output b",
                           "-n 1 a : -N 2 b",
                           "--map-by node -N 2 prog",
                           "--prefix /x prog",
                           "--nolocal prog",
                           "-s prog",
                           "--output-filename a:b prog"}) {
    EXPECT_FALSE(read_mpirun_line(line[0] == '\0' ? std::vector<std::string>{} : split(line, ' ')))
        << line;
  }
}

TEST(Hostfile, IsReadWhereItSaysHostsAndSlotsOnly) {
  const auto hosts = read_hostfile("# all\n10.0.0.4 slots=2\n\n 10.0.0.5  slots=3 # second\nc\n");
  ASSERT_TRUE(hosts) << hosts.error().message;
  EXPECT_THAT(*hosts,
              ElementsAre(NamedHost{"10.0.0.4", 2}, NamedHost{"10.0.0.5", 3}, NamedHost{"c", 0}));
  for (const auto* text : {"a max_slots=2\n", "a slots=2 max_slots=4\n", "a slots=x\n", "^a\n",
                           "a slots=1\na slots=1\n", "user@a\n", "a slots=0\n"}) {
    EXPECT_FALSE(read_hostfile(text)) << text;
  }
}

TEST(MpirunParameters, AreRanksOrNot) {
  for (const auto* name : {"btl", "btl_tcp_if_include", "pml", "mpi_yield_when_idle", "osc",
                           "coll_tuned_use_dynamic_rules", "orte_base_help_aggregate"}) {
    EXPECT_TRUE(is_ranks_parameter(name)) << name;
  }
  for (const auto* name : {"rmaps_base_oversubscribe", "plm", "hwloc_base_binding_policy",
                           "orte_tag_output", "pmix", "ess", "btl_vader_backing_directory", ""}) {
    EXPECT_FALSE(is_ranks_parameter(name)) << name;
  }
  EXPECT_THAT(parameters_in("# none\nmtl = ^ofi\n  btl=self \n\n"), ElementsAre("mtl", "btl"));
}

}  // namespace
}  // namespace cox::mpi
