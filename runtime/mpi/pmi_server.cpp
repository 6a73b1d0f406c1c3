#include "runtime/mpi/pmi_server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/base/text.hpp"

// Keys travel between nodes as "key value\n": a key has no blank, a value may.

namespace cox::mpi {
namespace {

constexpr std::size_t kNameBytesMax = 256;

std::string word(const std::map<std::string, std::string, std::less<>>& words,
                 std::string_view name) {
  const auto found = words.find(name);
  return found == words.end() ? std::string() : found->second;
}

}  // namespace

PmiServer::PmiServer(std::vector<int> local_ranks, int size, std::string name, std::string mapping)
    : universe_(size), name_(std::move(name)) {
  for (const int rank : local_ranks) ranks_[rank] = Rank{};
  keys_["PMI_process_mapping"] = std::move(mapping);
}

PmiServer::Outcome PmiServer::line(int rank, std::string_view text) {
  Outcome outcome;
  const auto found = ranks_.find(rank);
  Words words;
  while (!text.empty()) {
    const auto equals = std::min(text.find('='), text.size());
    const auto name = trim(text.substr(0, equals));
    text.remove_prefix(std::min(equals + 1, text.size()));
    // A value is the last of its line, whatever is in it: Open MPI's are padded with blanks.
    const auto end = name == "value" ? text.size() : std::min(text.find(' '), text.size());
    words[std::string(name)] = std::string(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (found == ranks_.end() || !words.contains("cmd")) {
    outcome.refused = true;
  } else {
    answer(rank, found->second, words, outcome);
  }
  return outcome;
}

void PmiServer::answer(int rank, Rank& state, const Words& words, Outcome& outcome) {
  const auto cmd = word(words, "cmd");
  const auto reply = [&](std::string line) { outcome.replies.push_back({rank, line + "\n"}); };
  if (cmd == "init") {
    state.phase = Phase::initialized;
    reply("cmd=response_to_init pmi_version=1 pmi_subversion=1 rc=0");
  } else if (cmd == "get_maxes") {
    reply(fmt::format("cmd=maxes kvsname_max={} keylen_max={} vallen_max={}", kNameBytesMax,
                      kKeyBytesMax, kValueBytesMax));
  } else if (cmd == "get_appnum") {
    reply(fmt::format("cmd=appnum appnum={}", state.program));
  } else if (cmd == "get_my_kvsname") {
    reply("cmd=my_kvsname kvsname=" + name_);
  } else if (cmd == "get_universe_size") {
    reply(fmt::format("cmd=universe_size size={}", universe_));
  } else if (cmd == "put") {
    put(rank, words, outcome);
  } else if (cmd == "get") {
    get(rank, words, outcome);
  } else if (cmd == "barrier_in") {
    enter_barrier(state, outcome);
  } else if (cmd == "finalize") {
    state.phase = Phase::finalized;
    reply("cmd=finalize_ack");
  } else if (cmd == "abort") {
    outcome.abort_code = static_cast<int>(to_int(word(words, "exitcode")).value_or(1));
  } else if (cmd == "publish_name" || cmd == "unpublish_name" || cmd == "lookup_name") {
    const auto what = cmd.substr(0, cmd.find('_'));
    reply(fmt::format("cmd={}_result rc=-1 msg=not_supported", what));
  } else if (cmd == "spawn") {
    reply("cmd=spawn_result rc=-1 msg=not_supported");
  } else {
    outcome.refused = true;
  }
}

void PmiServer::put(int rank, const Words& words, Outcome& outcome) {
  const auto key = word(words, "key");
  const auto value = word(words, "value");
  if (key.empty() || key.size() > kKeyBytesMax || value.size() > kValueBytesMax) {
    outcome.replies.push_back({rank, "cmd=put_result rc=-1 msg=too_long\n"});
    return;
  }
  keys_[key] = value;
  fresh_ += fmt::format("{} {}\n", key, value);
  outcome.replies.push_back({rank, "cmd=put_result rc=0 msg=success\n"});
}

void PmiServer::get(int rank, const Words& words, Outcome& outcome) const {
  const auto found = keys_.find(word(words, "key"));
  const std::string line = found == keys_.end() ? "rc=-1 msg=key_not_found value=unknown"
                                                : "rc=0 msg=success value=" + found->second;
  outcome.replies.push_back({rank, fmt::format("cmd=get_result {}\n", line)});
}

void PmiServer::enter_barrier(Rank& state, Outcome& outcome) {
  state.waits = true;
  const bool all =
      std::all_of(ranks_.begin(), ranks_.end(), [](const auto& each) { return each.second.waits; });
  if (all) outcome.contribution = std::exchange(fresh_, {});
}

std::vector<PmiServer::Reply> PmiServer::released(std::string_view keys) {
  while (!keys.empty()) {
    const auto line = keys.substr(0, keys.find('\n'));
    keys.remove_prefix(std::min(line.size() + 1, keys.size()));
    const auto blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    keys_.insert_or_assign(std::string(line.substr(0, blank)), std::string(line.substr(blank + 1)));
  }
  std::vector<Reply> replies;
  for (auto& [rank, state] : ranks_) {
    if (std::exchange(state.waits, false)) replies.push_back({rank, "cmd=barrier_out\n"});
  }
  return replies;
}

PmiServer::Phase PmiServer::phase(int rank) const {
  const auto found = ranks_.find(rank);
  return found == ranks_.end() ? Phase::fresh : found->second.phase;
}

void PmiServer::gone(int rank) {
  const auto found = ranks_.find(rank);
  if (found != ranks_.end()) found->second.gone = true;
}

std::optional<int> PmiServer::missing() const {
  const bool somebody_waits =
      std::any_of(ranks_.begin(), ranks_.end(), [](const auto& each) { return each.second.waits; });
  if (!somebody_waits) return std::nullopt;
  for (const auto& [rank, state] : ranks_) {
    if (state.gone && !state.waits) return rank;
  }
  return std::nullopt;
}

}  // namespace cox::mpi
