#include <gtest/gtest.h>

#include "runtime/agent/agent.hpp"

namespace cox::agent {
namespace {

TEST(ParseOptions, ReadsEveryMember) {
  const auto options = parse_options(
      R"({"node":"i-1","cluster":"tutor","head_address":"10.0.0.1","head_port":7000,)"
      R"("certificate":"C","private_key":"K","ca_certificate":"CA","address":"10.0.0.12",)"
      R"("hostname":"ip-10-0-0-12","instance_type":"c4.large","region":"eu-west-1",)"
      R"("scratch":"/s","socket":"/run/a.sock","bin_dir":"/b","mpi_bin_dir":"/m","cgroup":"/c",)"
      R"("vcpus":2,"memory_mib":3840,"first_process":true,"metadata":true,"os_home":"/home/u"})");

  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->node, NodeId{"i-1"});
  EXPECT_EQ(options->cluster, "tutor");
  EXPECT_EQ(options->head_address, "10.0.0.1");
  EXPECT_EQ(options->head_port, 7000);
  EXPECT_EQ(options->identity.certificate, "C");
  EXPECT_EQ(options->identity.private_key, "K");
  EXPECT_EQ(options->identity.ca_certificate, "CA");
  EXPECT_EQ(options->address, "10.0.0.12");
  EXPECT_EQ(options->hostname, "ip-10-0-0-12");
  EXPECT_EQ(options->instance_type, "c4.large");
  EXPECT_EQ(options->region, "eu-west-1");
  EXPECT_EQ(options->scratch, "/s");
  EXPECT_EQ(options->socket, "/run/a.sock");
  EXPECT_EQ(options->bin_dir, "/b");
  EXPECT_EQ(options->mpi_bin_dir, "/m");
  EXPECT_EQ(options->cgroup, "/c");
  EXPECT_EQ(options->vcpus, 2);
  EXPECT_EQ(options->memory_mib, 3840);
  EXPECT_TRUE(options->first_process);
  EXPECT_TRUE(options->metadata);
  EXPECT_EQ(options->os_home, "/home/u");
}

TEST(ParseOptions, ReadsWhatIsNotThereAsNothing) {
  const auto options = parse_options(
      R"({"node":"i-1","head_address":"h","scratch":"/s","socket":"/a","vcpus":"2"})");

  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->vcpus, 0);  // of another type
  EXPECT_EQ(options->cgroup, "");
  EXPECT_FALSE(options->first_process);
}

TEST(ParseOptions, RefusesWhatItCannotWorkWith) {
  const Error no_json{Errc::invalid_argument, "the agent's options are not a JSON object"};
  const Error lacks{Errc::invalid_argument,
                    "the agent's options lack one of node, head_address, scratch, socket"};

  EXPECT_EQ(parse_options("").error(), no_json);
  EXPECT_EQ(parse_options("[]").error(), no_json);
  EXPECT_EQ(parse_options("{}").error(), lacks);
  EXPECT_EQ(parse_options(R"({"node":"i-1","head_address":"h","scratch":"/s"})").error(), lacks);
}

}  // namespace
}  // namespace cox::agent
