// Like the tutorials' program: hello from every rank, a number handed from rank to rank that grows
// by one, with pauses, and a sum whose result is not printed. It calls sleep() without unistd.h.
#include <mpi.h>
#include <stdio.h>

#ifndef PAUSE_SECONDS
#define PAUSE_SECONDS 1
#endif

int main(int argc, char** argv) {
  int rank, size, length, value = 11, sum = 0;
  char name[MPI_MAX_PROCESSOR_NAME];

  MPI_Init(&argc, &argv);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Get_processor_name(name, &length);
  printf("Hello world from processor %s, rank %d out of %d processors\n", name, rank, size);
  if (rank == 0) {
    MPI_Send(&value, 1, MPI_INT, 1, 0, MPI_COMM_WORLD);
  } else {
    MPI_Recv(&value, 1, MPI_INT, rank - 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    printf("rank %d received %d from rank %d\n", rank, value, rank - 1);
    sleep(PAUSE_SECONDS);
    value = value + 1;
    if (rank + 1 < size) MPI_Send(&value, 1, MPI_INT, rank + 1, 0, MPI_COMM_WORLD);
  }
  MPI_Reduce(&rank, &sum, 1, MPI_INT, MPI_SUM, 0, MPI_COMM_WORLD);
  MPI_Finalize();
  return 0;
}
