#include "runtime/mpi/pmi_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cox::mpi {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Outcome = PmiServer::Outcome;
using Reply = PmiServer::Reply;

/// Ranks 2 and 3 of four, on the second node of two.
PmiServer second_node() { return {{2, 3}, 4, "job-1", "(vector,(0,2,2))"}; }

Outcome answered(int rank, const std::string& line) { return {{{rank, line}}, {}, {}, false}; }

struct LineCase {
  const char* name;
  const char* line;
  const char* want;
  friend void PrintTo(const LineCase& c, std::ostream* out) { *out << c.name; }
};

const LineCase kLines[] = {
    {"init", "cmd=init pmi_version=1 pmi_subversion=1",
     "cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0\n"},
    {"maxes", "cmd=get_maxes", "cmd=maxes kvsname_max=256 keylen_max=64 vallen_max=896\n"},
    {"appnum", "cmd=get_appnum", "cmd=appnum appnum=0\n"},
    {"name", "cmd=get_my_kvsname", "cmd=my_kvsname kvsname=job-1\n"},
    {"universe", "cmd=get_universe_size", "cmd=universe_size size=4\n"},
    {"mapping", "cmd=get kvsname=job-1 key=PMI_process_mapping",
     "cmd=get_result rc=0 msg=success value=(vector,(0,2,2))\n"},
    {"unknown_key", "cmd=get kvsname=job-1 key=nobody",
     "cmd=get_result rc=-1 msg=key_not_found value=unknown\n"},
    {"put", "cmd=put kvsname=job-1 key=a value=b", "cmd=put_result rc=0 msg=success\n"},
    {"put_without_key", "cmd=put kvsname=job-1 value=b", "cmd=put_result rc=-1 msg=too_long\n"},
    {"finalize", "cmd=finalize", "cmd=finalize_ack\n"},
    {"spawn", "cmd=spawn", "cmd=spawn_result rc=-1 msg=not_supported\n"},
    {"lookup", "cmd=lookup_name service=x", "cmd=lookup_result rc=-1 msg=not_supported\n"},
};

class PmiLine : public testing::TestWithParam<LineCase> {};

TEST_P(PmiLine, IsAnsweredToTheRankThatAsked) {
  auto server = second_node();

  EXPECT_EQ(server.line(3, GetParam().line), answered(3, GetParam().want));
}

INSTANTIATE_TEST_SUITE_P(, PmiLine, testing::ValuesIn(kLines),
                         [](const auto& test) { return test.param.name; });

TEST(PmiServer, GivesTheKeysOfTheNodeWhenItsLastRankEntersTheBarrier) {
  auto server = second_node();
  (void)server.line(2, "cmd=put kvsname=job-1 key=two value=a=b c -");
  (void)server.line(3, "cmd=put kvsname=job-1 key=three value=x");

  EXPECT_EQ(server.line(3, "cmd=barrier_in"), Outcome{});
  const auto last = server.line(2, "cmd=barrier_in");

  EXPECT_EQ(last, (Outcome{{}, "two a=b c -\nthree x\n", {}, false}));
}

TEST(PmiServer, LetsRanksReadTheKeysOfAllNodesAfterTheBarrier) {
  auto server = second_node();
  (void)server.line(2, "cmd=barrier_in");
  (void)server.line(3, "cmd=barrier_in");

  const auto released = server.released("zero first\nodd a=b c -\n");

  EXPECT_THAT(released, ElementsAre(Reply{2, "cmd=barrier_out\n"}, Reply{3, "cmd=barrier_out\n"}));
  EXPECT_EQ(server.line(2, "cmd=get kvsname=job-1 key=odd"),
            answered(2, "cmd=get_result rc=0 msg=success value=a=b c -\n"));
  EXPECT_EQ(server.line(3, "cmd=get kvsname=job-1 key=zero"),
            answered(3, "cmd=get_result rc=0 msg=success value=first\n"));
}

TEST(PmiServer, SendsEachKeyOnce) {
  auto server = second_node();
  (void)server.line(2, "cmd=put kvsname=job-1 key=two value=a");
  (void)server.line(2, "cmd=barrier_in");
  (void)server.line(3, "cmd=barrier_in");
  (void)server.released("two a\n");
  (void)server.line(2, "cmd=barrier_in");

  EXPECT_EQ(server.line(3, "cmd=barrier_in"), (Outcome{{}, "", {}, false}));
}

TEST(PmiServer, ReleasesOnlyWhoWaits) {
  auto server = second_node();
  EXPECT_THAT(server.released(""), IsEmpty());
}

TEST(PmiServer, TellsTheCodeOfAnAbort) {
  auto server = second_node();

  EXPECT_EQ(server.line(2, "cmd=abort exitcode=42"), (Outcome{{}, {}, 42, false}));
}

TEST(PmiServer, RefusesWhatIsNoPmi) {
  auto server = second_node();

  EXPECT_EQ(server.line(2, "GET / HTTP/1.1"), (Outcome{{}, {}, {}, true}));
  EXPECT_EQ(server.line(2, ""), (Outcome{{}, {}, {}, true}));
  EXPECT_EQ(server.line(2, "cmd=unheard_of"), (Outcome{{}, {}, {}, true}));
  EXPECT_EQ(server.line(0, "cmd=init"), (Outcome{{}, {}, {}, true})) << "a rank of another node";
}

TEST(PmiServer, RefusesAValueThatIsTooLongForItsReaders) {
  auto server = second_node();
  const std::string line =
      "cmd=put kvsname=job-1 key=a value=" + std::string(PmiServer::kValueBytesMax + 1, 'x');

  EXPECT_EQ(server.line(2, line), answered(2, "cmd=put_result rc=-1 msg=too_long\n"));
}

TEST(PmiServer, KnowsHowFarEachRankIs) {
  auto server = second_node();
  EXPECT_EQ(server.phase(2), PmiServer::Phase::fresh);
  (void)server.line(2, "cmd=init pmi_version=1");
  EXPECT_EQ(server.phase(2), PmiServer::Phase::initialized);
  (void)server.line(2, "cmd=finalize");
  EXPECT_EQ(server.phase(2), PmiServer::Phase::finalized);
  EXPECT_EQ(server.phase(3), PmiServer::Phase::fresh);
}

TEST(PmiServer, NamesARankThatIsGoneOnceAnotherWaitsForIt) {
  auto server = second_node();
  server.gone(3);
  EXPECT_EQ(server.missing(), std::nullopt) << "nobody waits";

  (void)server.line(2, "cmd=barrier_in");

  EXPECT_EQ(server.missing(), 3);
}

}  // namespace
}  // namespace cox::mpi
