#include "launcher/provider/ssh_plan.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::provider {
namespace {

namespace json = boost::json;

std::string plan_path(const std::string& cluster_directory) {
  return cluster_directory + "/ssh/plan.json";
}

std::string text_at(const json::object& object, const char* name) {
  return std::string(object.at(name).as_string());
}

json::object render_host(const PlannedHost& host) {
  const auto& target = host.target;
  return {{"host", target.host},
          {"user", target.user},
          {"port", target.port},
          {"identityFile", target.identity_file},
          {"knownHostsFile", target.known_hosts_file},
          {"proxyJump", target.proxy_jump},
          {"environment", host.environment},
          {"vcpus", host.vcpus},
          {"memoryMiB", host.memory_mib},
          {"address", host.address},
          {"hostname", host.hostname}};
}

PlannedHost read_host(const json::object& object) {
  return {.target = {.host = text_at(object, "host"),
                     .user = text_at(object, "user"),
                     .port = static_cast<int>(object.at("port").as_int64()),
                     .identity_file = text_at(object, "identityFile"),
                     .known_hosts_file = text_at(object, "knownHostsFile"),
                     .proxy_jump = text_at(object, "proxyJump")},
          .environment = text_at(object, "environment"),
          .vcpus = static_cast<int>(object.at("vcpus").as_int64()),
          .memory_mib = object.at("memoryMiB").as_int64(),
          .address = text_at(object, "address"),
          .hostname = text_at(object, "hostname")};
}

std::optional<std::uint32_t> bits_of(const std::string& address) {
  const auto parts = split(address, '.');
  if (parts.size() != 4) return std::nullopt;
  std::uint32_t bits = 0;
  for (const auto& part : parts) {
    const auto number = to_int(part);
    if (!number || *number < 0 || *number > 255) return std::nullopt;
    bits = bits << 8 | static_cast<std::uint32_t>(*number);
  }
  return bits;
}

/// One type a shape: a host of a shape can stand for each other one of it.
InstanceType type_of(const PlannedHost& host) {
  return {fmt::format("host-{}x{}", host.vcpus, host.memory_mib), host.vcpus, MiB{host.memory_mib}};
}

}  // namespace

std::string render_plan(const SshPlan& plan) {
  json::array hosts;
  for (const auto& host : plan.hosts) hosts.push_back(render_host(host));
  json::array mounts;
  for (const auto& mount : plan.mounts) {
    mounts.push_back(json::object{{"directory", mount.directory}, {"source", mount.source}});
  }
  return json::serialize(json::object{{"tag", plan.tag},
                                      {"alone", plan.alone},
                                      {"networks", plan.networks},
                                      {"hosts", std::move(hosts)},
                                      {"mounts", std::move(mounts)}}) +
         "\n";
}

Result<SshPlan> parse_plan(const std::string& text) {
  try {
    const auto parsed = json::parse(text);
    const auto& object = parsed.as_object();
    SshPlan plan{.tag = text_at(object, "tag"),
                 .alone = object.at("alone").as_bool(),
                 .networks = text_at(object, "networks"),
                 .hosts = {}};
    for (const auto& host : object.at("hosts").as_array()) {
      plan.hosts.push_back(read_host(host.as_object()));
    }
    if (const auto* mounts = object.if_contains("mounts")) {
      for (const auto& each : mounts->as_array()) {
        const auto& mount = each.as_object();
        plan.mounts.push_back({text_at(mount, "directory"), text_at(mount, "source")});
      }
    }
    return plan;
  } catch (const std::exception& error) {
    return fail(Errc::invalid_argument, "the record of the cluster's hosts cannot be read: {}",
                error.what());
  }
}

Result<HostFacts> parse_facts(const std::string& text) {
  try {
    const auto parsed = json::parse(text);
    const auto& object = parsed.as_object();
    HostFacts facts{.hostname = text_at(object, "hostname"),
                    .user = text_at(object, "user"),
                    .vcpus = static_cast<int>(object.at("vcpus").as_int64()),
                    .memory_mib = object.at("memory_mib").as_int64(),
                    .clock_ms = object.at("clock_ms").as_int64(),
                    .load = object.at("load").to_number<double>(),
                    .machine = text_at(object, "machine"),
                    .interfaces = {},
                    .server_address = text_at(object, "server_address"),
                    .mpirun = text_at(object, "mpirun"),
                    .orted = text_at(object, "orted"),
                    .open_mpi = text_at(object, "open_mpi"),
                    .shm_mib = object.at("shm_mib").as_int64(),
                    .scratch_mib = object.at("scratch_mib").as_int64(),
                    .open_files = object.at("open_files").as_int64(),
                    .processes = object.at("processes").as_int64(),
                    .port = static_cast<int>(object.at("port").as_int64()),
                    .shared = {}};
    for (const auto& each : object.at("shared").as_array()) {
      facts.shared.push_back(text_at(each.as_object(), "error"));
    }
    for (const auto& each : object.at("interfaces").as_array()) {
      const auto& one = each.as_object();
      facts.interfaces.push_back({text_at(one, "name"), text_at(one, "address"),
                                  static_cast<int>(one.at("prefix").as_int64())});
    }
    return facts;
  } catch (const std::exception& error) {
    return fail(Errc::invalid_argument, "what the agent tells of the host cannot be read: {}",
                error.what());
  }
}

Result<std::optional<SshPlan>> load_plan(const std::string& cluster_directory) {
  const auto text = os::read_file(plan_path(cluster_directory));
  if (!text && text.error().code == Errc::not_found) return std::nullopt;
  if (!text) return fail(text.error());
  auto plan = parse_plan(*text);
  if (!plan) return fail(plan.error());
  return std::optional(std::move(*plan));
}

Result<void> save_plan(const std::string& cluster_directory, const SshPlan& plan) {
  return os::make_directories(cluster_directory + "/ssh", 0700).and_then([&] {
    return os::write_file_atomic(plan_path(cluster_directory), render_plan(plan), 0600);
  });
}

std::string shown(const SshTarget& target) {
  std::string text = target.user.empty() ? target.host : target.user + "@" + target.host;
  if (target.port != 0) text += fmt::format(":{}", target.port);
  return text;
}

std::string choose_address(const HostFacts& facts) {
  const auto has = [&](const std::string& address) {
    return std::any_of(facts.interfaces.begin(), facts.interfaces.end(),
                       [&](const HostInterface& each) { return each.address == address; });
  };
  if (has(facts.server_address)) return facts.server_address;
  if (!facts.interfaces.empty()) return facts.interfaces.front().address;
  return facts.server_address.empty() ? "127.0.0.1" : facts.server_address;
}

std::string network_of(const HostFacts& facts, const std::string& address) {
  for (const auto& each : facts.interfaces) {
    const auto bits = bits_of(each.address);
    if (each.address != address || !bits || each.prefix < 1 || each.prefix > 32) continue;
    const std::uint32_t network = *bits & (~std::uint32_t{0} << (32 - each.prefix));
    return fmt::format("{}.{}.{}.{}/{}", network >> 24, network >> 16 & 255, network >> 8 & 255,
                       network & 255, each.prefix);
  }
  return {};
}

void apply_facts(SshPlan& plan, const std::vector<HostFacts>& facts,
                 const std::vector<std::string>& addresses) {
  std::set<std::string> networks;
  bool all = true;
  for (std::size_t i = 0; i < plan.hosts.size() && i < facts.size(); ++i) {
    auto& host = plan.hosts[i];
    const auto& found = facts[i];
    if (host.vcpus == 0) host.vcpus = found.vcpus;
    if (host.memory_mib == 0) host.memory_mib = found.memory_mib;
    host.address = addresses[i];
    host.hostname = found.hostname;
    auto network = network_of(found, host.address);
    all = all && !network.empty();
    networks.insert(std::move(network));
  }
  plan.networks = all ? join({networks.begin(), networks.end()}, ",") : "";
}

void apply_plan(const SshPlan& plan, ClusterSettings& settings) {
  for (auto& environment : settings.environments) {
    int vcpus = 0;
    std::vector<InstanceType> types;
    for (const auto& host : plan.hosts) {
      if (host.environment != environment.name.value) continue;
      vcpus += host.vcpus;
      types.push_back(type_of(host));
    }
    if (types.empty()) continue;
    std::sort(types.begin(), types.end(), [](const InstanceType& a, const InstanceType& b) {
      return std::tuple(a.vcpus, a.memory, a.name) < std::tuple(b.vcpus, b.memory, b.name);
    });
    types.erase(std::unique(types.begin(), types.end()), types.end());
    environment.instance_types = std::move(types);
    // In AWS's words: its machines are the owner's, and only they can add more.
    environment.managed = false;
    environment.unmanaged_vcpus = vcpus;
    environment.max_vcpus = std::min(environment.max_vcpus, vcpus);
    environment.min_vcpus = std::min(environment.min_vcpus, environment.max_vcpus);
    environment.desired_vcpus = std::min(environment.desired_vcpus, environment.max_vcpus);
  }
}

}  // namespace cox::provider
