/* Matrix multiply: C = A x B with the rows of A scattered over the ranks, B broadcast and the rows
 * of C gathered. A and B are made so that every cell of C is known. Exits 1 on a wrong cell.
 *
 *   awsbsub -n 3 --mpi matmul.c [N]
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

/* Rows of each rank and where they start, in elements: what MPI_Scatterv wants. */
static void deal_rows(int n, int size, int* counts, int* offsets) {
  int next = 0;
  for (int rank = 0; rank < size; ++rank) {
    const int rows = n / size + (rank < n % size);
    counts[rank] = rows * n;
    offsets[rank] = next;
    next += counts[rank];
  }
}

static void multiply(const double* a, const double* b, double* c, int rows, int n) {
  for (int i = 0; i < rows; ++i) {
    for (int k = 0; k < n; ++k) {
      const double factor = a[(size_t)i * (size_t)n + (size_t)k];
      for (int j = 0; j < n; ++j) {
        c[(size_t)i * (size_t)n + (size_t)j] += factor * b[(size_t)k * (size_t)n + (size_t)j];
      }
    }
  }
}

/* A[i][k] = i + k and B[k][j] = k - j, so C[i][j] is a sum with a closed form. */
static double expected(int i, int j, int n) {
  const double m = n;
  const double sum_k = m * (m - 1) / 2;
  const double sum_kk = (m - 1) * m * (2 * m - 1) / 6;
  return sum_kk + (double)(i - j) * sum_k - m * (double)i * (double)j;
}

static int count_wrong(const double* c, int n) {
  int wrong = 0;
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      if (c[(size_t)i * (size_t)n + (size_t)j] != expected(i, j, n)) ++wrong;
    }
  }
  return wrong;
}

int main(int argc, char** argv) {
  int rank = 0;
  int size = 0;
  int wrong = 0;

  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  const int n = argc > 1 ? atoi(argv[1]) : 300;
  if (n < 1 || n > 4096) {
    if (rank == 0) fprintf(stderr, "matmul: N must be from 1 to 4096\n");
    MPI_Finalize();
    return 2;
  }

  const size_t cells = (size_t)n * (size_t)n;
  int* counts = malloc(sizeof(int) * (size_t)size);
  int* offsets = malloc(sizeof(int) * (size_t)size);
  double* a = rank == 0 ? malloc(sizeof(double) * cells) : NULL;
  double* c = rank == 0 ? malloc(sizeof(double) * cells) : NULL;
  double* b = malloc(sizeof(double) * cells);
  if (counts == NULL || offsets == NULL || b == NULL || (rank == 0 && (a == NULL || c == NULL))) {
    MPI_Abort(MPI_COMM_WORLD, 3);
  }
  deal_rows(n, size, counts, offsets);
  for (int k = 0; rank == 0 && k < n; ++k) {
    for (int j = 0; j < n; ++j) {
      a[(size_t)k * (size_t)n + (size_t)j] = k + j;
      b[(size_t)k * (size_t)n + (size_t)j] = k - j;
    }
  }

  const double start = MPI_Wtime();
  const size_t mine = (size_t)counts[rank];
  double* my_a = malloc(sizeof(double) * (mine + 1));
  double* my_c = calloc(mine + 1, sizeof(double));
  if (my_a == NULL || my_c == NULL) MPI_Abort(MPI_COMM_WORLD, 3);
  MPI_Scatterv(a, counts, offsets, MPI_DOUBLE, my_a, counts[rank], MPI_DOUBLE, 0, MPI_COMM_WORLD);
  MPI_Bcast(b, n * n, MPI_DOUBLE, 0, MPI_COMM_WORLD);
  multiply(my_a, b, my_c, counts[rank] / n, n);
  MPI_Gatherv(my_c, counts[rank], MPI_DOUBLE, c, counts, offsets, MPI_DOUBLE, 0, MPI_COMM_WORLD);

  if (rank == 0) {
    wrong = count_wrong(c, n);
    printf("product of two %d x %d matrices on %d ranks in %.3f s, wrong cells %d\n", n, n, size,
           MPI_Wtime() - start, wrong);
  }
  free(my_a);
  free(my_c);
  free(a);
  free(b);
  free(c);
  free(counts);
  free(offsets);
  MPI_Finalize();
  return wrong != 0;
}
