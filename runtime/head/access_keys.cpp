#include "runtime/head/access_keys.hpp"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <vector>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

// The file has a line a key: id, secret, uid, gid, name, with blanks between them.

namespace cox::head {

namespace {

constexpr std::size_t kFileBytesMax = 16u << 20;
constexpr std::string_view kIdLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
constexpr std::string_view kSecretLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Letters of a set whose size divides 256, so that each is as likely as any other.
Result<std::string> random_text(std::size_t size, std::string_view letters) {
  std::array<unsigned char, 64> bytes{};
  if (::getrandom(bytes.data(), size, 0) != static_cast<ssize_t>(size)) {
    return fail(os::errno_error(errno, "getrandom"));
  }
  std::string text;
  for (std::size_t i = 0; i < size; ++i) text += letters[bytes[i] % letters.size()];
  return text;
}

}  // namespace

Result<void> AccessKeys::load() {
  const auto text = os::read_file(path_, kFileBytesMax);
  if (!text && text.error().code == Errc::not_found) return {};
  if (!text) return fail(text.error());
  for (const auto& line : split(*text, '\n')) {
    if (line.empty()) continue;
    const auto words = split(line, ' ');
    const auto uid = words.size() == 5 ? to_int(words[2]) : std::nullopt;
    const auto gid = words.size() == 5 ? to_int(words[3]) : std::nullopt;
    if (!uid || !gid) return fail(Errc::invalid_argument, "{} is damaged: remove it", path_);
    AccessKey key{words[0],
                  words[1],
                  {static_cast<std::uint32_t>(*uid), static_cast<std::uint32_t>(*gid), words[4]}};
    id_of_[key.user.uid] = key.id;
    by_id_[key.id] = std::move(key);
  }
  return {};
}

Result<void> AccessKeys::save() const {
  std::string text;
  for (const auto& [id, key] : by_id_) {
    text +=
        fmt::format("{} {} {} {} {}\n", id, key.secret, key.user.uid, key.user.gid, key.user.name);
  }
  return os::write_file_atomic(path_, text, 0600);
}

Result<AccessKey> AccessKeys::of(const JobUser& user) {
  if (const auto known = id_of_.find(user.uid); known != id_of_.end()) {
    return by_id_.at(known->second);
  }
  const auto id = random_text(16, kIdLetters);
  const auto secret = random_text(40, kSecretLetters);
  if (!id) return fail(id.error());
  if (!secret) return fail(secret.error());
  AccessKey key{"AKIA" + *id, *secret, user};
  by_id_[key.id] = key;
  if (auto saved = save(); !saved) {
    by_id_.erase(key.id);
    return fail(saved.error());
  }
  id_of_[user.uid] = key.id;
  return key;
}

const AccessKey* AccessKeys::find(const std::string& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second;
}

bool ReplayWindow::admit(const std::string& signature, Millis signed_at, Millis now, Millis until) {
  while (!expiries_.empty() && expiries_.front().first < now) {
    first_seen_.erase(expiries_.front().second);
    expiries_.pop_front();
  }
  if (signed_at + kSameMs < opened_) return false;
  const auto [seen, is_new] = first_seen_.emplace(signature, now);
  if (is_new) expiries_.emplace_back(until, signature);
  return now - seen->second <= kSameMs;
}

}  // namespace cox::head
