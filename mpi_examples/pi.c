/* Pi by the midpoint rule: the integral of 4 / (1 + x^2) over [0, 1], its slices dealt out to the
 * ranks in turn. Exits 1 when the answer is off by more than 1e-8.
 *
 *   awsbsub -n 3 --mpi pi.c [SLICES]
 */
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

static double partial_sum(long slices, int rank, int size) {
  const double width = 1.0 / (double)slices;
  double sum = 0.0;
  for (long i = rank; i < slices; i += size) {
    const double x = ((double)i + 0.5) * width;
    sum += 4.0 / (1.0 + x * x);
  }
  return sum * width;
}

int main(int argc, char** argv) {
  int rank = 0;
  int size = 0;
  double pi = 0.0;

  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const long slices = argc > 1 ? strtol(argv[1], NULL, 10) : 10000000L;
  if (slices < 1) {
    if (rank == 0) fprintf(stderr, "pi: SLICES must be a positive number, not \"%s\"\n", argv[1]);
    MPI_Finalize();
    return 2;
  }

  const double start = MPI_Wtime();
  const double mine = partial_sum(slices, rank, size);
  MPI_Reduce(&mine, &pi, 1, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
  if (rank == 0) {
    printf("pi is about %.12f, off by %.3e, %ld slices on %d ranks in %.3f s\n", pi,
           fabs(pi - M_PI), slices, size, MPI_Wtime() - start);
  }
  MPI_Finalize();
  return rank == 0 && fabs(pi - M_PI) > 1e-8 && slices >= 100000;
}
