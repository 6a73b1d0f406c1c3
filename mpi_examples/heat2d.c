/* Halo exchange: heat spreads over a square plate that is cut into strips of rows, one a rank. Each
 * step swaps the border rows with both neighbours (MPI_Sendrecv) and relaxes the inside (Jacobi).
 * The top edge is held at 100 degrees, the others at 0. Exits 1 unless the result is what a plate
 * like this must show: symmetric from left to right, between 0 and 100, and warmer at the top.
 *
 *   awsbsub -n 3 --mpi heat2d.c [SIDE [STEPS]]
 */
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
  int rank;
  int size;
  int side;      /* inner cells along an edge of the plate */
  int rows;      /* rows of this rank's strip */
  double* now;   /* (rows + 2) x (side + 2), borders included */
  double* next;
} Plate;

static double* cell(const Plate* p, double* grid, int row, int column) {
  return &grid[(size_t)row * (size_t)(p->side + 2) + (size_t)column];
}

static int make_plate(Plate* p) {
  const size_t cells = (size_t)(p->rows + 2) * (size_t)(p->side + 2);
  p->now = calloc(cells, sizeof(double));
  p->next = calloc(cells, sizeof(double));
  if (p->now == NULL || p->next == NULL) return 0;
  if (p->rank == 0) {
    for (int c = 0; c < p->side + 2; ++c) *cell(p, p->now, 0, c) = *cell(p, p->next, 0, c) = 100.0;
  }
  return 1;
}

static void swap_halos(const Plate* p) {
  const int up = p->rank == 0 ? MPI_PROC_NULL : p->rank - 1;
  const int down = p->rank == p->size - 1 ? MPI_PROC_NULL : p->rank + 1;
  const int width = p->side + 2;
  MPI_Sendrecv(cell(p, p->now, 1, 0), width, MPI_DOUBLE, up, 0, cell(p, p->now, p->rows + 1, 0),
               width, MPI_DOUBLE, down, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  MPI_Sendrecv(cell(p, p->now, p->rows, 0), width, MPI_DOUBLE, down, 1, cell(p, p->now, 0, 0),
               width, MPI_DOUBLE, up, 1, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

/* One Jacobi step. Returns the largest change of a cell of this strip. */
static double relax(Plate* p) {
  double change = 0.0;
  for (int r = 1; r <= p->rows; ++r) {
    for (int c = 1; c <= p->side; ++c) {
      const double value = 0.25 * (*cell(p, p->now, r - 1, c) + *cell(p, p->now, r + 1, c) +
                                   *cell(p, p->now, r, c - 1) + *cell(p, p->now, r, c + 1));
      change = fmax(change, fabs(value - *cell(p, p->now, r, c)));
      *cell(p, p->next, r, c) = value;
    }
  }
  double* const old = p->now;
  p->now = p->next;
  p->next = old;
  return change;
}

/* Counts cells that no such plate can have. */
static int wrong_cells(const Plate* p) {
  int wrong = 0;
  for (int r = 1; r <= p->rows; ++r) {
    for (int c = 1; c <= p->side; ++c) {
      const double value = *cell(p, p->now, r, c);
      const double mirrored = *cell(p, p->now, r, p->side + 1 - c);
      if (value < 0.0 || value > 100.0 || fabs(value - mirrored) > 1e-9) ++wrong;
      if (value > *cell(p, p->now, r - 1, c) + 1e-9) ++wrong;
    }
  }
  return wrong;
}

int main(int argc, char** argv) {
  Plate plate = {0};
  int wrong = 0;
  int all_wrong = 0;

  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &plate.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &plate.size);
  plate.side = argc > 1 ? atoi(argv[1]) : 240;
  const int steps = argc > 2 ? atoi(argv[2]) : 200;
  if (plate.side < plate.size || steps < 1) {
    if (plate.rank == 0) fprintf(stderr, "heat2d: SIDE must be at least the number of ranks, STEPS at least 1\n");
    MPI_Finalize();
    return 2;
  }
  plate.rows = plate.side / plate.size + (plate.rank < plate.side % plate.size);
  if (!make_plate(&plate)) MPI_Abort(MPI_COMM_WORLD, 3);

  double change = 0.0;
  double largest = 0.0;
  const double start = MPI_Wtime();
  for (int step = 0; step < steps; ++step) {
    swap_halos(&plate);
    change = relax(&plate);
  }
  swap_halos(&plate);
  MPI_Reduce(&change, &largest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
  wrong = wrong_cells(&plate);
  MPI_Allreduce(&wrong, &all_wrong, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  if (plate.rank == 0) {
    printf("plate of %d x %d on %d ranks: %d steps in %.3f s, last change %.6f, wrong cells %d\n",
           plate.side, plate.side, plate.size, steps, MPI_Wtime() - start, largest, all_wrong);
  }
  free(plate.now);
  free(plate.next);
  MPI_Finalize();
  return all_wrong != 0;
}
