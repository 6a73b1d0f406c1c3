#include "runtime/os/process.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>

#include "runtime/os/files.hpp"
#include "tests/unit/os/temporary_directory.hpp"

namespace cox::os {
namespace {

using testing::HasSubstr;

/// Starts the program with its output into a pipe; what it wrote, to its end.
Result<std::string> output_of(SpawnSpec spec) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(errno_error(errno, "pipe"));
  const Fd in(ends[0]);
  Fd out(ends[1]);
  spec.descriptors.emplace_back(out.get(), 1);
  const auto pid = spawn(spec);
  if (!pid) return fail(pid.error());
  out.reset();
  auto text = read_file("/proc/self/fd/" + std::to_string(in.get()));
  ::waitpid(*pid, nullptr, 0);
  return text;
}

SpawnSpec shell(const std::string& script) {
  SpawnSpec spec;
  spec.argv = {"sh", "-c", script};
  return spec;
}

struct RefusedCase {
  const char* name;
  const char* program;  // "@" stands for the test's directory
  const char* directory;
  Errc want;
  const char* want_message;

  friend void PrintTo(const RefusedCase& c, std::ostream* out) { *out << c.name; }
};

const RefusedCase kRefused[] = {
    {"missing_path", "@/nothing", "", Errc::not_found, "@/nothing: No such file or directory"},
    {"missing_in_path", "no-such-program-anywhere", "", Errc::not_found,
     "no-such-program-anywhere: command not found"},
    {"below_a_file", "@/plain/program", "", Errc::not_found, "@/plain/program: Not a directory"},
    {"not_executable", "@/plain", "", Errc::invalid_argument, "@/plain: Permission denied"},
    {"a_directory", "@/directory", "", Errc::invalid_argument, "@/directory: Permission denied"},
    {"no_format", "@/garbage", "", Errc::invalid_argument, "@/garbage: Exec format error"},
    {"interpreter_missing", "@/script", "", Errc::not_found, "@/script: No such file or directory"},
    {"directory_missing", "/bin/true", "@/nothing", Errc::not_found,
     "@/nothing: No such file or directory"},
};

class Refused : public testing::TestWithParam<RefusedCase> {};

std::string at(std::string text, const TemporaryDirectory& directory) {
  if (!text.empty() && text.front() == '@') text.replace(0, 1, directory.path());
  return text;
}

TEST_P(Refused, IsToldAtOnceAndLeavesNoProcess) {
  const auto& c = GetParam();
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomic(directory / "plain", "text", 0644));
  ASSERT_TRUE(write_file_atomic(directory / "garbage", std::string("\1\2\3\4", 4), 0755));
  ASSERT_TRUE(write_file_atomic(directory / "script", "#!/no/such/interpreter\n", 0755));
  ASSERT_TRUE(make_directories(directory / "directory"));
  SpawnSpec spec;
  spec.argv = {at(c.program, directory)};
  spec.directory = at(c.directory, directory);

  const auto pid = spawn(spec);

  ASSERT_FALSE(pid);
  EXPECT_EQ(pid.error(), (Error{c.want, at(c.want_message, directory)}));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
  EXPECT_EQ(errno, ECHILD);
}

INSTANTIATE_TEST_SUITE_P(, Refused, testing::ValuesIn(kRefused),
                         [](const auto& test) { return test.param.name; });

TEST(Spawn, RefusesAnEmptyCommandAndAnArgumentTooLong) {
  SpawnSpec spec;
  const auto empty = spawn(spec);
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error(), (Error{Errc::invalid_argument, "no program to start"}));

  spec.argv = {"/bin/true", std::string(4u << 20, 'x')};
  const auto long_one = spawn(spec);
  ASSERT_FALSE(long_one);
  EXPECT_EQ(long_one.error(), (Error{Errc::invalid_argument, "/bin/true: Argument list too long"}));
}

TEST(Spawn, GivesArgumentsEnvironmentAndDirectory) {
  const TemporaryDirectory directory;
  auto spec = shell("printf '%s|' \"$0\" \"$@\" \"$(pwd -P)\" \"$ONE\" \"${HOME-none}\"");
  spec.argv.insert(spec.argv.end(), {"a b", "", "c'd"});
  spec.environment = {"ONE=1 and a half", "PATH=/usr/bin:/bin"};
  spec.directory = directory.path();

  const auto text = output_of(spec);

  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "a b||c'd|" + directory.path() + "|1 and a half|none|");
}

TEST(Spawn, InheritsTheEnvironmentWhenNoneIsGiven) {
  ::setenv("COX_TEST_INHERITED", "from the parent", 1);
  const auto text = output_of(shell("printf %s \"$COX_TEST_INHERITED\""));
  ::unsetenv("COX_TEST_INHERITED");

  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "from the parent");
}

TEST(Spawn, PutsDescriptorsInPlaceEvenWhenTheyAreSwapped) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomic(directory / "a", "A"));
  ASSERT_TRUE(write_file_atomic(directory / "b", "B"));
  const Fd a(::open((directory / "a").c_str(), O_RDONLY | O_CLOEXEC));
  const Fd b(::open((directory / "b").c_str(), O_RDONLY | O_CLOEXEC));
  // Two for single digits are wanted: a shell's redirection takes no other.
  auto spec = shell("cat <&5; cat <&6");
  const Fd five(::fcntl(a.get(), F_DUPFD_CLOEXEC, 50));
  spec.descriptors = {{five.get(), 6}, {b.get(), 5}};

  const auto text = output_of(spec);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "BA");

  // The very numbers exchanged: each is the other's target.
  struct stat status_a {};
  struct stat status_b {};
  ASSERT_EQ(::fstat(a.get(), &status_a), 0);
  ASSERT_EQ(::fstat(b.get(), &status_b), 0);
  auto swapped = shell("stat -L -c %i /proc/self/fd/" + std::to_string(a.get()) +
                       " /proc/self/fd/" + std::to_string(b.get()));
  swapped.descriptors = {{a.get(), b.get()}, {b.get(), a.get()}};
  const auto inodes = output_of(swapped);
  ASSERT_TRUE(inodes) << inodes.error().message;
  EXPECT_EQ(*inodes,
            std::to_string(status_b.st_ino) + "\n" + std::to_string(status_a.st_ino) + "\n");
}

TEST(Spawn, ClosesAllOtherDescriptors) {
  // Neither is close-on-exec; both must be gone.
  const Fd low(::dup(2));
  const Fd high(::fcntl(2, F_DUPFD, 300));
  const Fd wanted(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  SpawnSpec spec;
  spec.argv = {"/bin/ls", "/proc/self/fd"};
  spec.descriptors = {{wanted.get(), 7}};

  const auto text = output_of(spec);

  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "0\n1\n2\n3\n7\n");  // 3 is ls's own, of the directory it lists
}

TEST(Spawn, RefusesADescriptorThatIsNotOpen) {
  auto spec = shell("exit 0");
  spec.descriptors = {{987, 3}};

  const auto pid = spawn(spec);

  ASSERT_FALSE(pid);
  EXPECT_EQ(pid.error().code, Errc::internal);
  EXPECT_THAT(pid.error().message, HasSubstr("Bad file descriptor"));
}

TEST(Spawn, ResetsSignalMaskAndDispositions) {
  struct sigaction before {};
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  sigset_t blocked;
  sigset_t mask_before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &blocked, &mask_before);
  SpawnSpec spec;
  spec.argv = {"/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"};

  const auto text = output_of(spec);

  sigset_t mask_after;
  ::sigprocmask(SIG_SETMASK, &mask_before, &mask_after);
  struct sigaction after {};
  ::sigaction(SIGPIPE, &before, &after);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  EXPECT_EQ(sigismember(&mask_after, SIGTERM), 1) << "the parent's own mask changed";
  EXPECT_EQ(sigismember(&mask_after, SIGHUP), 0) << "the parent's own mask changed";
  EXPECT_EQ(after.sa_handler, SIG_IGN) << "the parent's own dispositions changed";
}

TEST(Spawn, MakesASessionOnlyWhenAsked) {
  const auto same = output_of(shell("ps -o sid= -p $$ | tr -d ' '"));
  ASSERT_TRUE(same) << same.error().message;
  EXPECT_EQ(*same, std::to_string(::getsid(0)) + "\n");

  auto own = shell("test $(ps -o sid= -p $$) = $$ && echo leader");
  own.new_session = true;
  const auto text = output_of(own);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(*text, "leader\n");
}

/// Waits for the end of a process that is not a child.
bool ends_within(const Fd& pidfd, std::chrono::milliseconds time) {
  pollfd watched{pidfd.get(), POLLIN, 0};
  return ::poll(&watched, 1, static_cast<int>(time.count())) == 1;
}

TEST(Spawn, LetsAChildDieWithItsParentWhenAsked) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const Fd in(ends[0]);
  Fd out(ends[1]);
  const pid_t parent = ::fork();
  if (parent == 0) {
    auto spec = shell("exec sleep 600");
    spec.die_with_parent = true;
    const auto pid = spawn(spec);
    const pid_t told = pid ? *pid : -1;
    if (::write(out.get(), &told, sizeof told) != sizeof told) ::_exit(1);
    ::pause();
  }
  out.reset();
  pid_t child = 0;
  ASSERT_EQ(::read(in.get(), &child, sizeof child), static_cast<ssize_t>(sizeof child));
  ASSERT_GT(child, 0);
  const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
  ASSERT_TRUE(pidfd);
  EXPECT_FALSE(ends_within(pidfd, std::chrono::milliseconds(20))) << "it ended before its parent";

  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);

  EXPECT_TRUE(ends_within(pidfd, std::chrono::seconds(20)));
}

TEST(Run, CapturesBothOutputsAndTheExitCode) {
  const auto result = run({"sh", "-c", "echo out; echo err >&2; exit 3"});

  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->out, "out\n");
  EXPECT_EQ(result->err, "err\n");
}

TEST(Run, TellsASignalAs128AndItsNumber) {
  const auto result = run({"sh", "-c", "kill -TERM $$"});

  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->exit_code, 128 + SIGTERM);
}

TEST(Run, FeedsMoreInputThanAPipeHolds) {
  std::string input;
  for (int i = 0; i < 300000; ++i) input += std::to_string(i) + '\n';

  const auto result = run({"cat"}, input);

  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->out, input);
}

TEST(Run, SurvivesAProgramThatReadsNoInput) {
  const auto result = run({"sh", "-c", "exec <&-; echo done"}, std::string(4u << 20, 'x'));

  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->exit_code, 0);
  EXPECT_EQ(result->out, "done\n");
}

TEST(Run, FeedsAProgramThatHasClosedItsOutputs) {
  const auto result =
      run({"sh", "-c", "exec >&- 2>&-; test $(wc -c) = 1048576"}, std::string(1u << 20, 'x'));

  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->exit_code, 0);
}

TEST(Run, DoesNotWaitForWhatTheProgramLeftRunning) {
  const auto began = std::chrono::steady_clock::now();

  const auto result = run({"sh", "-c", "sleep 30 & echo $!"});

  ASSERT_TRUE(result) << result.error().message;
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(20));
  const int left = std::stoi(result->out);
  EXPECT_EQ(::kill(left, SIGKILL), 0) << "what it left had ended as well";
}

TEST(Run, ReportsAMissingProgram) {
  const auto result = run({"no-such-program-anywhere"});

  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(),
            (Error{Errc::not_found, "no-such-program-anywhere: command not found"}));
}

}  // namespace
}  // namespace cox::os
