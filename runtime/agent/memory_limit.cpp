#include "runtime/agent/memory_limit.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
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
constexpr std::int64_t kLeftMax = 2 << 20;  ///< bytes

bool write_control(const std::string& path, const std::string& value) {
  const os::Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return file && os::write_all(file.get(), value).has_value();
}

/// A short file of the kernel's, which is read often.
class ControlFile {
 public:
  explicit ControlFile(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}

  [[nodiscard]] std::string text() const {
    std::array<char, 4096> bytes;
    const auto got = fd_ ? ::pread(fd_.get(), bytes.data(), bytes.size(), 0) : 0;
    return {bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }

  /// The number behind a word, in lines "word number".
  [[nodiscard]] std::int64_t counter(std::string_view word) const {
    for (const auto& line : split(text(), '\n')) {
      if (line.starts_with(word) && line.size() > word.size() && line[word.size()] == ' ') {
        return to_int(trim(std::string_view(line).substr(word.size()))).value_or(0);
      }
    }
    return 0;
  }

 private:
  os::Fd fd_;
};

/// It says that next to nothing is charged.
bool says_little(const std::string& usage) {
  const auto bytes = to_int(trim(usage));
  return bytes && *bytes <= kLeftMax;
}

/// What a version of cgroups calls its files.
struct Names {
  const char* limit;
  const char* unlimited;
  const char* usage;
  const char* events;
};
constexpr const char* kProcesses = "/cgroup.procs";
constexpr Names kVersion1{"/memory.limit_in_bytes", "-1", "/memory.usage_in_bytes",
                          "/memory.oom_control"};
constexpr Names kVersion2{"/memory.max", "max", "/memory.current", "/memory.events"};

class Cgroups : public MemoryCgroups {
 public:
  explicit Cgroups(std::string directory) : shared_(std::make_shared<Shared>()) {
    shared_->directory = std::move(directory);
  }

  [[nodiscard]] bool are_there() const override { return !shared_->directory.empty(); }

  [[nodiscard]] std::unique_ptr<MemoryCgroup> take() override {
    if (!are_there()) return nullptr;
    if (auto again = shared_->used_again(); !again.empty()) {
      return std::make_unique<Taken>(shared_, std::move(again));
    }
    auto path = fmt::format("{}/part-{}", shared_->directory, ++shared_->made);
    // One that an agent before this has left may have somebody in it.
    while (::mkdir(path.c_str(), 0755) != 0) {
      const int why = errno;
      if (why == EEXIST && ::rmdir(path.c_str()) == 0) continue;
      if (why == EEXIST) {
        path = fmt::format("{}/part-{}", shared_->directory, ++shared_->made);
        continue;
      }
      os::log_warn("{}: memory is watched instead", os::errno_error(why, "cgroup " + path).message);
      return nullptr;
    }
    if (shared_->names == nullptr) {
      const bool v1 = ::access((path + kVersion1.limit).c_str(), W_OK) == 0;
      shared_->names = v1 ? &kVersion1 : &kVersion2;
    }
    return std::make_unique<Taken>(shared_, std::move(path));
  }

 private:
  struct Shared {
    Shared() = default;
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    ~Shared() {
      for (const auto& path : given_back) (void)::rmdir(path.c_str());
    }

    [[nodiscard]] bool is_empty(const std::string& path) const {
      const auto processes = os::read_file(path + kProcesses, 64);
      return processes && processes->empty();
    }

    /// What is charged to it stays: files in memory, mostly, which the next part did not read.
    [[nodiscard]] bool is_as_new(const std::string& path) const {
      const auto usage = os::read_file(path + names->usage, 64);
      return usage && says_little(*usage) && write_control(path + names->limit, names->unlimited);
    }

    /// One that is free by now and as new, or "". Those that are free and not so are removed.
    [[nodiscard]] std::string used_again() {
      std::string found;
      std::erase_if(given_back, [&](const std::string& path) {
        if (!found.empty() || !is_empty(path)) return false;
        if (is_as_new(path)) found = path;
        return !found.empty() || ::rmdir(path.c_str()) == 0;
      });
      return found;
    }

    std::string directory;
    std::vector<std::string> given_back;  ///< processes may be about to leave them
    int made = 0;
    const Names* names = nullptr;
  };

  class Taken : public MemoryCgroup {
   public:
    Taken(std::shared_ptr<Shared> shared, std::string path)
        : shared_(std::move(shared)),
          path_(std::move(path)),
          usage_(path_ + shared_->names->usage),
          events_(path_ + shared_->names->events),
          killed_before_(killed()) {}
    Taken(const Taken&) = delete;
    Taken& operator=(const Taken&) = delete;
    ~Taken() override { shared_->given_back.push_back(path_); }

    [[nodiscard]] bool limit(std::int64_t memory_mib) override {
      if (memory_mib == limit_mib_) return true;
      limit_mib_ = 0;
      if (!write_control(path_ + shared_->names->limit, std::to_string(memory_mib << 20))) {
        return false;
      }
      limit_mib_ = memory_mib;
      return true;
    }
    [[nodiscard]] bool is_as_new() const override {
      return !exceeded() && says_little(usage_.text());
    }
    [[nodiscard]] std::string processes_file() const override { return path_ + kProcesses; }
    [[nodiscard]] bool exceeded() const override { return killed() > killed_before_; }
    void include(pid_t process) override {
      if (!write_control(processes_file(), std::to_string(process))) {
        os::log_warn("cgroup {}: process {} cannot be taken in", path_, process);
      }
    }

   private:
    [[nodiscard]] std::int64_t killed() const { return events_.counter("oom_kill"); }

    std::shared_ptr<Shared> shared_;
    std::string path_;
    ControlFile usage_;
    ControlFile events_;
    std::int64_t killed_before_;
    std::int64_t limit_mib_ = 0;  ///< as it was set last; 0: not known
  };

  std::shared_ptr<Shared> shared_;
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

std::unique_ptr<MemoryCgroups> make_memory_cgroups(const std::string& directory) {
  return std::make_unique<Cgroups>(directory);
}

std::unique_ptr<MemoryLimit> limit_memory(os::EventLoop& loop, MemoryCgroups& cgroups, pid_t root,
                                          std::int64_t memory_mib, std::function<void()> over,
                                          bool with_root) {
  if (auto cgroup = cgroups.take()) {
    if (cgroup->limit(memory_mib) &&
        write_control(cgroup->processes_file(), std::to_string(root))) {
      return cgroup;
    }
    os::log_warn("cgroup {} cannot be used: memory is watched instead", cgroup->processes_file());
  }
  return std::make_unique<ByLooking>(loop, root, with_root, memory_mib, std::move(over));
}

}  // namespace cox::agent
