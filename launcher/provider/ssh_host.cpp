#include "launcher/provider/ssh_host.hpp"

#include "launcher/provider/ssh_command.hpp"
#include "runtime/base/text.hpp"

namespace cox::provider {
namespace {

using namespace std::chrono_literals;

constexpr auto kCopyTime = 120s;
constexpr auto kCommandTime = 40s;

class Task : public HostTask {
 public:
  Task(HostAccess access, SshTarget target, HostAnswer done)
      : access_(std::move(access)), target_(std::move(target)), done_(std::move(done)) {}
  ~Task() override { *alive_ = false; }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  void run_agent(std::vector<std::string> words, std::string input) {
    words_ = std::move(words);
    input_ = std::move(input);
    call_agent(true);
  }

  void hold_agent(std::vector<std::string> words) {
    words_ = std::move(words);
    held_ = true;
    call_agent(true);
  }

  void run_script(const std::string& script) {
    start(script, {}, kCommandTime, [this](os::RunResult result) { finish(std::move(result)); });
  }

 private:
  void call_agent(bool may_copy) {
    start(agent_script(access_.tag, access_.bundle->hash, words_), input_, kCommandTime,
          [this, may_copy](os::RunResult result) {
            if (result.exit_code == kNoAgent && may_copy) return copy();
            finish(std::move(result));
          });
  }

  void copy() {
    start(install_script(access_.tag, access_.bundle->hash), access_.bundle->bytes, kCopyTime,
          [this](os::RunResult result) {
            if (result.exit_code == 0) return call_agent(false);
            finish(std::move(result));
          });
  }

  void start(const std::string& script, const std::string& input, std::chrono::milliseconds limit,
             std::function<void(os::RunResult)> next) {
    ProgramSpec spec{ssh_argv(target_, script), input, limit};
    // What is copied has an end of its own.
    spec.hold_input = held_ && input.empty();
    if (spec.hold_input) spec.on_output = [this](const std::string& said) { hear(said); };
    auto run = run_program(access_.loop, spec, [this, next](os::RunResult result) {
      // Not from inside the run, which the next one replaces.
      access_.loop.post([alive = alive_, next, result] {
        if (*alive) next(result);
      });
    });
    if (run) {
      run_ = std::move(*run);
      return;
    }
    access_.loop.post([this, alive = alive_, error = run.error()] {
      if (*alive) answer(fail(error));
    });
  }

  void hear(const std::string& said) {
    const auto end = said.find('\n');
    if (end == std::string::npos) return;
    access_.loop.post([this, alive = alive_, line = said.substr(0, end)] {
      if (*alive) answer(line);
    });
  }

  void finish(os::RunResult result) {
    if (result.exit_code == 0) return answer(std::move(result.out));
    // The agent tells on stdout why it could not.
    const auto& said = trim(result.err).empty() ? result.out : result.err;
    answer(fail(explain_ssh_failure(target_, result.exit_code, said)));
  }

  void answer(Result<std::string> result) {
    const auto done = std::exchange(done_, nullptr);
    if (done) done(std::move(result));  // may drop this object
  }

  HostAccess access_;
  SshTarget target_;
  HostAnswer done_;
  std::vector<std::string> words_;
  std::string input_;
  bool held_ = false;
  std::unique_ptr<ProgramRun> run_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace

std::unique_ptr<HostTask> run_agent_on(const HostAccess& access, const SshTarget& target,
                                       const std::vector<std::string>& words,
                                       const std::string& input, HostAnswer done) {
  auto task = std::make_unique<Task>(access, target, std::move(done));
  task->run_agent(words, input);
  return task;
}

std::unique_ptr<HostTask> hold_agent_on(const HostAccess& access, const SshTarget& target,
                                        const std::vector<std::string>& words, HostAnswer done) {
  auto task = std::make_unique<Task>(access, target, std::move(done));
  task->hold_agent(words);
  return task;
}

std::unique_ptr<HostTask> run_script_on(const HostAccess& access, const SshTarget& target,
                                        const std::string& script, HostAnswer done) {
  auto task = std::make_unique<Task>(access, target, std::move(done));
  task->run_script(script);
  return task;
}

}  // namespace cox::provider
