#include <cstdio>
#include <cstring>

#include "runtime/agent/rsh_command.hpp"

int main(int argc, char** argv) {
  if (argc < 2 || std::strcmp(argv[1], "--help") == 0) {
    std::fprintf(
        argc < 2 ? stderr : stdout,
        "usage: cox-rsh [ssh options] HOST [COMMAND ...]\n"
        "Runs COMMAND on another node of the same job, through the nodes' agents. Open MPI calls\n"
        "it in place of ssh (OMPI_MCA_plm_rsh_agent); inside a job it also answers to \"ssh\".\n");
    return argc < 2 ? 2 : 0;
  }
  return cox::agent::run_rsh({argv + 1, argv + argc});
}
