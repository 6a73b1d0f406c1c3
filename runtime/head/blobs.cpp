#include "runtime/head/blobs.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <filesystem>
#include <optional>
#include <utility>

#include "runtime/os/fd.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"
#include "runtime/os/log.hpp"

namespace cox::head {

namespace {

constexpr std::time_t kFreshSeconds = 3600;  // a job that needs it may be on its way

/// When the file was put last, or nothing when there is none.
std::optional<std::time_t> put_at(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return status.st_mtime;
}

void unlink_older(const std::string& path, std::time_t before) {
  const auto at = put_at(path);
  if (at && *at < before && ::unlink(path.c_str()) != 0) {
    os::log_warn("{}", os::errno_error(errno, path).message);
  }
}

}  // namespace

Blobs::Blobs(os::EventLoop& loop, std::string directory)
    : loop_(loop), directory_(std::move(directory)), thread_([this] { work(); }) {}

Blobs::~Blobs() {
  *alive_ = false;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Blobs::run(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void Blobs::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
    if (stop_) return;
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task();
    lock.lock();
  }
}

std::string Blobs::path_of(const std::string& sha256) const { return directory_ + "/" + sha256; }

bool Blobs::has(const std::string& sha256) const {
  return ::access(path_of(sha256).c_str(), R_OK) == 0;
}

Result<std::string> Blobs::store(const std::string& bytes) const {
  auto hash = os::sha256_hex(bytes);
  const auto path = path_of(hash);
  if (::utimensat(AT_FDCWD, path.c_str(), nullptr, 0) == 0) return hash;  // there, and fresh again
  if (auto made = os::make_directories(directory_, 0700); !made) return fail(made.error());
  if (auto written = os::write_file_atomic(path, bytes, 0600); !written) {
    return fail(written.error());
  }
  return hash;
}

void Blobs::put(std::string bytes, std::function<void(Result<std::string>)> done) {
  run([this, bytes = std::move(bytes), done = std::move(done)] {
    auto stored = store(bytes);
    loop_.post([alive = alive_, done, stored = std::move(stored)]() mutable {
      if (*alive) done(std::move(stored));
    });
  });
}

Result<std::string> Blobs::read(const std::string& sha256, std::int64_t offset,
                                std::size_t count) const {
  const auto path = path_of(sha256);
  const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return fail(os::errno_error(errno, path));
  std::string bytes(count, '\0');
  std::size_t got = 0;
  while (got < count) {
    const auto n =
        ::pread(file.get(), bytes.data() + got, count - got, offset + static_cast<off_t>(got));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(os::errno_error(errno, path));
    if (n == 0) break;
    got += static_cast<std::size_t>(n);
  }
  bytes.resize(got);
  return bytes;
}

void Blobs::remove(const std::string& sha256) {
  run([path = path_of(sha256)] { unlink_older(path, std::time(nullptr) - kFreshSeconds); });
}

void Blobs::sweep(Millis before, const std::function<bool(const std::string&)>& is_needed) {
  std::error_code error;
  const std::filesystem::directory_iterator files(directory_, error);
  if (error) return;  // nothing was ever put
  for (const auto& entry : files) {
    const auto name = entry.path().filename().string();
    if (!entry.is_regular_file(error) || is_needed(name)) continue;
    run([path = entry.path().string(), before] {
      unlink_older(path, static_cast<std::time_t>(before.value / 1000));
    });
  }
}

}  // namespace cox::head
