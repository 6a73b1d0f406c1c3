#include <cstdio>
#include <cstring>

#include "runtime/agent/rank_tee.hpp"

int main(int argc, char** argv) {
  if (argc < 2 || std::strcmp(argv[1], "--help") == 0) {
    std::fprintf(
        argc < 2 ? stderr : stdout,
        "usage: cox-rank PROGRAM [ARGUMENT ...]\n"
        "Runs PROGRAM as one MPI rank and tells the node's agent what it prints and how it\n"
        "ends. Open MPI calls it (OMPI_MCA_orte_fork_agent) inside a job.\n");
    return argc < 2 ? 2 : 0;
  }
  return cox::agent::run_rank(argv + 1);
}
