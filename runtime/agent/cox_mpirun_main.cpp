#include <cstdio>
#include <cstring>

#include "runtime/agent/mpirun_front.hpp"
#include "runtime/agent/mpirun_launch.hpp"

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--node") == 0) return cox::agent::run_mpirun_node();
  const char* slash = std::strrchr(argv[0], '/');
  const char* name = slash != nullptr ? slash + 1 : argv[0];
  if (std::strcmp(name, "cox-mpirun") != 0) return cox::agent::run_mpirun(argv);
  std::fprintf(stdout,
               "Inside a job this program answers to mpirun, mpiexec and orterun: it starts the\n"
               "ranks directly on the job's nodes where it knows how the line is meant, and is\n"
               "Open MPI's own mpirun where it does not. COX_MPIRUN=real: always the latter.\n");
  return argc > 1 && std::strcmp(argv[1], "--help") != 0 ? 2 : 0;
}
