#include "runtime/wire/message.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <limits>

namespace cox::wire {
namespace {

using testing::HasSubstr;

const PartKey kPart{JobId{"6c1f0f6e-0d6f-4d6e-9d3c-0a8f2f4f6b11:7"}, 2, 3};
const RemoteRoute kRoute{99, kPart, NodeId{"i-2"}, 1, true, 1u << 20, 77};
const std::string kBinary{"a\0b\r\n\xff\xfe\x80", 8};

/// One of each kind, with every member set to something that is not its default.
std::vector<Message> one_of_each() {
  return {
      Hello{7,
            NodeId{"i-00000000000000001"},
            36,
            61440,
            "<xml/>",
            {kPart, PartKey{}},
            true,
            "/opt/cox/bin",
            "/opt/mpi/bin/mpirun",
            "/run/topology.xml",
            "10.0.0.0/24",
            true,
            "10.0.0.7",
            "desk7",
            "0123abcd"},
      Prepared{kPart, {40'123, "0123abcd"}},
      Started{kPart, 1'700'000'000'123},
      Exited{kPart, 1'700'000'000'124, 137, "OutOfMemoryError: killed"},
      Output{kPart, 5, {{1, 1'700'000'000'000, 1, kBinary}, {2, -5, 0, ""}}},
      RankExited{kPart, 4, 1'700'000'000'125, 139, 123'456, 9'876'543,
                 "called MPI_Abort with code 11"},
      RemoteStart{kRoute, "10.0.0.12", "orted --x 'y'"},
      RemoteInput{kRoute, kBinary, true},
      RemoteOutput{kRoute, 1, kBinary},
      RemoteExited{kRoute, -1, "no such node"},
      Welcome{"tutor2", true},
      FilePiece{kPart, "job.sh", 0755, kBinary, false},
      Prepare{kPart,
              {1001, 1002, "coxuser"},
              {"/bin/sh", "-c", "true"},
              {{"AWS_BATCH_JOB_ID", "x"}},
              4,
              2048,
              true,
              {{0, NodeId{"i-1"}, "10.0.0.11", "ip-10-0-0-11", 2},
               {1, NodeId{"i-2"}, "10.0.0.12", "ip-10-0-0-12", 3}},
              "10.0.0.11 slots=2\n",
              {{"OMPI_MCA_btl", "self,vader,tcp"}},
              false,
              "job-x",
              {{0, {0, 1}}, {1, {}}},
              "openmpi",
              {"python:3",
               "games",
               {{"/a", "/b", true}, {"", "/c", false}},
               {{"nofile", -1, 5}},
               {{"/t", 5, {"noexec"}}},
               {{"/dev/fuse", "", "rw"}},
               true,
               true,
               true,
               64},
              true},
      Launch{kPart, {40'123, "0123abcd"}},
      Stop{kPart, 5, "asked by the user"},
      OutputAck{kPart, -1, std::numeric_limits<std::uint64_t>::max()},
      ExitedAck{kPart},
      Preparing{kPart, "Pulling image python:3"},
      Health{1'700'000'000'126, "its disk is full"},
      OutputKept{kPart, 3, "j-1/rank-3", {{1, 1'700'000'000'127, 0, 2, 8, 32}}},
      OutputUnseen{kPart, 3},
      RemoteTaken{kRoute, 1 << 20},
      RemoteHave{kRoute, true, true},
      RemoteLost{kPart, "the node cannot be reached"},
  };
}

TEST(Codec, BringsBackEveryKindOfMessage) {
  const auto messages = one_of_each();
  ASSERT_EQ(messages.size(), std::variant_size_v<Message>);

  for (std::size_t kind = 0; kind < messages.size(); ++kind) {
    ASSERT_EQ(messages[kind].index(), kind) << "the list above is in the variant's order";
    const auto back = decode(encode(messages[kind]));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_TRUE(*back == messages[kind]) << "kind " << kind + 1;
  }
}

TEST(Codec, RefusesEveryCutAndEveryTrailingByte) {
  for (const auto& message : one_of_each()) {
    const auto bytes = encode(message);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      // An allocation of its own, so that a sanitizer sees any read beyond its end.
      const auto cut = decode(std::string(bytes, 0, size));
      ASSERT_FALSE(cut) << "kind " << message.index() + 1 << " cut to " << size;
      EXPECT_EQ(cut.error().code, Errc::invalid_argument);
    }
    EXPECT_FALSE(decode(bytes + '\0')) << "kind " << message.index() + 1;
  }
}

TEST(Codec, WritesTheBytesThatOtherVersionsExpect) {
  EXPECT_EQ(encode(Launch{{JobId{"ab"}, 1, -1}}), std::string("\x0e\x02"
                                                              "ab\x02\x01\0\0",
                                                              8));
  EXPECT_EQ(encode(OutputAck{{JobId{""}, 0, 64}, -1, 300}),
            std::string("\x10\0\0\x80\x01\x01\xac\x02", 8));
  EXPECT_EQ(encode(Welcome{"c"}), std::string("\x0b\x01"
                                              "c\0",
                                              4));
}

struct RefusedCase {
  const char* name;
  std::string bytes;
  const char* want;
  friend void PrintTo(const RefusedCase& c, std::ostream* out) { *out << c.name; }
};

const RefusedCase kRefused[] = {
    {"no_bytes", "", "a message without bytes"},
    {"tag_zero", std::string(1, '\0'), "a message of the unknown kind 0"},
    {"tag_too_large", "\x19", "a message of the unknown kind 25"},
    {"text_longer_than_the_frame", "\x0b\xff\xff\xff\xff\x0f", "a malformed message of kind 11"},
    {"text_of_2_to_the_64", "\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "malformed"},
    {"number_of_more_than_64_bits", "\x0b\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "malformed"},
    {"number_that_never_ends", "\x0b\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80", "malformed"},
    {"number_in_too_many_bytes", std::string("\x0b\x81\0a", 4), "malformed"},
    {"truth_value_of_two", std::string("\x08\0\0\0\0\0\0\2\0\0\0\0", 12), "malformed"},
    {"attempt_beyond_an_int", std::string("\x0e\0\xff\xff\xff\xff\xff\1\0", 9), "malformed"},
    {"hello_of_another_version", "\x01\x63 and more", "speaks version 99 of the protocol, not 8"},
};

class Refused : public testing::TestWithParam<RefusedCase> {};

TEST_P(Refused, WithWhatIsWrong) {
  const auto message = decode(GetParam().bytes);

  ASSERT_FALSE(message);
  EXPECT_EQ(message.error().code, Errc::invalid_argument);
  EXPECT_THAT(message.error().message, HasSubstr(GetParam().want));
}

INSTANTIATE_TEST_SUITE_P(, Refused, testing::ValuesIn(kRefused),
                         [](const auto& test) { return test.param.name; });

TEST(Codec, RefusesAListThatCouldNotFitBeforeMakingRoomForIt) {
  // 64 records of at least four bytes each do not fit into 200 bytes.
  const auto bytes = std::string("\x05\0\0\0\0\x40", 6) + std::string(200, '\0');

  EXPECT_FALSE(decode(bytes));
  EXPECT_TRUE(decode(std::string("\x05\0\0\0\0\x32", 6) + std::string(200, '\0')));
}

TEST(Codec, RefusesAFrameBeyondTheLimit) {
  const auto bytes = encode(Welcome{std::string(kFrameBytesMax, 'x')});

  const auto message = decode(bytes);

  ASSERT_FALSE(message);
  EXPECT_THAT(message.error().message, HasSubstr("more than 4194304"));
}

RC_GTEST_PROP(Codec, BringsBackAnyOutput, ()) {
  Output output;
  output.part = {JobId{*rc::gen::arbitrary<std::string>()}, *rc::gen::arbitrary<int>(),
                 *rc::gen::arbitrary<int>()};
  output.rank = *rc::gen::arbitrary<int>();
  const auto count = *rc::gen::inRange(0, 20);
  for (int i = 0; i < count; ++i) {
    output.records.push_back(
        {*rc::gen::arbitrary<std::uint64_t>(), *rc::gen::arbitrary<std::int64_t>(),
         *rc::gen::arbitrary<std::uint8_t>(), *rc::gen::arbitrary<std::string>()});
  }

  const auto back = decode(encode(output));

  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == Message{output});
}

RC_GTEST_PROP(Codec, EitherRefusesBytesOrReadsThemExactly, ()) {
  auto bytes = *rc::gen::arbitrary<std::string>();
  bytes.insert(bytes.begin(), static_cast<char>(*rc::gen::inRange(1, 19)));

  const auto message = decode(bytes);

  if (message) {
    RC_ASSERT(encode(*message) == bytes);
  }
}

RC_GTEST_PROP(Codec, SurvivesDamagedMessages, ()) {
  static const auto kMessages = one_of_each();
  auto bytes = encode(*rc::gen::elementOf(kMessages));
  const auto place = *rc::gen::inRange<std::size_t>(0, bytes.size());
  bytes[place] = *rc::gen::arbitrary<char>();

  const auto message = decode(bytes);

  if (message) {
    RC_ASSERT(encode(*message) == bytes);
  }
}

}  // namespace
}  // namespace cox::wire
