#include "runtime/mpi/mpirun_place.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/base/text.hpp"

namespace cox::mpi {
namespace {

using testing::ElementsAre;

/// Three nodes of two slots each, mpirun on the first.
MpirunSite site(int own = 0) {
  MpirunSite site;
  site.nodes = {{"10.0.0.4", "ip-4"}, {"10.0.0.5", "ip-5"}, {"10.0.0.6", "ip-6"}};
  site.own = own;
  site.own_cores = 2;
  site.read_file = [](const std::string& path) -> Result<std::string> {
    if (path != "hosts") return fail(Errc::not_found, "{}", path);
    return "10.0.0.4 slots=2\n10.0.0.5 slots=2\n10.0.0.6 slots=2\n";
  };
  return site;
}

Result<MpirunPlaces> place(const std::string& words, const MpirunSite& where = site()) {
  const auto line = read_mpirun_line(split(words, ' '));
  if (!line) return fail(line.error());
  return place_line(*line, where);
}

/// The job's node of each rank.
std::vector<int> nodes(const std::string& words, const MpirunSite& where = site()) {
  const auto places = place(words, where);
  if (!places) {
    ADD_FAILURE() << words << ": " << places.error().message;
    return {};
  }
  EXPECT_EQ(places->job_nodes.front(), where.own) << "its own node is the first of a launch";
  std::vector<int> list;
  for (const int node : places->node_of_rank) {
    list.push_back(places->job_nodes[static_cast<std::size_t>(node)]);
  }
  return list;
}

TEST(MpirunPlaces, FillNodesInTurn) {
  EXPECT_THAT(nodes("--hostfile hosts prog"), ElementsAre(0, 0, 1, 1, 2, 2));
  EXPECT_THAT(nodes("-n 3 --hostfile hosts prog"), ElementsAre(0, 0, 1));
  EXPECT_THAT(nodes("-n 4 --hostfile hosts --map-by core prog"), ElementsAre(0, 0, 1, 1));
}

TEST(MpirunPlaces, GoRoundByNode) {
  EXPECT_THAT(nodes("-n 5 --hostfile hosts --map-by node prog"), ElementsAre(0, 1, 2, 0, 1));
  EXPECT_THAT(nodes("-n 5 --hostfile hosts --map-by node --rank-by slot prog"),
              ElementsAre(0, 0, 1, 1, 2));
  EXPECT_THAT(nodes("-n 4 --hostfile hosts --rank-by node prog"), ElementsAre(0, 1, 0, 1));
}

TEST(MpirunPlaces, AreSoManyPerNode) {
  EXPECT_THAT(nodes("-N 1 --hostfile hosts prog"), ElementsAre(0, 1, 2));
  EXPECT_THAT(nodes("-n 3 -N 2 --hostfile hosts prog"), ElementsAre(0, 0, 1));
  EXPECT_THAT(nodes("--map-by ppr:1:node --hostfile hosts prog"), ElementsAre(0, 1, 2));
}

TEST(MpirunPlaces, BeginOnTheOwnNodeWhereverItIsNamed) {
  EXPECT_THAT(nodes("-H ip-5:2,ip-4:2 prog"), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(nodes("-n 3 --hostfile hosts prog", site(1)), ElementsAre(1, 1, 0));
  EXPECT_THAT(nodes("-H 10.0.0.6:2,10.0.0.5:1 prog"), ElementsAre(2, 2, 1));
  EXPECT_THAT(nodes("-n 2 prog"), ElementsAre(0, 0));
  EXPECT_THAT(nodes("-H localhost:3 prog"), ElementsAre(0, 0, 0));
}

TEST(MpirunPlaces, CountTheOwnNodesCoresWhereItIsNotNamed) {
  EXPECT_EQ(place("-H ip-5:2 prog")->slots, 4);
  EXPECT_EQ(place("--hostfile hosts -n 1 prog")->slots, 6);
  EXPECT_EQ(place("-n 1 prog")->slots, 2);
}

TEST(MpirunPlaces, GoBeyondTheSlotsWhereTheyMay) {
  EXPECT_THAT(nodes("-n 9 --oversubscribe --hostfile hosts prog"),
              ElementsAre(0, 0, 0, 1, 1, 1, 2, 2, 2));
  EXPECT_THAT(nodes("-n 4 --oversubscribe -H ip-4,ip-5 prog"), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(place("-n 7 --oversubscribe --hostfile hosts prog")->oversubscribed,
              ElementsAre(true, false, false));
}

TEST(MpirunPlaces, OfSeveralProgramsFollowEachOther) {
  const auto places = place("-n 1 --hostfile hosts a : -n 3 --hostfile hosts b");
  ASSERT_TRUE(places) << places.error().message;
  EXPECT_THAT(places->node_of_rank, ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(places->program_of_rank, ElementsAre(0, 1, 1, 1));
  EXPECT_EQ(places->slots, 6);
}

TEST(MpirunPlaces, AreNotForUsToFindWhereMpirunWouldRefuseOrDecideOtherwise) {
  for (const auto* words :
       {"-n 7 --hostfile hosts prog", "-n 3 prog", "-n 1 -H elsewhere prog",
        "--hostfile missing prog", "-H ip-4,ip-5 --hostfile hosts prog", "-H ip-4,10.0.0.4 prog",
        "-N 3 --hostfile hosts prog", "-n 5 -N 1 --hostfile hosts prog",
        "-n 4 --map-by node -H ip-4:1,ip-5:3 prog", "-n 7 --oversubscribe --map-by node -H ip-4 p",
        "a --hostfile hosts : b", "-n 1 -H ip-4 a : -n 1 b",
        "-n 9 --oversubscribe --map-by core --hostfile hosts prog"}) {
    EXPECT_FALSE(place(words)) << words;
  }
}

}  // namespace
}  // namespace cox::mpi
