#include "runtime/agent/memory_limit.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <set>
#include <vector>

#include "runtime/agent/step.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/log.hpp"

namespace cox::agent {

namespace {

// Often while a process is young or grows towards the limit: it may be over it and gone in between.
constexpr auto kLookSoon = std::chrono::milliseconds(20);
constexpr auto kLookLater = std::chrono::milliseconds(200);
constexpr int kYoungLooks = 50;

bool write_control(const std::string& path, const std::string& value) {
  const os::Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && os::write_all(file.get(), value).has_value();
}

/// The number behind a word in a file of lines "word number".
std::int64_t counter(const std::string& path, std::string_view word) {
  const auto text = os::read_file(path, 65536);
  if (!text) return 0;
  for (const auto& line : split(*text, '\n')) {
    if (line.starts_with(word) && line.size() > word.size() && line[word.size()] == ' ') {
      return to_int(trim(std::string_view(line).substr(word.size()))).value_or(0);
    }
  }
  return 0;
}

class ByCgroup : public MemoryLimit {
 public:
  ByCgroup(std::string directory, bool version_1)
      : directory_(std::move(directory)), v1_(version_1) {}
  ByCgroup(const ByCgroup&) = delete;
  ByCgroup& operator=(const ByCgroup&) = delete;
  ~ByCgroup() override {
    if (::rmdir(directory_.c_str()) != 0 && errno != ENOENT) {
      os::log_warn("cgroup {}: {}", directory_, std::strerror(errno));
    }
  }
  [[nodiscard]] bool exceeded() const override {
    return counter(directory_ + (v1_ ? "/memory.oom_control" : "/memory.events"), "oom_kill") > 0;
  }

  void include(pid_t process) override {
    if (!write_control(directory_ + "/cgroup.procs", std::to_string(process))) {
      os::log_warn("cgroup {}: process {} cannot be taken in", directory_, process);
    }
  }

 private:
  std::string directory_;
  bool v1_;
};

class ByLooking : public MemoryLimit {
 public:
  ByLooking(os::EventLoop& loop, pid_t root, bool with_root, std::int64_t memory_mib,
            std::function<void()> over)
      : loop_(loop),
        root_(root),
        with_root_(with_root),
        limit_kib_(memory_mib * 1024),
        over_(std::move(over)) {
    look_after(kLookSoon);
  }
  [[nodiscard]] bool exceeded() const override { return exceeded_; }
  void include(pid_t process) override { included_.push_back(process); }

 private:
  void look_after(std::chrono::milliseconds time) {
    timer_ = loop_.after(time, [this] { look(); });
  }

  void look() {
    std::int64_t used = 0;
    std::set<pid_t> counted;
    const auto count = [&](pid_t top, bool itself) {
      for (const auto pid : processes_below(top)) counted.insert(pid);
      if (itself) counted.insert(top);
    };
    count(root_, with_root_);
    for (const auto pid : included_) count(pid, true);
    for (const auto pid : counted) {
      const auto path = fmt::format("/proc/{}/status", pid);
      used += status_kib(path, "RssAnon:") + status_kib(path, "RssShmem:");
    }
    if (used > limit_kib_) {
      exceeded_ = true;
      over_();
      return;
    }
    const bool young = ++looks_ <= kYoungLooks;
    const bool grows = used > used_ && used > limit_kib_ / 2;
    used_ = used;
    look_after(young || grows ? kLookSoon : kLookLater);
  }

  static std::int64_t status_kib(const std::string& path, std::string_view word) {
    const auto text = os::read_file(path, 65536);
    const auto at = text ? text->find(word) : std::string::npos;
    if (at == std::string::npos) return 0;
    const auto begin = text->find_first_not_of(" \t", at + word.size());
    const auto end = text->find(' ', begin);
    return to_int(std::string_view(*text).substr(begin, end - begin)).value_or(0);
  }

  os::EventLoop& loop_;
  pid_t root_;
  bool with_root_;
  std::vector<pid_t> included_;
  std::int64_t limit_kib_;
  std::function<void()> over_;
  os::SubscriptionPtr timer_;
  std::int64_t used_ = 0;  ///< at the last look
  std::int64_t looks_ = 0;
  bool exceeded_ = false;
};

}  // namespace

std::unique_ptr<MemoryLimit> limit_memory(os::EventLoop& loop, const std::string& cgroup,
                                          const std::string& name, pid_t root,
                                          std::int64_t memory_mib, std::function<void()> over,
                                          bool with_root) {
  if (!cgroup.empty()) {
    const auto directory = cgroup + "/" + name;
    const bool made = ::mkdir(directory.c_str(), 0755) == 0 || errno == EEXIST;
    const bool v1 = ::access((directory + "/memory.limit_in_bytes").c_str(), W_OK) == 0;
    const auto bytes = std::to_string(memory_mib << 20);
    if (made && write_control(directory + (v1 ? "/memory.limit_in_bytes" : "/memory.max"), bytes) &&
        write_control(directory + "/cgroup.procs", std::to_string(root))) {
      return std::make_unique<ByCgroup>(directory, v1);
    }
    os::log_warn("cgroup {} cannot be used: memory is watched instead", directory);
    ::rmdir(directory.c_str());
  }
  return std::make_unique<ByLooking>(loop, root, with_root, memory_mib, std::move(over));
}

}  // namespace cox::agent
