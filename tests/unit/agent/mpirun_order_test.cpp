#include "runtime/agent/mpirun_order.hpp"

#include <gtest/gtest.h>

namespace cox::agent {
namespace {

MpirunOrder some_order() {
  MpirunOrder order;
  order.node_index = 1;
  order.name = "job-1.0.7";
  order.port = 4711;
  order.fan_out = 16;
  order.secret = "s";
  order.hosts = {"ip-4", "ip-5"};
  order.addresses = {"10.0.0.4", "10.0.0.5"};
  order.node_of_rank = {0, 1, 1};
  order.program_of_rank = {0, 0, 1};
  order.universe = 4;
  order.oversubscribed = {0, 1};
  order.names = {"", "10.0.0.5"};
  order.report_ranks = true;
  order.output_directory = "/out";
  order.map_by = "slot";
  order.bind_to = "core";
  order.report_bindings = true;
  order.programs = {{{"./a", "x y", ""}, "/tmp", true, {"A=1:2"}}, {{"b"}, "/", false, {}}};
  return order;
}

TEST(MpirunOrder, ComesBackAsItWas) {
  const auto back = decode_order(encode_order(some_order()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, some_order());
}

TEST(MpirunOrder, IsRefusedWhereItIsCutOrWrong) {
  const auto bytes = encode_order(some_order());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(decode_order(std::string_view(bytes).substr(0, size))) << size;
  }
  EXPECT_FALSE(decode_order(bytes + "1:x"));
  auto order = some_order();
  order.node_of_rank = {0, 2, 1};
  EXPECT_FALSE(decode_order(encode_order(order)));
  order = some_order();
  order.node_index = 2;
  EXPECT_FALSE(decode_order(encode_order(order)));
  order = some_order();
  order.name = "../x";
  EXPECT_FALSE(decode_order(encode_order(order)));
}

}  // namespace
}  // namespace cox::agent
