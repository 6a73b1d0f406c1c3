/* Latency and bandwidth between the first and the last rank, by ping-pong: half the time of a round
 * trip, and bytes a second, for messages of 1 byte to 4 MiB. The last rank is on another node when
 * the job has more than one. Exits 1 when a message came back changed.
 *
 *   awsbsub -n 2 --mpi --ranks-per-node 1 latency.c
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kLargest = 4 << 20, kTag = 7 };

static int rounds_for(int bytes) { return bytes <= 4096 ? 200 : bytes <= 262144 ? 50 : 10; }

/* Seconds for one way, by the first rank's clock. */
static double ping_pong(int rank, int peer, char* buffer, int bytes) {
  const int rounds = rounds_for(bytes);
  const double start = MPI_Wtime();
  for (int i = 0; i < rounds; ++i) {
    if (rank == 0) {
      MPI_Send(buffer, bytes, MPI_CHAR, peer, kTag, MPI_COMM_WORLD);
      MPI_Recv(buffer, bytes, MPI_CHAR, peer, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    } else {
      MPI_Recv(buffer, bytes, MPI_CHAR, 0, kTag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      MPI_Send(buffer, bytes, MPI_CHAR, 0, kTag, MPI_COMM_WORLD);
    }
  }
  return (MPI_Wtime() - start) / rounds / 2;
}

int main(int argc, char** argv) {
  int rank = 0;
  int size = 0;
  int changed = 0;

  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size < 2) {
    fprintf(stderr, "latency: needs at least two ranks\n");
    MPI_Finalize();
    return 2;
  }

  char* buffer = malloc(kLargest);
  if (buffer == NULL) MPI_Abort(MPI_COMM_WORLD, 3);
  memset(buffer, rank == 0 ? 'c' : 'x', kLargest);
  if (rank == 0) printf("%10s %14s %14s\n", "bytes", "latency [us]", "MB/s");
  for (int bytes = 1; bytes <= kLargest; bytes *= 4) {
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank != 0 && rank != size - 1) continue;
    const double seconds = ping_pong(rank, size - 1, buffer, bytes);
    if (rank != 0) continue;
    printf("%10d %14.2f %14.2f\n", bytes, seconds * 1e6, (double)bytes / seconds / 1e6);
    for (int i = 0; i < bytes; ++i) changed += buffer[i] != 'c';
  }
  free(buffer);
  MPI_Finalize();
  if (changed != 0) fprintf(stderr, "latency: %d bytes came back changed\n", changed);
  return changed != 0;
}
