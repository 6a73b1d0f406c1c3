#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "runtime/agent/host_node.hpp"
#include "runtime/agent/hub_link.hpp"
#include "runtime/agent/mpi_programs.hpp"
#include "runtime/agent/topology_probe.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/event_loop.hpp"
#include "runtime/os/files.hpp"
#include "runtime/os/frame_link.hpp"
#include "runtime/os/process.hpp"

/// What a host is like, for whoever wants to make a node of it.
namespace cox::agent {

namespace {

namespace json = boost::json;

constexpr std::int64_t kMiB = 1 << 20;
constexpr int kLookTime = 60'000;  // ms that nobody says or asks anything
constexpr auto kReachTime = std::chrono::milliseconds(2500);

int prefix_of(const sockaddr* mask) {
  if (mask == nullptr) return 0;
  const auto bits = ntohl(reinterpret_cast<const sockaddr_in*>(mask)->sin_addr.s_addr);
  return __builtin_popcount(bits);
}

/// IPv4 interfaces that are up, without loopback.
json::array interfaces() {
  json::array list;
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return list;
  for (const auto* each = all; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr || each->ifa_addr->sa_family != AF_INET) continue;
    if ((each->ifa_flags & IFF_UP) == 0 || (each->ifa_flags & IFF_LOOPBACK) != 0) continue;
    std::array<char, INET_ADDRSTRLEN> text{};
    const auto* address = reinterpret_cast<const sockaddr_in*>(each->ifa_addr);
    if (::inet_ntop(AF_INET, &address->sin_addr, text.data(), text.size()) == nullptr) continue;
    list.push_back(json::object{{"name", each->ifa_name},
                                {"address", text.data()},
                                {"prefix", prefix_of(each->ifa_netmask)}});
  }
  ::freeifaddrs(all);
  return list;
}

std::int64_t free_mib(const char* path) {
  struct statvfs seen {};
  if (::statvfs(path, &seen) != 0) return 0;
  return static_cast<std::int64_t>(seen.f_bavail) * static_cast<std::int64_t>(seen.f_frsize) / kMiB;
}

/// -1: no limit.
std::int64_t limit_of(__rlimit_resource what) {
  rlimit limit{};
  if (::getrlimit(what, &limit) != 0 || limit.rlim_max == RLIM_INFINITY) return -1;
  return static_cast<std::int64_t>(limit.rlim_max);
}

std::string first_line(const std::string& path) {
  const auto text = os::read_file(path, 4096);
  return text ? std::string(trim(*text)) : std::string();
}

/// "4.1.4", of `mpirun --version`: its first line's last word.
std::string open_mpi_version(const std::string& mpirun) {
  if (mpirun.empty()) return {};
  const auto said = os::run({mpirun, "--version"});
  if (!said || said->exit_code != 0) return {};
  const auto line = said->out.substr(0, said->out.find('\n'));
  const bool ours = line.find("Open MPI") != line.npos || line.find("OpenRTE") != line.npos;
  if (!ours) return {};
  return line.substr(line.rfind(' ') + 1);
}

/// Of the connection by which this was asked: "CLIENT PORT SERVER PORT", as sshd has it.
json::object connection_addresses() {
  const char* value = std::getenv("SSH_CONNECTION");
  const auto words = split(value != nullptr ? value : "", ' ');
  const bool known = words.size() == 4;
  return {{"client_address", known ? words[0] : ""}, {"server_address", known ? words[2] : ""}};
}

std::string nonce_path(const std::string& directory, const std::string& nonce) {
  return directory + "/.coxswain-" + nonce;
}

/// Puts a file with the nonce into each directory; what became of it.
json::array leave_nonces(const std::vector<std::string>& directories, const std::string& nonce) {
  json::array list;
  for (const auto& directory : directories) {
    const auto path = nonce_path(directory, nonce);
    const os::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    const auto written =
        file ? os::write_all(file.get(), nonce) : fail(os::errno_error(errno, directory));
    list.push_back(
        json::object{{"directory", directory}, {"error", written ? "" : written.error().message}});
  }
  return list;
}

/// Takes connections and hangs up, until stdin ends or much time has passed.
void serve_until_end(const os::Fd& listener) {
  std::array<pollfd, 2> watched{{{STDIN_FILENO, POLLIN, 0}, {listener.get(), POLLIN, 0}}};
  while (::poll(watched.data(), watched.size(), kLookTime) > 0) {
    if (watched[1].revents != 0) {
      const os::Fd guest(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    }
    std::array<char, 64> rest{};
    if (watched[0].revents != 0 && ::read(STDIN_FILENO, rest.data(), rest.size()) <= 0) return;
  }
}

/// Which of the addresses take a connection at their ports; all are tried at once.
std::vector<bool> connect_all(const std::vector<std::pair<std::string, int>>& places) {
  std::vector<bool> taken(places.size(), false);
  std::vector<os::Fd> sockets;
  std::vector<pollfd> watched;
  for (const auto& [address, port] : places) {
    auto socket = begin_connect(address, port);
    sockets.push_back(socket ? std::move(*socket) : os::Fd());
    watched.push_back({sockets.back().get(), POLLOUT, 0});
  }
  const auto end = std::chrono::steady_clock::now() + kReachTime;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    const bool any = std::any_of(watched.begin(), watched.end(),
                                 [](const pollfd& each) { return each.fd >= 0; });
    if (!any || left.count() <= 0) return taken;
    if (::poll(watched.data(), watched.size(), static_cast<int>(left.count())) <= 0) continue;
    for (std::size_t i = 0; i < watched.size(); ++i) {
      if (watched[i].fd < 0 || watched[i].revents == 0) continue;
      int error = 0;
      socklen_t size = sizeof error;
      (void)::getsockopt(watched[i].fd, SOL_SOCKET, SO_ERROR, &error, &size);
      taken[i] = error == 0;
      watched[i].fd = -1;
    }
  }
}

json::array reached(const json::array& peers) {
  std::vector<std::pair<std::string, int>> places;
  for (const auto& peer : peers) {
    for (const auto& address : peer.at("addresses").as_array()) {
      places.emplace_back(address.as_string(), static_cast<int>(peer.at("port").as_int64()));
    }
  }
  const auto taken = connect_all(places);
  json::array list;
  std::size_t at = 0;
  for (const auto& peer : peers) {
    json::array good;
    for (const auto& address : peer.at("addresses").as_array()) {
      if (taken[at++]) good.push_back(address);
    }
    list.push_back(std::move(good));
  }
  return list;
}

}  // namespace

int reach_hosts() {
  try {
    const auto text = os::read_all(STDIN_FILENO, "the question", 16u << 20);
    if (!text) return 1;
    const auto asked = json::parse(*text);
    json::array seen;
    for (const auto& file : asked.at("files").as_array()) {
      const auto content = os::read_file(std::string(file.at("path").as_string()), 256);
      seen.emplace_back(content && *content == std::string(file.at("content").as_string()));
    }
    const json::object said{{"reached", reached(asked.at("peers").as_array())},
                            {"seen", std::move(seen)}};
    std::puts(json::serialize(said).c_str());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "the question cannot be read: %s\n", error.what());
    return 1;
  }
}

int describe_host(const std::string& nonce, const std::vector<std::string>& shared) {
  const auto listener = os::listen_tcp("0.0.0.0", 0);
  std::array<char, 256> hostname{};
  (void)::gethostname(hostname.data(), hostname.size() - 1);
  struct sysinfo memory {};
  (void)::sysinfo(&memory);
  std::array<double, 1> load{};
  (void)::getloadavg(load.data(), 1);
  const auto* entry = ::getpwuid(::geteuid());
  const auto mpirun = find_mpi_program("mpirun");
  auto facts = connection_addresses();
  facts["hostname"] = hostname.data();
  facts["user"] = entry != nullptr ? entry->pw_name : "";
  facts["vcpus"] = hardware_threads();
  facts["memory_mib"] = static_cast<std::int64_t>(memory.totalram) * memory.mem_unit / kMiB;
  facts["clock_ms"] = os::SystemClock().now().value;
  facts["load"] = load[0];
  // Two names of one machine must not become two nodes of it.
  facts["machine"] = first_line("/etc/machine-id") + "/" + hostname.data();
  facts["interfaces"] = interfaces();
  facts["mpirun"] = mpirun;
  facts["orted"] = find_mpi_program("orted");
  facts["open_mpi"] = open_mpi_version(mpirun);
  facts["shm_mib"] = free_mib("/dev/shm");
  facts["scratch_mib"] = free_mib("/var/tmp");
  facts["open_files"] = limit_of(RLIMIT_NOFILE);
  facts["processes"] = limit_of(RLIMIT_NPROC);
  facts["port"] = listener ? os::local_port(*listener) : 0;
  facts["shared"] = leave_nonces(shared, nonce);
  std::puts(json::serialize(facts).c_str());
  (void)std::fflush(stdout);
  if (listener) serve_until_end(*listener);
  for (const auto& each : facts["shared"].as_array()) {
    const auto& object = each.as_object();
    if (!object.at("error").as_string().empty()) continue;
    (void)::unlink(nonce_path(std::string(object.at("directory").as_string()), nonce).c_str());
  }
  return 0;
}

}  // namespace cox::agent
