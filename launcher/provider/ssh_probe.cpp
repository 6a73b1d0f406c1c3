#include "launcher/provider/ssh_probe.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>

#include "launcher/provider/ssh_command.hpp"
#include "launcher/provider/ssh_host.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/process.hpp"

namespace cox::provider {
namespace {

namespace json = boost::json;

using Tasks = std::vector<std::unique_ptr<HostTask>>;
using Begin = std::function<std::unique_ptr<HostTask>(std::size_t, HostAnswer)>;
using Heard = std::function<void(std::size_t, Result<std::string>)>;

/// One task for each of these hosts, all at once, until each has answered. The tasks go on while
/// they are held.
Tasks on_all(os::EventLoop& loop, const std::vector<std::size_t>& hosts, const Begin& begin,
             const Heard& heard) {
  Tasks tasks;
  auto left = hosts.size();
  for (const auto host : hosts) {
    tasks.push_back(begin(host, [&, host](Result<std::string> answer) {
      heard(host, std::move(answer));
      if (--left == 0) loop.stop();
    }));
  }
  if (left > 0) loop.run();
  return tasks;
}

std::vector<std::size_t> all_of(const SshPlan& plan) {
  std::vector<std::size_t> hosts;
  for (std::size_t i = 0; i < plan.hosts.size(); ++i) hosts.push_back(i);
  return hosts;
}

/// Each host has a nonce of its own, so that its file is told from the others'.
std::string nonce_of(const std::string& nonce, std::size_t host) {
  return fmt::format("{}-{}", nonce, host);
}

/// What each host is asked about all of these.
std::string question(const std::vector<HostLook>& looks, const std::vector<std::size_t>& there,
                     json::array files) {
  json::array peers;
  for (const auto host : there) {
    json::array addresses;
    for (const auto& each : looks[host].facts->interfaces) addresses.emplace_back(each.address);
    peers.push_back(
        json::object{{"addresses", std::move(addresses)}, {"port", looks[host].facts->port}});
  }
  return json::serialize(json::object{{"peers", std::move(peers)}, {"files", std::move(files)}});
}

/// The files that all hosts have left, each with what is to be in it.
json::array files_of(const Demands& demands, const std::vector<std::size_t>& there,
                     const std::string& nonce) {
  json::array files;
  for (const auto& directory : demands.shared) {
    for (const auto host : there) {
      const auto own = nonce_of(nonce, host);
      files.push_back(json::object{{"path", directory + "/.coxswain-" + own}, {"content", own}});
    }
  }
  return files;
}

void take_answer(HostLook& look, const std::string& text, const std::vector<std::size_t>& there,
                 const Demands& demands) {
  try {
    const auto said = json::parse(text);
    const auto& reached = said.at("reached").as_array();
    const auto& seen = said.at("seen").as_array();
    for (std::size_t i = 0; i < there.size(); ++i) {
      for (const auto& address : reached.at(i).as_array()) {
        look.reached[there[i]].emplace_back(address.as_string());
      }
    }
    std::size_t at = 0;
    for (std::size_t d = 0; d < demands.shared.size(); ++d) {
      for (const auto host : there) look.seen[d][host] = seen.at(at++).as_bool();
    }
  } catch (const std::exception& error) {
    look.facts = fail(Errc::unavailable, "what the agent tells of other hosts cannot be read: {}",
                      error.what());
  }
}

/// What hosts look for, to know that they share a directory with this machine already.
class MarksHere {
 public:
  MarksHere(const std::vector<std::string>& directories, const std::string& tag) {
    for (const auto& directory : directories) paths_.push_back(directory + "/" + here_mark(tag));
  }
  ~MarksHere() {
    for (const auto& path : paths_) (void)::unlink(path.c_str());
  }
  MarksHere(const MarksHere&) = delete;
  MarksHere& operator=(const MarksHere&) = delete;

  /// Errors: unavailable, with what to do.
  [[nodiscard]] Result<void> set() const {
    for (const auto& path : paths_) {
      const os::Fd made(::open(path.c_str(), O_CREAT | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
      if (made) continue;
      const auto directory = path.substr(0, path.rfind('/'));
      return fail(Errc::unavailable,
                  "{} on this machine is what is staged to the hosts, and cannot be written: {}; "
                  "make it, and give it to yourself",
                  directory, std::strerror(errno));
    }
    return {};
  }

 private:
  std::vector<std::string> paths_;
};

/// Takes the directories that are staged to, on each of these hosts.
Result<void> claim_on(const HostAccess& access, const SshPlan& plan, const Demands& demands,
                      const std::vector<std::size_t>& there, std::vector<HostLook>& looks) {
  if (demands.staged.empty()) return {};
  const MarksHere marks(demands.staged, plan.tag);
  if (auto set = marks.set(); !set) return set;
  if (const auto rsync = os::run({"rsync", "--version"}); !rsync || rsync->exit_code != 0) {
    return fail(Errc::unavailable,
                "rsync is not on this machine, and {} is staged by it: install it (apt-get install "
                "rsync)",
                demands.staged.front());
  }
  const auto script = claim_script(plan.tag, demands.known, demands.staged);
  (void)on_all(
      access.loop, there,
      [&](std::size_t i, HostAnswer answer) {
        return run_script_on(access, plan.hosts[i].target, script, std::move(answer));
      },
      [&](std::size_t i, Result<std::string> answer) {
        if (answer) {
          looks[i].claims = read_claims(*answer, demands.staged.size());
        } else {
          looks[i].facts = fail(answer.error());
        }
      });
  return {};
}

/// Mounts what the plan has, on each host. One that cannot be reached says so when it is looked at.
void mount_on(const HostAccess& access, const SshPlan& plan, std::vector<HostLook>& looks) {
  if (plan.mounts.empty()) return;
  const auto script = mount_script(plan.tag, plan.mounts);
  (void)on_all(
      access.loop, all_of(plan),
      [&](std::size_t i, HostAnswer answer) {
        return run_script_on(access, plan.hosts[i].target, script, std::move(answer));
      },
      [&](std::size_t i, const Result<std::string>& answer) {
        looks[i].mounts = read_mounts(answer.value_or(""), plan.mounts.size());
      });
}

}  // namespace

Result<std::vector<HostLook>> look_at_hosts(const SshPlan& plan, const Demands& demands,
                                            const AgentBundle& bundle) {
  std::array<std::uint64_t, 1> bits{};
  if (::getrandom(bits.data(), sizeof bits, 0) != static_cast<ssize_t>(sizeof bits)) {
    return fail(Errc::internal, "the machine has no randomness to give");
  }
  const auto nonce = fmt::format("{:016x}", bits[0]);
  os::EventLoop loop;
  const os::SystemClock clock;
  const HostAccess access{loop, plan.tag, std::make_shared<AgentBundle>(bundle)};
  std::vector<HostLook> looks(plan.hosts.size());
  mount_on(access, plan, looks);
  const auto held = on_all(
      loop, all_of(plan),
      [&](std::size_t i, HostAnswer answer) {
        looks[i].asked_ms = clock.now().value;
        std::vector<std::string> words{"--describe", nonce_of(nonce, i)};
        words.insert(words.end(), demands.shared.begin(), demands.shared.end());
        return hold_agent_on(access, plan.hosts[i].target, words, std::move(answer));
      },
      [&](std::size_t i, Result<std::string> answer) {
        looks[i].answered_ms = clock.now().value;
        looks[i].facts = answer.and_then([](const std::string& text) { return parse_facts(text); });
      });
  std::vector<std::size_t> there;
  for (std::size_t i = 0; i < looks.size(); ++i) {
    looks[i].reached.resize(looks.size());
    looks[i].seen.assign(demands.shared.size(), std::vector<bool>(looks.size(), false));
    if (looks[i].facts) there.push_back(i);
  }
  const auto text = question(looks, there, files_of(demands, there, nonce));
  (void)on_all(
      loop, there,
      [&](std::size_t i, HostAnswer answer) {
        return run_agent_on(access, plan.hosts[i].target, {"--reach"}, text, std::move(answer));
      },
      [&](std::size_t i, Result<std::string> answer) {
        if (answer) return take_answer(looks[i], *answer, there, demands);
        looks[i].facts = fail(answer.error());
      });
  std::erase_if(there, [&](std::size_t i) { return !looks[i].facts; });
  if (auto claimed = claim_on(access, plan, demands, there, looks); !claimed) {
    return fail(claimed.error());
  }
  return looks;
}

std::vector<std::string> clear_hosts(const SshPlan& plan) {
  std::vector<std::string> left;
  os::EventLoop loop;
  const HostAccess access{loop, plan.tag, nullptr};
  (void)on_all(
      loop, all_of(plan),
      [&](std::size_t i, HostAnswer answer) {
        return run_script_on(access, plan.hosts[i].target, clear_all_script(plan.tag),
                             std::move(answer));
      },
      [&](std::size_t /*host*/, const Result<std::string>& answer) {
        if (!answer) left.push_back(answer.error().message);
      });
  return left;
}

}  // namespace cox::provider
