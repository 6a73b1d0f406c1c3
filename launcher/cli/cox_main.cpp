#include <csignal>
#include <cstdio>
#include <functional>
#include <iostream>
#include <map>

#include "launcher/cli/commands.hpp"
#include "launcher/cli/exit_codes.hpp"
#include "launcher/cluster/lifecycle.hpp"

namespace {

using Command = std::function<int(const std::vector<std::string>&, cox::cli::Streams)>;

const std::map<std::string, Command>& commands() {
  using namespace cox::cli;
  static const std::map<std::string, Command> list{
      {"awsbsub", run_awsbsub},         {"awsbstat", run_awsbstat},
      {"awsbout", run_awsbout},         {"awsbkill", run_awsbkill},
      {"awsbhosts", run_awsbhosts},     {"awsbqueues", run_awsbqueues},
      {"pcluster", run_pcluster},       {"validate", run_validate},
      {"convert", run_convert},         {"pcluster3-config-converter", run_config_converter},
      {"credentials", run_credentials}, {"simulate", run_simulate},
      {"history", run_history},         {"preflight", run_preflight}};
  return list;
}

constexpr const char* kHelp =
    "usage: cox COMMAND [arguments ...]\n"
    "\n"
    "Launches MPI clusters and runs jobs on them. All but credentials, history, preflight, "
    "validate and simulate can also be called by their own names.\n"
    "\n"
    "  pcluster     make, show, enter and end clusters (verbs of ParallelCluster 2 and 3)\n"
    "  awsbsub      submit a job\n"
    "  awsbstat     show jobs\n"
    "  awsbout      show what a job wrote, rank by rank where asked\n"
    "  awsbkill     cancel or terminate jobs\n"
    "  awsbhosts    show the nodes\n"
    "  awsbqueues   show the queues\n"
    "  history      show jobs that have ended and are still kept (as `cox history` only)\n"
    "  credentials  print what boto3 and the AWS CLI need to reach a cluster (cox credentials)\n"
    "  validate     say all that is wrong with a cluster's file (as `cox validate` only)\n"
    "  convert      make a file of ParallelCluster 3 from one of 2 "
    "(pcluster3-config-converter)\n"
    "  simulate     play a recorded workload through the scheduler (as `cox simulate` only)\n"
    "  preflight    look whether the hosts that a file names can be a cluster (as `cox preflight` "
    "only)\n"
    "\n"
    "Examples:\n"
    "  pcluster create-cluster -n laptop -c configs/laptop.yaml --wait\n"
    "  awsbsub -c laptop -n 3 --wait --mpi ring.c\n"
    "  awsbstat -c laptop\n"
    "\n"
    "`COMMAND --help` tells the rest.\n";

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_DFL);  // `awsbout ID | head` ends quietly
  std::vector<std::string> args(argv, argv + argc);
  auto name = args.empty() ? std::string("cox") : args[0].substr(args[0].rfind('/') + 1);
  args.erase(args.begin(), args.begin() + (args.empty() ? 0 : 1));
  if (!commands().contains(name)) {
    if (args.empty()) {
      std::fputs(kHelp, stderr);
      return cox::cli::kMisused;
    }
    name = args.front();
    args.erase(args.begin());
  }
  if (name == "--help" || name == "-h" || name == "help") {
    std::fputs(kHelp, stdout);
    return cox::cli::kDone;
  }
  if (name == "--version" || name == "version") {
    std::printf("cox %s\n", cox::cluster::kVersion);
    return cox::cli::kDone;
  }
  const auto command = commands().find(name);
  if (command == commands().end()) {
    std::fprintf(stderr, "cox: error: there is no command %s (see cox --help)\n", name.c_str());
    return cox::cli::kMisused;
  }
  try {
    const int status = command->second(args, {std::cout, std::cerr});
    std::cout.flush();
    return status;
  } catch (const std::exception& error) {
    // Out of memory, or a fault of ours in a library that throws.
    std::cout.flush();
    std::fprintf(stderr, "Unexpected error. Command failed with exception: %s\n", error.what());
    return cox::cli::kFailed;
  }
}
