#include "runtime/agent/variables.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cox::agent {
namespace {

TEST(Variables, HaveEachNameOnce) {
  Variables variables;
  variables.set("A", "1");
  variables.set("AB", "2");
  variables.set("A", "3=4");
  variables.add("AB", "5");
  variables.add("B", "");
  variables.set("", "x");

  EXPECT_THAT(std::move(variables).list(), testing::ElementsAre("A=3=4", "AB=2", "B=", "=x"));
}

}  // namespace
}  // namespace cox::agent
