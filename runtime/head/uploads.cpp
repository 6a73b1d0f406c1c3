#include "runtime/head/uploads.hpp"

#include <unistd.h>

#include <boost/json.hpp>
#include <filesystem>

#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"
#include "runtime/os/log.hpp"

namespace cox::head {

namespace json = boost::json;

namespace {

constexpr std::int64_t kKeptMs = 3600LL * 1000;  // as long as the blob store keeps what is fresh
constexpr std::size_t kUploadsMax = 2000;
constexpr std::int64_t kBytesMax = 1LL << 30;
constexpr std::size_t kEntryBytesMax = 64u << 10;

}  // namespace

std::string Uploads::path_of(std::uint32_t uid, const std::string& url) const {
  return fmt::format("{}/{}", directory_, os::sha256_hex(fmt::format("{} {}", uid, url)));
}

Result<void> Uploads::load(Millis now) {
  std::error_code error;
  const std::filesystem::directory_iterator files(directory_, error);
  if (error) return {};  // nothing was ever put
  for (const auto& entry : files) {
    const auto text = os::read_file(entry.path().string(), kEntryBytesMax);
    if (!text) return fail(text.error());
    boost::system::error_code broken;
    const auto value = json::parse(*text, broken);
    const auto* object = broken ? nullptr : value.if_object();
    if (object == nullptr || !object->contains("url")) {
      os::log_warn("{} is no record of an upload; it is left alone", entry.path().string());
      continue;
    }
    try {
      const auto uid = value.at("uid").to_number<std::uint32_t>();
      Upload upload{json::value_to<std::string>(value.at("url")),
                    {json::value_to<std::string>(value.at("name")),
                     json::value_to<std::string>(value.at("sha256")),
                     value.at("size").to_number<std::int64_t>(), 0600},
                    Millis{value.at("at").to_number<std::int64_t>()}};
      auto key = std::pair(uid, upload.url);
      uploads_[std::move(key)] = std::move(upload);
    } catch (const std::exception& fault) {  // Boost.JSON throws where a member is not as expected
      os::log_warn("{} is no record of an upload: {}", entry.path().string(), fault.what());
    }
  }
  forget_old(now);
  return {};
}

Result<void> Uploads::keep(const JobUser& user, const std::string& url, JobFile file, Millis now) {
  forget_old(now);
  if (auto room = check_room(user, url, file.size); !room) return room;
  if (auto made = os::make_directories(directory_, 0700); !made) return made;
  const json::object entry{{"uid", user.uid},       {"url", url},        {"name", file.name},
                           {"sha256", file.sha256}, {"size", file.size}, {"at", now.value}};
  auto written = os::write_file_atomic(path_of(user.uid, url), json::serialize(entry), 0600);
  if (!written) return written;
  uploads_[{user.uid, url}] = {url, std::move(file), now};
  return {};
}

Result<void> Uploads::check_room(const JobUser& user, const std::string& url,
                                 std::int64_t size) const {
  std::size_t count = 1;
  auto bytes = size;
  for (auto each = uploads_.lower_bound({user.uid, ""});
       each != uploads_.end() && each->first.first == user.uid; ++each) {
    if (each->first.second == url) continue;  // gives way
    ++count;
    bytes += each->second.file.size;
  }
  if (count <= kUploadsMax && bytes <= kBytesMax) return {};
  return fail(
      Errc::conflict,
      "a user may put {} files and {} bytes within an hour, and this would make {} files of "
      "{} bytes: put large data into a shared directory",
      kUploadsMax, kBytesMax, count, bytes);
}

void Uploads::forget_old(Millis now) {
  std::erase_if(uploads_, [&](const auto& entry) {
    const auto& [key, upload] = entry;
    if (now - upload.at < kKeptMs) return false;
    const auto path = path_of(key.first, key.second);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      os::log_warn("{}", os::errno_error(errno, path).message);
    }
    return true;
  });
}

std::vector<JobFile> Uploads::in_folder(const JobUser& user, const std::string& folder) const {
  std::vector<JobFile> files;
  for (auto each = uploads_.lower_bound({user.uid, folder});
       each != uploads_.end() && each->first.first == user.uid &&
       each->first.second.starts_with(folder);
       ++each) {
    const auto& file = each->second.file;
    if (!file.name.empty() && each->first.second == folder + file.name) files.push_back(file);
  }
  return files;
}

}  // namespace cox::head
