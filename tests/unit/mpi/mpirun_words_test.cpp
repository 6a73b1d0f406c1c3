#include "runtime/mpi/mpirun_words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cox::mpi {
namespace {

using testing::HasSubstr;
using How = FailedRank::How;

TEST(FailureText, SaysHowTheFirstRankFailed) {
  EXPECT_THAT(failure_text({How::exit_code, 2, 3, "ip-4"}, "mpirun", 77),
              HasSubstr("  Process name: [[77,1],2]\n  Exit code:    3\n-----"));
  EXPECT_THAT(failure_text({How::signal, 1, 9, "ip-4"}, "mpiexec", 77),
              HasSubstr("mpiexec noticed that process rank 1 with PID 0 on node ip-4 exited on "
                        "signal 9 (Killed).\n"));
  EXPECT_THAT(failure_text({How::no_finalize, 0, 0, "ip-5"}, "mpirun", 77),
              HasSubstr("mpirun has exited due to process rank 0 with PID 0 on\nnode ip-5 exiting "
                        "improperly."));
}

TEST(LineTag, IsMpiruns) {
  EXPECT_EQ(line_tag(3, 1, true, ""), "[1,3]<stderr>:");
  EXPECT_EQ(line_tag(3, 0, true, "now"), "now[1,3]<stdout>:");
  EXPECT_EQ(line_tag(3, 0, false, "now"), "now<stdout>:");
  EXPECT_EQ(line_tag(3, 0, false, ""), "");
}

TEST(BindingText, NamesCoresAndDrawsThem) {
  EXPECT_EQ(binding_text(flat_topology(2, 1), {0}), "bound to socket 0[core 0[hwt 0]]: [B/.]");
  EXPECT_EQ(binding_text(flat_topology(2, 1), {0, 1}),
            "is not bound (or bound to all available processors)");
  Topology two = flat_topology(4, 2);
  two.cores[2].package = two.cores[3].package = 1;
  EXPECT_EQ(binding_text(two, {2}), "bound to socket 1[core 2[hwt 0-1]]: [../..][BB/..]");
  EXPECT_EQ(binding_text(two, {0, 1}),
            "bound to socket 0[core 0[hwt 0-1]], socket 0[core 1[hwt 0-1]]: [BB/BB][../..]");
}

}  // namespace
}  // namespace cox::mpi
