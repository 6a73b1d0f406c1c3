#include "launcher/cli/entry.hpp"

namespace {

const cox::cli::CommandList& commands() {
  using namespace cox::cli;
  static const CommandList list{
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

int main(int argc, char** argv) { return cox::cli::run_by_name(argc, argv, commands(), kHelp); }
