#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"
#include "tests/unit/os/temporary_directory.hpp"

namespace cox::os {
namespace {

/// One word from a client of the socket to its server. Empty when it does not get there.
std::string word_through(const Fd& listener, const std::string& path) {
  const auto client = connect_unix(path);
  if (!client) return client.error().message;
  const Fd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!server) return errno_error(errno, "accept").message;
  if (!write_all(client->get(), "word")) return "not written";
  std::array<char, 16> piece{};
  const auto got = ::read(server.get(), piece.data(), piece.size());
  return std::string(piece.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
}

TEST(UnixSockets, HavePathsOfAnyLength) {
  const TemporaryDirectory directory;
  const std::string deep = "d/" + std::string(90, 'a') + "/" + std::string(90, 'b');
  ASSERT_TRUE(make_directories(directory / deep));
  for (const auto& name :
       {std::string("s"), deep + "/s", std::string(200, 'n'), deep + "/" + std::string(255, 'n')}) {
    const auto path = directory / name;
    const auto listener = listen_unix(path, 0600);
    ASSERT_TRUE(listener) << listener.error().message;
    EXPECT_EQ(word_through(*listener, path), "word") << path;
  }
}

TEST(UnixSockets, MayBeNamedRelativeToTheWorkingDirectory) {
  const TemporaryDirectory directory;
  const Fd before(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(::chdir(directory.path().c_str()), 0);
  for (const auto& path : {std::string("s"), std::string(150, 'r')}) {
    const auto listener = listen_unix(path, 0600);
    EXPECT_TRUE(listener) << listener.error().message;
    if (!listener) continue;
    EXPECT_EQ(word_through(*listener, path), "word");
  }
  ASSERT_EQ(::fchdir(before.get()), 0);
}

TEST(UnixSockets, HaveTheModeAskedForAndReplaceAnOldOne) {
  const TemporaryDirectory directory;
  for (const auto& name : {std::string("s"), std::string(200, 'n')}) {
    const auto path = directory / name;
    ASSERT_TRUE(listen_unix(path, 0600));

    const auto listener = listen_unix(path, 0666);

    ASSERT_TRUE(listener) << listener.error().message;
    struct stat status {};
    ASSERT_EQ(::stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777u, 0666u);
    EXPECT_EQ(word_through(*listener, path), "word");
  }
}

TEST(UnixSockets, DoNotReplaceWhatIsNoSocket) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomic(directory / "file", "kept"));

  const auto listener = listen_unix(directory / "file", 0600);

  ASSERT_FALSE(listener);
  EXPECT_EQ(listener.error(),
            (Error{Errc::conflict, (directory / "file") + ": exists and is not a socket"}));
  EXPECT_EQ(read_file(directory / "file"), "kept");
}

TEST(UnixSockets, TellAMissingOneFromOneNobodyServes) {
  const TemporaryDirectory directory;
  for (const auto& name : {std::string("s"), std::string(200, 'n')}) {
    const auto path = directory / name;
    EXPECT_EQ(connect_unix(path).error(),
              (Error{Errc::not_found, path + ": No such file or directory"}));
    ASSERT_TRUE(listen_unix(path, 0600));  // and closed at once
    EXPECT_EQ(connect_unix(path).error(),
              (Error{Errc::unavailable, path + ": Connection refused"}));
  }
}

TEST(TcpSockets, GetAFreePortAndKeepItFromOthers) {
  const auto listener = listen_tcp("127.0.0.1", 0);
  ASSERT_TRUE(listener) << listener.error().message;
  const int port = local_port(*listener);
  EXPECT_GT(port, 0);

  const auto second = listen_tcp("127.0.0.1", port);

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error(), (Error{Errc::conflict, "127.0.0.1:" + std::to_string(port) +
                                                       ": Address already in use"}));
}

TEST(TcpSockets, RefuseWhatIsNoAddress) {
  for (const char* address : {"", "localhost", "10.0.0", "10.0.0.1x"}) {
    const auto listener = listen_tcp(address, 0);
    ASSERT_FALSE(listener) << address;
    EXPECT_EQ(listener.error().code, Errc::invalid_argument) << address;
  }
}

}  // namespace
}  // namespace cox::os
