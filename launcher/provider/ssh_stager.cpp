#include "launcher/provider/ssh_stager.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "launcher/provider/program_run.hpp"
#include "launcher/provider/ssh_command.hpp"
#include "launcher/provider/stage_command.hpp"
#include "runtime/os/files.hpp"

namespace cox::provider {
namespace {

using namespace std::chrono_literals;

/// rsync gives up by itself when nothing moves; this is for what it does not notice.
constexpr auto kCopyTime = 24h;

/// Errors: not_found, invalid_argument for a link on the way there.
Result<void> look_beneath(const StagedSet& set) {
  const os::Fd top(::open(set.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return fail(os::errno_error(errno, set.directory));
  for (const auto& path : set.paths) {
    const auto whole = set.directory + "/" + path;
    const auto found = os::open_beneath(top.get(), path, O_PATH | O_CLOEXEC);
    if (found) continue;
    struct stat status {};
    if (::lstat(whole.c_str(), &status) != 0 && errno == ENOENT) {
      return fail(Errc::not_found, "the input {} is not on this machine", whole);
    }
    return fail(Errc::invalid_argument,
                "the input {} is a link, or lies behind one: name the path that it leads to, in {}",
                whole, set.directory);
  }
  return {};
}

/// Where results go: no part of the way may be a link, which a job before may have brought here.
/// What is not there yet is made by rsync. Errors: invalid_argument.
Result<void> look_at_way(const StagedSet& set) {
  const os::Fd top(::open(set.directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return fail(os::errno_error(errno, set.directory));
  for (const auto& path : set.paths) {
    for (auto end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1)) {
      const auto part = path.substr(0, end);
      const auto found = os::open_beneath(top.get(), part, O_PATH | O_DIRECTORY | O_CLOEXEC);
      if (found) continue;
      if (found.error().code == Errc::not_found) break;
      return fail(Errc::invalid_argument,
                  "{}/{} on this machine is a link or no directory: results are not brought there",
                  set.directory, part);
    }
  }
  return {};
}

/// One rsync.
class Copy : public Stager::Run {
 public:
  using Judge = std::function<Result<StagedBytes>(const os::RunResult&)>;

  Copy(os::EventLoop& loop, Stager::Done done) : loop_(loop), done_(std::move(done)) {}
  ~Copy() override { *alive_ = false; }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;

  void refuse(const Error& error) { answer(fail(error)); }

  void start(std::vector<std::string> argv, std::string input, Stager::Progress progress,
             Judge judge) {
    ProgramSpec spec{std::move(argv), std::move(input), kCopyTime};
    if (progress) {
      spec.on_output = [this, progress = std::move(progress)](const std::string& said) {
        const auto percent = percent_of(said);
        if (!percent || *percent == percent_) return;
        percent_ = *percent;
        progress(percent_);
      };
    }
    auto run = run_program(loop_, spec, [this, judge = std::move(judge)](os::RunResult result) {
      answer(judge(result));
    });
    if (!run) return answer(fail(run.error()));
    run_ = std::move(*run);
  }

 private:
  /// Never from inside a call, and not from inside the run, which goes with this object.
  void answer(Result<StagedBytes> result) {
    loop_.post([this, alive = alive_, result = std::move(result)] {
      if (!*alive) return;
      const auto done = std::exchange(done_, nullptr);
      if (done) done(result);  // may drop this object
    });
  }

  os::EventLoop& loop_;
  Stager::Done done_;
  int percent_ = -1;
  std::unique_ptr<ProgramRun> run_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

class SshStager : public Stager {
 public:
  SshStager(os::EventLoop& loop, SshStagerOptions options)
      : loop_(loop), options_(std::move(options)) {}

  bool serves(const NodeId& node) const override { return options_.host_of(node).has_value(); }

  std::unique_ptr<Run> bring(const StagedSet& set, const std::optional<NodeId>& from,
                             const NodeId& to, Progress progress, Done done) override {
    auto copy = std::make_unique<Copy>(loop_, std::move(done));
    const auto* host = host_of(to);
    const auto* source = from ? host_of(*from) : nullptr;
    if (host == nullptr || (from && source == nullptr)) {
      copy->refuse({Errc::unavailable, "the node is on no host any more"});
      return copy;
    }
    const auto judge = [target = host->target, set](const os::RunResult& result) {
      return judge_of(target, set, result);
    };
    if (source != nullptr) {
      copy->start(
          ssh_argv(source->target, relay_script(host->target, host->address, set.directory)),
          rsync_input(set), std::move(progress), judge);
    } else if (const auto there = look_beneath(set); !there) {
      copy->refuse(there.error());
    } else {
      copy->start(bring_argv(host->target, set.directory), rsync_input(set), std::move(progress),
                  judge);
    }
    return copy;
  }

  std::unique_ptr<Run> fetch(const StagedSet& set, const NodeId& from, Done done) override {
    auto copy = std::make_unique<Copy>(loop_, std::move(done));
    const auto* host = host_of(from);
    if (host == nullptr) {
      copy->refuse({Errc::unavailable, "the node is on no host any more"});
    } else if (const auto way = look_at_way(set); !way) {
      copy->refuse(way.error());
    } else {
      copy->start(fetch_argv(host->target, set.directory), rsync_input(set), {},
                  [target = host->target, set](const os::RunResult& result) {
                    auto missing = missing_of(set, result.exit_code, result.err);
                    if (missing.empty()) return judge_of(target, set, result);
                    auto totals = totals_of(result.out);
                    totals.missing = std::move(missing);
                    return Result<StagedBytes>(std::move(totals));
                  });
    }
    return copy;
  }

 private:
  static Result<StagedBytes> judge_of(const SshTarget& target, const StagedSet& set,
                                      const os::RunResult& result) {
    if (result.exit_code == 0) return totals_of(result.out);
    return fail(explain_rsync_failure(target, set.directory, result.exit_code, result.err));
  }

  [[nodiscard]] const PlannedHost* host_of(const NodeId& node) const {
    const auto host = options_.host_of(node);
    return host && *host < options_.plan.hosts.size() ? &options_.plan.hosts[*host] : nullptr;
  }

  os::EventLoop& loop_;
  SshStagerOptions options_;
};

}  // namespace

std::unique_ptr<Stager> make_ssh_stager(os::EventLoop& loop, SshStagerOptions options) {
  return std::make_unique<SshStager>(loop, std::move(options));
}

}  // namespace cox::provider
