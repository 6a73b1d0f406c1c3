#include <algorithm>
#include <array>
#include <ostream>
#include <sstream>

#include "launcher/cli/client_log.hpp"
#include "launcher/cli/commands.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cli/pcluster_answers.hpp"
#include "launcher/cli/pcluster_query.hpp"
#include "launcher/cli/pcluster_verbs.hpp"
#include "runtime/base/text.hpp"

namespace cox::cli {

namespace {

// Verbs of the originals that this version does not have.
constexpr std::array<const char*, 13> kNotServed{"delete-cluster-instances",
                                                 "list-images",
                                                 "build-image",
                                                 "delete-image",
                                                 "describe-image",
                                                 "list-image-log-streams",
                                                 "get-image-log-events",
                                                 "get-image-stack-events",
                                                 "list-official-images",
                                                 "dcv-connect",
                                                 "export-image-logs",
                                                 "createami",
                                                 "dcv"};

constexpr const char* kExamples =
    "\n"
    "Examples:\n"
    "  pcluster create-cluster -n laptop -c configs/laptop.yaml --wait   # a file of version 3\n"
    "  pcluster create -c configs/tutorial.config -t awsbatch tutor2     # a file of version 2\n"
    "  pcluster list\n"
    "  pcluster ssh tutor2                                   # a login shell on the head node\n"
    "  pcluster ssh tutor2 'cat > submit.sh' < submit.sh     # a command there, with stdin\n"
    "  pcluster delete tutor2\n"
    "\n"
    "`pcluster VERB --help` tells a verb's options.\n";

void show_verbs(const std::vector<VerbEntry>& entries, std::ostream& out) {
  for (const auto& entry : entries) {
    out << fmt::format("  {:<28} {}\n", entry.verb.name, entry.verb.summary);
  }
}

void show_help(std::ostream& out) {
  out << "usage: pcluster VERB [options]\n"
         "\n"
         "Makes, shows, enters and ends clusters of this host.\n"
         "\n"
         "Verbs of ParallelCluster 3 (JSON):\n";
  show_verbs(version3_verbs(), out);
  out << fmt::format("  {:<28} {}\n", "ssh", "Opens a shell, or runs a command, on the head node.");
  out << "\nVerbs of ParallelCluster 2 (text):\n";
  show_verbs(version2_verbs(), out);
  out << kExamples;
}

std::vector<std::string> all_names() {
  std::vector<std::string> names{"ssh"};
  for (const auto* entries : {&version3_verbs(), &version2_verbs()}) {
    for (const auto& entry : *entries) names.push_back(entry.verb.name);
  }
  return names;
}

/// Runs a verb; with --query, what that selects of its answer is printed in place of it. As with
/// the original the verb is carried out all the same, and a refusal is printed whole.
int run_verb(const VerbEntry& entry, const Words& words, Streams streams) {
  if (!words.has("--query")) return entry.run(words, streams);
  std::ostringstream answer;
  const int status = entry.run(words, {answer, streams.err});
  if (status != kDone) {
    streams.out << answer.str();
    return status;
  }
  const auto found = select_by_query(words.get("--query"), answer.str());
  if (!found) return refuse(streams, found.error().message);
  streams.out << *found;
  return kDone;
}

}  // namespace

int run_pcluster(const std::vector<std::string>& args, Streams streams) {
  if (args.empty()) {
    show_help(streams.err);
    return kMisused;
  }
  const auto& name = args.front();
  if (name == "-h" || name == "--help" || name == "help") {
    show_help(streams.out);
    return kDone;
  }
  const std::vector<std::string> rest(args.begin() + 1, args.end());
  open_pcluster_log();
  client_log(LogLevel::info, "pcluster:main", shell_quote(args));
  if (name == "ssh") return run_pcluster_ssh(rest, streams);
  for (const auto* entries : {&version3_verbs(), &version2_verbs()}) {
    for (const auto& entry : *entries) {
      if (entry.verb.name != name) continue;
      Words words;
      if (const int status = read_words(entry.verb, rest, words, streams); status >= 0) {
        return status;
      }
      const int status = run_verb(entry, words, streams);
      client_log(status == kDone ? LogLevel::info : LogLevel::error, "pcluster:main",
                 fmt::format("{} ends with {}", name, status));
      return status;
    }
  }
  if (std::find(kNotServed.begin(), kNotServed.end(), name) != kNotServed.end()) {
    streams.err << "ERROR: pcluster " << name << " is not served by this version\n";
    return kFailed;
  }
  const auto near = nearest(name, all_names());
  streams.err << "usage: pcluster VERB [options]\npcluster: error: there is no verb " << name
              << (near ? "; did you mean " + *near + "?" : " (see pcluster --help)") << '\n';
  return kMisused;
}

}  // namespace cox::cli
