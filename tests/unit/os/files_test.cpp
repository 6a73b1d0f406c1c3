#include "runtime/os/files.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>

#include "tests/unit/os/temporary_directory.hpp"

namespace cox::os {
namespace {

namespace fs = std::filesystem;
using testing::EndsWith;

unsigned mode_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777u : 0u;
}

TEST(Fd, ClosesWhatItOwnsOnce) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const Fd other(ends[1]);
  {
    Fd first(ends[0]);
    Fd second(std::move(first));
    EXPECT_FALSE(first);
    EXPECT_EQ(second.get(), ends[0]);
    EXPECT_EQ(::fcntl(ends[0], F_GETFD), 0);
  }
  EXPECT_EQ(::fcntl(ends[0], F_GETFD), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST(Fd, ReleasesWithoutClosing) {
  Fd owner(::dup(0));
  const Fd still(owner.release());

  EXPECT_FALSE(owner);
  EXPECT_NE(::fcntl(still.get(), F_GETFD), -1);
}

struct ErrnoCase {
  int error_number;
  Errc want;
};

TEST(ErrnoError, SortsByWhatACallerCanDo) {
  for (const auto& c :
       {ErrnoCase{ENOENT, Errc::not_found}, ErrnoCase{EEXIST, Errc::conflict},
        ErrnoCase{EADDRINUSE, Errc::conflict}, ErrnoCase{EAGAIN, Errc::unavailable},
        ErrnoCase{ECONNREFUSED, Errc::unavailable}, ErrnoCase{EIO, Errc::internal}}) {
    EXPECT_EQ(errno_error(c.error_number, "x").code, c.want) << c.error_number;
  }
  EXPECT_EQ(errno_error(ENOENT, "/etc/x"),
            (Error{Errc::not_found, "/etc/x: No such file or directory"}));
}

TEST(ReadFile, GivesTheWholeContentUpToALimit) {
  const TemporaryDirectory directory;
  const std::string content(200000, 'x');
  ASSERT_TRUE(write_file_atomic(directory / "file", content));

  EXPECT_EQ(read_file(directory / "file", content.size()), content);
  const auto refused = read_file(directory / "file", content.size() - 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(),
            (Error{Errc::invalid_argument, (directory / "file") + ": larger than 199999 bytes"}));
  EXPECT_EQ(read_file(directory / "other").error().code, Errc::not_found);
}

TEST(WriteFileAtomic, ReplacesContentAndModeAndLeavesNothingElse) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomic(directory / "file", "old", 0644));
  EXPECT_EQ(mode_of(directory / "file"), 0644u);

  ASSERT_TRUE(write_file_atomic(directory / "file", "new", 0600));

  EXPECT_EQ(read_file(directory / "file"), "new");
  EXPECT_EQ(mode_of(directory / "file"), 0600u);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);
}

TEST(WriteFileAtomic, ReplacesALinkAndNotWhatItPointsTo) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomic(directory / "target", "kept"));
  fs::create_symlink("target", directory / "link");

  ASSERT_TRUE(write_file_atomic(directory / "link", "new"));

  EXPECT_EQ(read_file(directory / "target"), "kept");
  EXPECT_EQ(read_file(directory / "link"), "new");
}

TEST(WriteFileAtomic, LeavesNothingWhenItFails) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(make_directories(directory / "taken/by-a-directory"));

  const auto written = write_file_atomic(directory / "taken", "x");

  ASSERT_FALSE(written);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()), {}), 1);
  EXPECT_EQ(write_file_atomic(directory / "no/file", "x").error().code, Errc::not_found);
}

TEST(MakeDirectories, MakesParentsAndTakesWhatIsThere) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(make_directories(directory / "a/b/c/", 0700));
  ASSERT_TRUE(make_directories(directory / "a/b/c"));
  EXPECT_EQ(mode_of(directory / "a/b"), 0700u);
  ASSERT_TRUE(write_file_atomic(directory / "file", ""));

  const auto made = make_directories(directory / "file/below");
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, EndsWith("/file/below: Not a directory"));
  EXPECT_EQ(make_directories(directory / "file").error(),
            (Error{Errc::conflict, (directory / "file") + ": is not a directory"}));
}

TEST(WriteAll, TellsWhenNobodyReads) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
  const Fd in(ends[0]);
  const Fd out(ends[1]);

  const auto written = write_all(out.get(), std::string(1u << 20, 'x'));

  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Errc::unavailable);
}

TEST(RemoveTree, RemovesFilesDirectoriesAndLinksButNotTheirTargets) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(make_directories(directory / "tree/a/b"));
  ASSERT_TRUE(make_directories(directory / "kept/below"));
  ASSERT_TRUE(write_file_atomic(directory / "tree/a/file", "x"));
  ASSERT_TRUE(write_file_atomic(directory / "kept/file", "x"));
  fs::create_directory_symlink(directory / "kept", directory / "tree/a/link");
  fs::create_symlink("nowhere", directory / "tree/dangling");
  ASSERT_EQ(::mkfifo((directory / "tree/fifo").c_str(), 0600), 0);

  const auto removed = remove_tree(directory / "tree");

  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_FALSE(fs::exists(directory / "tree"));
  EXPECT_EQ(read_file(directory / "kept/file"), "x");
  EXPECT_TRUE(fs::exists(directory / "kept/below"));
}

TEST(RemoveTree, RemovesALinkToATreeAlone) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(make_directories(directory / "kept/below"));
  fs::create_directory_symlink("kept", directory / "link");

  ASSERT_TRUE(remove_tree(directory / "link/"));

  EXPECT_FALSE(fs::is_symlink(directory / "link"));
  EXPECT_TRUE(fs::exists(directory / "kept/below"));
}

TEST(RemoveTree, TakesAFileAndNothingAtAll) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomic(directory / "file", "x"));

  EXPECT_TRUE(remove_tree(directory / "file/below"));
  EXPECT_TRUE(remove_tree(directory / "no/such/thing"));
  EXPECT_TRUE(remove_tree(directory / "file"));

  EXPECT_FALSE(fs::exists(directory / "file"));
}

TEST(RemoveTree, RefusesPathsThatNameNoTree) {
  for (const char* path : {"", "/", "///", ".", "..", "/tmp/..", "/tmp/."}) {
    const auto removed = remove_tree(path);
    ASSERT_FALSE(removed) << path;
    EXPECT_EQ(removed.error().code, Errc::invalid_argument) << path;
  }
}

TEST(RemoveTree, GoesDeeperThanDescriptorsReach) {
  const TemporaryDirectory directory;
  constexpr int kDepth = 1000;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{128, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  ASSERT_TRUE(make_directories(directory / "tree"));
  Fd at(::open((directory / "tree").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int level = 0; level < kDepth; ++level) {
    ASSERT_EQ(::mkdirat(at.get(), "deeper", 0700), 0) << level;
    const Fd file(::openat(at.get(), "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_TRUE(file);
    at = Fd(::openat(at.get(), "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(at) << level;
  }

  const auto removed = remove_tree(directory / "tree");

  EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(removed) << removed.error().message;
  EXPECT_FALSE(fs::exists(directory / "tree"));
}

/// Runs the check in a process without root's rights over files. 0 when it holds.
template <class Check>
int as_ordinary_user(const std::string& owned, Check check) {
  constexpr uid_t kNobody = 65534;
  if (::geteuid() == 0 && ::chown(owned.c_str(), kNobody, kNobody) != 0) return 100;
  const pid_t pid = ::fork();
  if (pid == 0) {
    const bool dropped = ::geteuid() != 0 || (::setresgid(kNobody, kNobody, kNobody) == 0 &&
                                              ::setresuid(kNobody, kNobody, kNobody) == 0);
    ::_exit(dropped ? check() : 101);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 102;
}

TEST(RemoveTree, RemovesDirectoriesThatTheirOwnerMadeUnusable) {
  const TemporaryDirectory directory;
  const int result = as_ordinary_user(directory.path(), [&] {
    for (const char* name : {"tree/unreadable/x", "tree/readonly/x", "tree/unenterable/x"}) {
      if (!make_directories(directory / name)) return 1;
    }
    if (::chmod((directory / "tree/unreadable").c_str(), 0) != 0 ||
        ::chmod((directory / "tree/readonly").c_str(), 0500) != 0 ||
        ::chmod((directory / "tree/unenterable").c_str(), 0600) != 0 ||
        ::chmod((directory / "tree").c_str(), 0) != 0) {
      return 2;
    }
    if (!remove_tree(directory / "tree")) return 3;
    return ::access((directory / "tree").c_str(), F_OK) == 0 ? 4 : 0;
  });

  EXPECT_EQ(result, 0);
}

/// Owners of files besides who runs the test: only root can make such files.
std::vector<uid_t> other_owners() {
  return ::geteuid() == 0 ? std::vector<uid_t>{65534} : std::vector<uid_t>{};
}

class RemoveTreeOfTwoOwners : public testing::TestWithParam<uid_t> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RemoveTreeOfTwoOwners);
INSTANTIATE_TEST_SUITE_P(, RemoveTreeOfTwoOwners, testing::ValuesIn(other_owners()));

TEST_P(RemoveTreeOfTwoOwners, GoesOnPastWhatItMayNotRemoveAndNamesIt) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(make_directories(directory / "tree/rooted"));
  ASSERT_TRUE(write_file_atomic(directory / "tree/rooted/file", "x"));
  ASSERT_TRUE(write_file_atomic(directory / "tree/a", "x"));
  ASSERT_TRUE(write_file_atomic(directory / "tree/z", "x"));
  ASSERT_EQ(::chown((directory / "tree").c_str(), GetParam(), GetParam()), 0);
  const int result = as_ordinary_user(directory.path(), [&] {
    const auto removed = remove_tree(directory / "tree");
    if (removed) return 1;
    const auto want = (directory / "tree/rooted/file") + ": Permission denied";
    return removed.error().message == want ? 0 : 2;
  });

  EXPECT_EQ(result, 0);
  EXPECT_FALSE(fs::exists(directory / "tree/a"));
  EXPECT_FALSE(fs::exists(directory / "tree/z"));
  EXPECT_TRUE(fs::exists(directory / "tree/rooted/file"));
}

bool enter_mount_namespace() {
  const auto user = ::geteuid();
  const auto group = ::getegid();
  if (user == 0) return ::unshare(CLONE_NEWNS) == 0;
  if (::unshare(CLONE_NEWNS | CLONE_NEWUSER) != 0) return false;
  const std::pair<const char*, std::string> maps[] = {{"setgroups", "deny"},
                                                      {"uid_map", fmt::format("0 {} 1", user)},
                                                      {"gid_map", fmt::format("0 {} 1", group)}};
  return std::all_of(std::begin(maps), std::end(maps), [](const auto& map) {
    const Fd file(::open(fmt::format("/proc/self/{}", map.first).c_str(), O_WRONLY | O_CLOEXEC));
    return write_all(file.get(), map.second).has_value();
  });
}

/// In a mount namespace of its own. 77: this machine does not allow one (nor would it a cluster).
int remove_a_tree_with_a_mount(const TemporaryDirectory& directory, const char* kind) {
  if (!enter_mount_namespace()) return 77;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 77;
  const auto at = directory / "tree/mounted";
  const bool bound = kind == std::string("bind");
  if (::mount(bound ? (directory / "kept").c_str() : "none", at.c_str(), bound ? nullptr : "tmpfs",
              bound ? MS_BIND : 0, nullptr) != 0) {
    return 77;
  }
  if (!bound && !write_file_atomic(at + "/file", "kept")) return 2;
  const auto removed = remove_tree(directory / "tree");
  if (removed) return 3;
  if (removed.error() != Error{Errc::conflict, at + ": something is mounted there"}) return 4;
  return read_file(at + "/file") == "kept" ? 0 : 5;
}

TEST(RemoveTree, LeavesWhatIsMountedInIt) {
  for (const char* kind : {"bind", "tmpfs"}) {
    const TemporaryDirectory directory;
    ASSERT_TRUE(make_directories(directory / "tree/mounted"));
    ASSERT_TRUE(make_directories(directory / "kept"));
    ASSERT_TRUE(write_file_atomic(directory / "kept/file", "kept"));
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(remove_a_tree_with_a_mount(directory, kind));
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << kind;
    EXPECT_EQ(read_file(directory / "kept/file"), "kept") << kind;
  }
}

class OpenBeneath : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_directories(directory_ / "inside/below"));
    ASSERT_TRUE(write_file_atomic(directory_ / "inside/below/file", "inside"));
    ASSERT_TRUE(write_file_atomic(directory_ / "secret", "outside"));
    fs::create_symlink("below/file", directory_ / "inside/link");
    fs::create_symlink("../secret", directory_ / "inside/escape");
    fs::create_directory_symlink("below", directory_ / "inside/linked");
    beneath_.reset(::open((directory_ / "inside").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(beneath_);
  }

  TemporaryDirectory directory_;
  Fd beneath_;
};

TEST_F(OpenBeneath, OpensAndMakesFilesInside) {
  const auto opened = open_beneath(beneath_.get(), "below/file", O_RDONLY);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(::fcntl(opened->get(), F_GETFD), FD_CLOEXEC);

  const auto made = open_beneath(beneath_.get(), "below/new", O_WRONLY | O_CREAT | O_EXCL, 0640);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(mode_of(directory_ / "inside/below/new") & ~0640u, 0u);
  EXPECT_EQ(open_beneath(beneath_.get(), "below/new", O_WRONLY | O_CREAT | O_EXCL).error().code,
            Errc::conflict);
  EXPECT_EQ(open_beneath(beneath_.get(), "nothing", O_RDONLY).error(),
            (Error{Errc::not_found, "nothing: No such file or directory"}));
  EXPECT_TRUE(open_beneath(beneath_.get(), "below", O_RDONLY | O_DIRECTORY));
}

TEST_F(OpenBeneath, RefusesDotsLinksAndAbsolutePaths) {
  for (const std::string& path :
       {std::string("../secret"), std::string(".."), std::string("below/../../secret"),
        std::string("link"), std::string("escape"), std::string("linked/file"),
        directory_ / "secret", std::string("/etc/passwd")}) {
    for (const int flags : {O_RDONLY, O_WRONLY | O_CREAT}) {
      const auto opened = open_beneath(beneath_.get(), path, flags);
      ASSERT_FALSE(opened) << path;
      EXPECT_EQ(opened.error(),
                (Error{Errc::invalid_argument, path + ": leads outside its directory"}));
    }
  }
  EXPECT_EQ(read_file(directory_ / "secret"), "outside");
}

TEST_F(OpenBeneath, RefusesANameCutByNul) {
  const auto opened = open_beneath(beneath_.get(), std::string("below/file\0.txt", 15), O_RDONLY);

  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::invalid_argument);
}

TEST(ProgramDirectory, HoldsThisProgram) {
  EXPECT_TRUE(fs::equivalent(
      program_directory() + "/" + fs::read_symlink("/proc/self/exe").filename().string(),
      "/proc/self/exe"));
}

}  // namespace
}  // namespace cox::os
