#include "launcher/cli/pcluster.hpp"

#include <unistd.h>

#include <boost/json.hpp>
#include <ostream>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/connection.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/provider/local_provider.hpp"
#include "runtime/base/text.hpp"
#include "runtime/os/files.hpp"

namespace cox::cli {

namespace json = boost::json;

namespace {

constexpr const char* kHelp =
    "usage: pcluster VERB [arguments ...]\n"
    "\n"
    "Makes, shows, enters and ends clusters. The verbs of both versions of ParallelCluster work.\n"
    "\n"
    "Version 3 (YAML files, JSON answers):\n"
    "  create-cluster, describe-cluster, list-clusters, delete-cluster, "
    "describe-cluster-instances,\n"
    "  describe-compute-fleet, update-compute-fleet, ssh -n NAME, version\n"
    "Version 2 (INI files, text answers):\n"
    "  create, status, list, delete, instances, start, stop, ssh NAME, version\n"
    "\n"
    "Examples:\n"
    "  pcluster create-cluster -n laptop -c configs/laptop.yaml --wait\n"
    "  pcluster describe-cluster -n laptop\n"
    "  pcluster ssh -n laptop\n"
    "  pcluster delete-cluster -n laptop --wait\n"
    "  pcluster create -c my_config_file.config -t awsbatch tutor2\n"
    "  pcluster ssh tutor2 'cat > job.sh' < job.sh\n"
    "\n"
    "`pcluster VERB --help` tells a verb's options.\n";

// ssh(1): options that take a value.
constexpr std::string_view kSshWithValue = "BbcDEeFIiJLlmOopQRSWw";

/// What follows ssh's own options: the command. Says whether a key was given.
std::vector<std::string> command_of(const std::vector<std::string>& words, bool& has_options) {
  std::size_t i = 0;
  for (; i < words.size() && words[i].size() > 1 && words[i][0] == '-'; ++i) {
    if (words[i] == "--") {
      ++i;
      break;
    }
    has_options = true;
    const char last = words[i].back();
    if (words[i].size() == 2 && kSshWithValue.find(last) != std::string_view::npos) ++i;
  }
  if (i >= words.size()) return {};
  return {words.begin() + static_cast<std::ptrdiff_t>(i), words.end()};
}

/// The key is not needed: said once for each cluster.
void say_once(const std::string& directory, Streams streams) {
  const auto mark = directory + "/key-notice";
  if (::access(mark.c_str(), F_OK) == 0) return;
  streams.err << "pcluster: a local cluster needs no key and no ssh options; they are not used\n";
  [[maybe_unused]] const auto kept = os::write_file_atomic(mark, "", 0644);
}

}  // namespace

Result<ConfigFile> read_config(const std::string& path, bool v2,
                               const config::LoadOptions& options) {
  auto text = os::read_file(path, 1u << 20);
  if (!text) return fail(text.error());
  ConfigFile file{path, std::move(*text), true, {}};
  if (v2) {
    file.loaded = config::load_ini(file.text, options);
  } else {
    file.loaded = config::load_yaml(file.text, options);
  }
  return file;
}

std::string overcommit_note(const config::ClusterConfig& config) {
  const long cores = ::sysconf(_SC_NPROCESSORS_ONLN);
  int declared = 0;
  for (const auto& queue : config.queues) {
    for (const auto& resource : queue.compute_resources) declared += resource.max_vcpus;
  }
  if (declared <= cores) return "";
  return fmt::format("the nodes may declare {} vCPUs in all, this machine has {}: they share them",
                     declared, cores);
}

Result<void> follow_creation(const std::string& cluster,
                             const std::function<void(const std::string&)>& progress) {
  auto connection = Connection::open(cluster);
  if (!connection) return fail(connection.error());
  std::string state;
  std::string reason;
  const auto followed = connection->lines("events?follow=1", [&](std::string_view text) {
    boost::system::error_code error;
    const auto parsed = json::parse(text, error);
    if (error || !parsed.is_object()) return true;
    const auto& event = parsed.get_object();
    const auto resource = text_of(event, "resource");
    const auto now = text_of(event, "state");
    progress(fmt::format("{} - {}", resource, now));
    if (now == "CREATE_FAILED" && reason.empty()) reason = text_of(event, "reason");
    if (resource != cluster) return true;
    state = now;
    return now != "CREATE_COMPLETE" && now != "CREATE_FAILED";
  });
  if (state == "CREATE_COMPLETE") return {};
  if (!reason.empty()) return fail(Errc::unavailable, "{}", reason);
  return followed ? fail(Errc::unavailable, "the cluster's daemon ended") : fail(followed.error());
}

int ssh_to_head_node(const std::string& cluster, const std::vector<std::string>& words,
                     Streams streams) {
  const auto complain = [&](const std::string& text) {
    streams.err << "ERROR: " << text << '\n';
    return kFailed;
  };
  bool has_options = false;
  const auto command = command_of(words, has_options);
  auto connection = Connection::open(cluster);
  if (!connection) return complain(connection.error().message);
  const auto described = connection->get("cluster");
  if (!described) return complain(described.error().message);
  const auto* head = object_of(described->as_object(), "headNode");
  if (head == nullptr || text_of(*head, "state") != "running") {
    return complain(fmt::format("the head node of cluster {} is not running", cluster));
  }
  const auto directory = cluster::directory_of(cluster);
  auto entry = provider::find_local_node(directory, NodeId{text_of(*head, "id")});
  if (!entry) return complain(entry.error().message);
  if (has_options) say_once(directory, streams);
  const auto record = cluster::load_record(directory);
  const auto text = os::read_file(directory + "/config");
  if (entry->os_user.empty() && record && text) {
    config::LoadOptions options;
    options.cluster_template = record->cluster_template;
    const auto loaded =
        record->v2 ? config::load_ini(*text, options) : config::load_yaml(*text, options);
    entry->os_user = loaded.config ? loaded.config->os_user : "ec2-user";
  }
  streams.out.flush();
  const auto status = provider::run_in_local_node(*entry, command);
  return status ? *status : complain(status.error().message);
}

int run_pcluster(const std::vector<std::string>& args, Streams streams) {
  if (args.empty()) {
    streams.err << kHelp;
    return kMisused;
  }
  const auto& verb = args.front();
  const std::vector<std::string> rest(args.begin() + 1, args.end());
  if (verb == "-h" || verb == "--help" || verb == "help") {
    streams.out << kHelp;
    return kDone;
  }
  if (verb == "ssh") {
    // Version 3 names the cluster by -n, version 2 by its place.
    const bool v3 =
        !rest.empty() && (rest[0].starts_with("-n") || rest[0].starts_with("--cluster-name"));
    return v3 ? run_v3(verb, rest, streams) : run_v2(verb, rest, streams);
  }
  if (is_v3_verb(verb)) return run_v3(verb, rest, streams);
  if (is_v2_verb(verb)) return run_v2(verb, rest, streams);
  streams.err << "usage: pcluster VERB [arguments ...]   (pcluster --help shows all)\n"
              << "pcluster: error: there is no verb " << verb << '\n';
  return kMisused;
}

}  // namespace cox::cli
