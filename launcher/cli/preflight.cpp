#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/output.hpp"
#include "launcher/cli/pcluster_file.hpp"
#include "launcher/cli/pcluster_json.hpp"
#include "launcher/cli/plain_words.hpp"
#include "launcher/cluster/hosts.hpp"
#include "launcher/cluster/lifecycle.hpp"
#include "launcher/provider/ssh_probe.hpp"
#include "runtime/os/files.hpp"

/// `cox preflight`: whether the hosts of a file, or of a cluster, can be a cluster.
namespace cox::cli {

namespace json = boost::json;

namespace {

/// What was asked for: a file's cluster, or one that is there.
struct Subject {
  config::ClusterConfig config;
  std::string name;  ///< for messages
  std::string base;  ///< directory that the file's paths start from
};

struct Report {
  provider::SshPlan plan;
  std::vector<provider::HostLook> looks;
  std::vector<provider::Trouble> troubles;
};

Result<Subject> read_file(const std::string& path, Streams streams) {
  auto file = read_cluster_file(path, {}, false);
  if (!file) return fail(file.error());
  if (!file->loaded.config || file->has(config::Level::error)) {
    for (const auto& finding : file->loaded.findings) {
      streams.err << config::render(finding, path, file->text);
    }
    return fail(Errc::invalid_argument, "{} is not a file to make a cluster of", path);
  }
  const auto whole = std::filesystem::absolute(path).lexically_normal();
  return Subject{std::move(*file->loaded.config), path, whole.parent_path().string()};
}

Result<Subject> find_subject(const std::string& word, Streams streams) {
  if (::access(word.c_str(), F_OK) == 0 && !std::filesystem::is_directory(word)) {
    return read_file(word, streams);
  }
  const auto record = cluster::current_record(word);
  if (!record) return fail(Errc::not_found, "there is neither a file nor a cluster {}", word);
  auto config = stored_config(*record);
  if (!config) return fail(Errc::internal, "the file of cluster {} cannot be read", word);
  return Subject{std::move(*config), word, "."};
}

/// Of a cluster that is there.
std::optional<provider::SshPlan> kept_plan(const Subject& subject) {
  if (subject.base != ".") return std::nullopt;
  auto kept = provider::load_plan(cluster::directory_of(subject.name));
  return kept ? std::move(*kept) : std::nullopt;
}

/// The plan of a cluster that is there has its paths already.
Result<provider::SshPlan> plan_of(const Subject& subject) {
  auto plan = cluster::plan_hosts(subject.config, "preflight", subject.base);
  if (!plan || subject.base != ".") return plan;
  if (const auto kept = kept_plan(subject)) {
    for (std::size_t i = 0; i < plan->hosts.size() && i < kept->hosts.size(); ++i) {
      plan->hosts[i].target = kept->hosts[i].target;
    }
  }
  return plan;
}

Result<Report> examine(const Subject& subject, Streams streams) {
  if (!cluster::uses_hosts(subject.config)) {
    return fail(Errc::invalid_argument,
                "{} names no hosts: nothing is to be looked at before a local cluster is made",
                subject.name);
  }
  auto demands = cluster::demands_of(subject.config);
  if (const auto kept = kept_plan(subject)) demands.known = kept->tag;
  auto plan = plan_of(subject);
  if (!plan) return fail(plan.error());
  const auto bundle = provider::pack_agent(os::program_directory());
  if (!bundle) return fail(bundle.error());
  auto looks = provider::look_at_hosts(*plan, demands, *bundle);
  // The plan has a tag of its own: what is removed is this look's alone.
  for (const auto& trouble : provider::clear_hosts(*plan)) {
    const bool known = looks && std::any_of(looks->begin(), looks->end(), [&](const auto& look) {
                         return !look.facts && look.facts.error().message == trouble;
                       });
    if (!known) streams.err << "cox preflight: " << trouble << '\n';
  }
  if (!looks) return fail(looks.error());
  auto troubles = provider::judge_hosts(*plan, demands, *looks);
  return Report{std::move(*plan), std::move(*looks), std::move(troubles)};
}

/// "ok", or how many things are to be mended on the host.
std::string state_of(const Report& report, std::size_t host) {
  const auto name = provider::shown(report.plan.hosts[host].target);
  int errors = 0;
  int warnings = 0;
  for (const auto& trouble : report.troubles) {
    if (trouble.host != name && !trouble.host.starts_with(name + " and ")) continue;
    ++(trouble.gravity == provider::Gravity::error ? errors : warnings);
  }
  if (errors > 0) return "FAILED";
  return warnings > 0 ? "WARNING" : "ok";
}

std::string to_text(const Report& report, bool colour) {
  const auto addresses = provider::choose_addresses(report.looks);
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < report.looks.size(); ++i) {
    const auto& facts = report.looks[i].facts;
    std::vector<std::string> row{provider::shown(report.plan.hosts[i].target)};
    if (facts) {
      const auto network = provider::network_of(*facts, addresses[i]);
      row.insert(row.end(), {facts->hostname, addresses[i], network.empty() ? "-" : network,
                             std::to_string(facts->vcpus), std::to_string(facts->memory_mib),
                             fmt::format("{:.1f}", facts->load),
                             facts->open_mpi.empty() ? "-" : facts->open_mpi});
    } else {
      row.insert(row.end(), 7, "-");
    }
    row.push_back(state_of(report, i));
    rows.push_back(std::move(row));
  }
  auto text = render_table({{"host", false, false},
                            {"name", false, false},
                            {"address", false, false},
                            {"network", false, false},
                            {"vCPUs", true, false},
                            {"memory[MB]", true, false},
                            {"load", true, false},
                            {"Open MPI", false, false},
                            {"state", false, true}},
                           rows, colour);
  for (const auto& trouble : report.troubles) {
    text += fmt::format("\n{} [{}] {}: {}\n", to_string(trouble.gravity), trouble.check,
                        trouble.host, trouble.text);
    if (!trouble.mend.empty()) text += fmt::format("  mend: {}\n", trouble.mend);
  }
  return text;
}

json::object to_json(const Report& report) {
  const auto addresses = provider::choose_addresses(report.looks);
  json::array hosts;
  for (std::size_t i = 0; i < report.looks.size(); ++i) {
    const auto& facts = report.looks[i].facts;
    json::object host{{"host", provider::shown(report.plan.hosts[i].target)},
                      {"state", state_of(report, i)}};
    if (facts) {
      host["hostname"] = facts->hostname;
      host["address"] = addresses[i];
      host["network"] = provider::network_of(*facts, addresses[i]);
      host["vcpus"] = facts->vcpus;
      host["memoryMiB"] = facts->memory_mib;
      host["load"] = facts->load;
      host["openMpi"] = facts->open_mpi;
      host["mpirun"] = facts->mpirun;
      host["shmMiB"] = facts->shm_mib;
    }
    hosts.push_back(std::move(host));
  }
  json::array troubles;
  for (const auto& trouble : report.troubles) {
    troubles.push_back(json::object{{"level", to_string(trouble.gravity)},
                                    {"check", trouble.check},
                                    {"host", trouble.host},
                                    {"message", trouble.text},
                                    {"mend", trouble.mend}});
  }
  return {{"good", !provider::any_error(report.troubles)},
          {"hosts", std::move(hosts)},
          {"findings", std::move(troubles)}};
}

}  // namespace

int run_preflight(const std::vector<std::string>& args, Streams streams) {
  std::string subject;
  bool as_json = false;
  CLI::App app(
      "Looks whether the hosts that a file names can be a cluster: each for itself, and each pair, "
      "all at once. Says what is to be mended, and how.",
      "cox preflight");
  app.add_option("SUBJECT", subject, "a cluster's file, or the name of a cluster of hosts");
  app.add_flag("--json", as_json, "the report as JSON");
  app.footer(
      "Looked at: ssh without questions, the host's key, Open MPI and its version, shared, "
      "mounted\n"
      "and staged directories, names, addresses, TCP between each pair both ways, free cores, "
      "memory, "
      "clock,\n"
      "/dev/shm, limits. Making a cluster does the same. Nothing is left on the hosts.\n"
      "\n"
      "Exit status: 0 without errors, 1 with errors, 2 for a wrong command line.\n"
      "\n"
      "Examples:\n"
      "  cox preflight configs/hosts.yaml\n"
      "  cox preflight sea --json");
  const Usage usage{"cox preflight", "[--json] FILE|CLUSTER"};
  const int over = read_plain(app, args, usage, streams);
  if (over >= 0) return over;
  if (subject.empty()) return misused(usage, "a file or a cluster is required", streams);
  const auto report = find_subject(subject, streams).and_then([&](const Subject& found) {
    return examine(found, streams);
  });
  if (!report) {
    streams.err << "cox preflight: " << report.error().message << '\n';
    return kFailed;
  }
  if (as_json) {
    streams.out << pretty(to_json(*report));
  } else {
    streams.out << to_text(*report, shows_colour(STDOUT_FILENO));
  }
  return provider::any_error(report->troubles) ? kFailed : kDone;
}

}  // namespace cox::cli
