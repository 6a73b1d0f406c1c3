/* Ring and reduce: every rank says hello, a number goes once round the ring and grows by one at
 * each step, and a sum over all ranks ends the run. Exits 1 when an answer is wrong.
 *
 *   awsbsub -n 3 --mpi ring_reduce.c
 */
#include <mpi.h>
#include <stdio.h>

enum { kFirstValue = 11, kTag = 1 };

/* Receives what the predecessor sent; rank 0 starts the lap and ends it. Returns the value seen. */
static int pass_round(int rank, int size) {
  const int next = (rank + 1) % size;
  const int previous = (rank + size - 1) % size;
  int value = kFirstValue;

  if (rank == 0) {
    MPI_Send(&value, 1, MPI_INT, next, kTag, MPI_COMM_WORLD);
    MPI_Recv(&value, 1, MPI_INT, previous, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    return value;
  }
  MPI_Recv(&value, 1, MPI_INT, previous, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  const int grown = value + 1;
  MPI_Send(&grown, 1, MPI_INT, next, kTag, MPI_COMM_WORLD);
  return value;
}

int main(int argc, char** argv) {
  char host[MPI_MAX_PROCESSOR_NAME];
  int host_length = 0;
  int rank = 0;
  int size = 0;
  int sum = 0;

  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Get_processor_name(host, &host_length);
  printf("Hello world from processor %s, rank %d out of %d processors\n", host, rank, size);
  fflush(stdout);

  if (size > 1) {
    const int value = pass_round(rank, size);
    printf("rank %d received %d\n", rank, value);
    const int expected = kFirstValue + (rank == 0 ? size - 1 : rank - 1);
    if (value != expected) {
      fprintf(stderr, "rank %d expected %d\n", rank, expected);
      MPI_Abort(MPI_COMM_WORLD, 1);
    }
  }

  MPI_Reduce(&rank, &sum, 1, MPI_INT, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0) printf("sum of all ranks: %d\n", sum);
  MPI_Finalize();
  return rank == 0 && sum != size * (size - 1) / 2;
}
