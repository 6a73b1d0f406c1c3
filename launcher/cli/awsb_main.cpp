#include "launcher/cli/entry.hpp"

/// The commands that people call most, and in loops: a program of their own starts in half the time
/// of one that also makes clusters, since it needs no library of TLS.
int main(int argc, char** argv) {
  using namespace cox::cli;
  static const CommandList list{{"awsbsub", run_awsbsub},     {"awsbstat", run_awsbstat},
                                {"awsbout", run_awsbout},     {"awsbkill", run_awsbkill},
                                {"awsbhosts", run_awsbhosts}, {"awsbqueues", run_awsbqueues}};
  return run_by_name(
      argc, argv, list,
      "usage: awsb COMMAND [arguments ...]\n"
      "\n"
      "The job commands: awsbsub, awsbstat, awsbout, awsbkill, awsbhosts, awsbqueues. "
      "They are called by their own names; `cox --help` shows all that there is.\n");
}
