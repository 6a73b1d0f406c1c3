#include "runtime/mpi/hostfile.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cox::mpi {
namespace {

TEST(Hostfile, HasALineForEachNodeInOrder) {
  const std::vector<NodeSlots> nodes{{"10.0.0.12", 2}, {"10.0.0.11", 36}, {"ip-10-0-0-13", 1}};

  EXPECT_EQ(render_hostfile(nodes).value(),
            "10.0.0.12 slots=2\n10.0.0.11 slots=36\nip-10-0-0-13 slots=1\n");
}

struct BadNodes {
  const char* name;
  std::vector<NodeSlots> nodes;
  const char* want;
  friend void PrintTo(const BadNodes& c, std::ostream* out) { *out << c.name; }
};

const BadNodes kBadNodes[] = {
    {"none", {}, "a hostfile needs at least one node"},
    {"no_address", {{"a", 1}, {"", 1}}, "node 1: '' is no address"},
    {"blank", {{"10.0.0.1 slots=9", 1}}, "node 0: '10.0.0.1 slots=9' is no address"},
    {"line_end", {{"a\nb", 1}}, "node 0: 'a\nb' is no address"},
    {"comment", {{"#a", 1}}, "node 0: '#a' is no address"},
    {"relative", {{"+n0", 1}}, "node 0: '+n0' is no address"},
    {"no_slots", {{"a", 1}, {"b", 0}}, "node 1 (b): slots must be at least 1, not 0"},
    {"negative_slots", {{"a", -2}}, "node 0 (a): slots must be at least 1, not -2"},
};

class Refused : public testing::TestWithParam<BadNodes> {};

TEST_P(Refused, NamesTheNode) {
  const auto text = render_hostfile(GetParam().nodes);

  ASSERT_FALSE(text);
  EXPECT_EQ(text.error(), (Error{Errc::invalid_argument, GetParam().want}));
}

INSTANTIATE_TEST_SUITE_P(Hostfile, Refused, testing::ValuesIn(kBadNodes),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace cox::mpi
