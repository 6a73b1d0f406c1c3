"""The peers that others use for many small jobs and for output: a real Slurm, GNU parallel, hydra, and starting processes
directly. Each row's samples are taken in turn with ours."""

import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests/process"))
import harness  # noqa: E402
import slurm_site  # noqa: E402

WRITER = r"""
#ifdef WITHOUT_MPI /* For hydra alone: what Debian's MPICH sends between nodes hangs in MPI_Finalize now and then. */
#define MPI_Init(c, v)
#define MPI_Comm_rank(c, r) (*(r) = atoi(getenv("PMI_RANK")))
#define MPI_Comm_size(c, s) (*(s) = atoi(getenv("PMI_SIZE")))
#define MPI_Barrier(c)
#define MPI_Finalize()
#else
#include <mpi.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* Lines of 100 bytes, so many MB in all, each rank its share; numbered in place, so that writing is what takes time. They are
   written as stdio does by itself, or so many bytes at a time. */
int main(int argc, char** argv) {
  int rank, size, digit;
  long lines, line;
  char text[101];
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  lines = atol(argv[1]) * 10000 / size;
  if (argc > 2) setvbuf(stdout, NULL, _IOFBF, (size_t)atol(argv[2]));
  MPI_Barrier(MPI_COMM_WORLD);
  memset(text, 'x', 100);
  sprintf(text, "rank %d line %012d ", rank, 0);
  text[strlen(text)] = 'x';
  text[99] = '\n';
  for (line = 0; line < lines; ++line) {
    fwrite(text, 1, 100, stdout);
    for (digit = 23; ++text[digit] > '9'; --digit) text[digit] = '0';
  }
  fflush(stdout);
  MPI_Finalize();
  return 0;
}
"""
WHOLE = re.compile(rb"(\S+ )?rank \d line \d{12} x*\n")  # awsbout puts the time first
# Two processes at a time, each waited for: the least that running so many programs can cost here.
SPAWN = """import os, sys
left, running = int(sys.argv[1]), 0
while left or running:
    while left and running < 2:
        os.posix_spawn("/bin/true", ["true"], {})
        left, running = left - 1, running + 1
    os.wait()
    running -= 1
"""


class Site:
    """A real Slurm of four hosts, and someone who types there."""

    def __init__(self):
        self.site = slurm_site.SlurmSite(4)
        self.person = slurm_site.SlurmPerson(self.site)

    def run(self, *words, seconds=120):
        return self.person.run(*words, cwd=self.site.shared, seconds=seconds).ok().out

    def until_empty(self):
        def look():
            seen = self.run("squeue", "--noheader", "--format=%A %T")
            return not seen.strip(), seen
        harness.wait_until(look, "Slurm's queue to be empty", 120)

    def batch(self, *words):
        """Seconds from before sbatch until no job is left."""
        started = time.monotonic()
        self.run("sbatch", "--output=/dev/null", *words, "--wrap", "/bin/true")
        self.until_empty()
        return time.monotonic() - started

    def close(self):
        self.person.close()
        self.site.close()


def timed(what):
    started = time.monotonic()
    what()
    return time.monotonic() - started


def alone(what):
    """Seconds of one job on an idle cluster, begun at no certain moment of a loop that some scheduler runs once a second."""
    time.sleep(1 + random.random())
    return what()


def collected(rounds, samples):
    """Name → seconds of each round; a round takes each sample once, and the first warms up."""
    return collected_until(lambda: None, rounds, samples)[0]


def collected_until(settled, rounds, samples):
    """As collected(), and name → seconds until settled() has returned as well. None begins before the last one has settled."""
    taken, ended = ({name: [] for name in samples} for _ in range(2))
    settled()
    for number in range(rounds + 1):
        for name, sample in samples.items():
            seconds = sample()
            more = timed(settled)
            if number > 0:
                taken[name].append(seconds)
                ended[name].append(seconds + more)
    return taken, ended


def bench_many(person, site, rounds, jobs, row):
    """An array of /bin/true on eight slots, submit to the last one's end, and one such job alone."""
    person.create("bench-array", minimum=8, maximum=8)

    def ours():
        person.run("awsbsub", "-c", "bench-array", "-a", jobs, "--wait", "true", seconds=300).ok()

    taken = collected(rounds, {
        "array": lambda: timed(ours),
        "sbatch": lambda: site.batch(f"--array=1-{jobs}"),
        "parallel": lambda: timed(lambda: person.run("sh", "-c", f"seq {jobs} | parallel -j2 -N0 /bin/true").ok()),
        "spawn": lambda: timed(lambda: person.run(sys.executable, "-c", SPAWN, jobs).ok()),
        "one": lambda: alone(lambda: timed(lambda: person.run("awsbsub", "-c", "bench-array", "--wait", "true").ok())),
        "srun": lambda: alone(lambda: timed(lambda: site.run("srun", "-N1", "true"))),
        "one sbatch": lambda: alone(site.batch)})
    person.run("pcluster", "delete-cluster", "-n", "bench-array", "--wait").ok()
    what = f"an array of {jobs} /bin/true"
    return [row(what, taken["array"], taken["sbatch"], "sbatch --array", round(1 / 15, 3)),
            row("the same", taken["array"], taken["parallel"], "GNU parallel -j2", None),
            row("the same", taken["array"], taken["spawn"], "posix_spawn, 2 at once", 2),
            row("one /bin/true, awsbsub --wait", taken["one"], taken["srun"], "srun -N1", 0.2),
            row("the same", taken["one"], taken["one sbatch"], "sbatch, to an empty queue", 0.02)]


def megabytes_of_output(short):
    return 6 if short else 1024


def counted(lines):
    """How many lines there are, and how many of them are not one whole line of one rank."""
    total = torn = 0
    for line in lines:
        total += 1
        torn += not WHOLE.fullmatch(line)
    return total, torn


def bench_output(person, site, nodes, megabytes, rounds, row):
    """So many MB of six ranks' output, from the launch until all of it is where it is kept. `nodes`: makes sshd run in a
    cluster's nodes, for mpirun and hydra by hand."""
    cluster = person.create("bench-out", minimum=6, maximum=6)
    source = person.write("writer.c", WRITER)
    shared = site.site.shared
    cluster.ssh("cat > /shared/writer.c && cd /shared && mpicc.openmpi -O2 -o writer writer.c &&"
                " gcc -DWITHOUT_MPI -O2 -o writer.plain writer.c", stdin=WRITER).ok()
    subprocess.run(["mpicc.openmpi", "-O2", "-o", shared / "writer", source], check=True)
    subprocess.run(["gcc", "-DWITHOUT_MPI", "-O2", "-o", shared / "writer.plain", source], check=True)
    made = nodes(cluster)
    jobs = []

    # What stdio writes at a time is a line where a terminal or Open MPI's settings say so (mpirun, ours), else 4 KiB (srun).
    blocks = ["65536"]
    buffered = "OMPI_MCA_ess_base_stream_buffering"

    def ours(*more, export=(), env=None):
        # It waits as the peers do: to look again and again would take a processor's time from what is measured.
        done = person.run("awsbsub", "-c", "bench-out", "-n", "3", "--mpi", "--mpi-launch", "direct", "--wait", *export,
                          "writer.c", str(megabytes), *more, env=env, seconds=600).ok()
        jobs.append(harness.JOB_LINE.search(done.out).group(1))

    def mpirun(into, *more):
        return made.on_head(f"mpirun --mca plm_rsh_agent 'ssh -F {made.directory}/ssh_config'"
                            f" --mca btl_tcp_if_include eth0 --allow-run-as-root --machinefile {made.directory}/hostfile"
                            f" /shared/writer {megabytes} {' '.join(more)} > /shared/{into}")

    def srun(*more):
        return timed(lambda: site.run("srun", "-N3", "-n6", "--mpi=pmix", "-o", shared / "out.%t", shared / "writer",
                                      str(megabytes), *more, seconds=600))

    def writers(into):
        """Six of them alone, line by line: each into a file of its own, or nowhere."""
        running = []
        for rank in range(6):
            with open(into.format(rank), "wb") as out:
                running.append(subprocess.Popen(["stdbuf", "-oL", shared / "writer.plain", str(megabytes)], stdout=out,
                                                env={**os.environ, "PMI_RANK": str(rank), "PMI_SIZE": "6"}))
        assert [each.wait(timeout=600) for each in running] == [0] * 6

    try:
        made.wait_for_sshd()
        # Ours is on the disk when the job has ended; a peer's only once the system has put it there.
        taken, on_disk = collected_until(os.sync, rounds, {
            "direct": lambda: timed(ours),
            "mpirun": lambda: mpirun("out"),
            "hydra": lambda: made.on_head(f"mpiexec.hydra -launcher ssh -launcher-exec {made.directory}/ssh -f"
                                          f" {made.directory}/hosts.hydra -n 6 /shared/writer.plain {megabytes}"
                                          " > /shared/out.hydra"),
            "srun": srun,
            "direct, buffered": lambda: timed(lambda: ours(export=["-e", buffered], env={buffered: "2"})),
            "direct, blocks": lambda: timed(lambda: ours(*blocks)),
            "mpirun, blocks": lambda: mpirun("out.blocks", *blocks),
            "srun, blocks": lambda: srun(*blocks),
            "writers": lambda: timed(lambda: writers(str(shared / "plain.{}"))),
            "writers, to nowhere": lambda: timed(lambda: writers("/dev/null")),
            "disk": lambda: timed(lambda: subprocess.run(
                ["dd", "if=/dev/zero", f"of={shared}/dd.out", "bs=1M", f"count={megabytes}", "conv=fdatasync"],
                check=True, stderr=subprocess.DEVNULL))})
    finally:
        made.close()
    listing = person.start("awsbout", "-c", "bench-out", "--ranks", "0-5", "--stdout", jobs[-1], stderr=None)
    total, ours_torn = counted(listing.stdout)
    assert listing.wait(timeout=60) == 0
    assert total == megabytes * 10000 // 6 * 6, total
    tail = statistics.median(timed(lambda: cluster.output(jobs[-1], "--rank", "3", "-t", "10")) for _ in range(5))
    kept = sum(path.stat().st_size for path in shared.glob("out.[0-5]"))
    assert kept >= total * 100, kept  # libraries may have said something as well
    with open(person.state / "bench-out/shared/data/out", "rb") as by_mpirun:
        by_hand = counted(by_mpirun)[1]
    person.run("pcluster", "delete-cluster", "-n", "bench-out", "--wait").ok()
    what = f"{megabytes} MB of six ranks' output, launch included"
    return ([row(what, taken["direct"], taken["mpirun"], "mpirun > file", 0.1),
             row("the same", taken["direct"], taken["hydra"], "hydra > file, without MPI", None),
             row("the same; by 4 KiB under srun", taken["direct"], taken["srun"], "srun -o, a file a task", 1),
             row("the same", taken["direct"], taken["writers"], "the writers alone, by lines into a file each", None),
             row("the same", taken["direct"], taken["writers, to nowhere"], "the writers alone, by lines to /dev/null", None),
             row("the same, buffered by stdio as under srun", taken["direct, buffered"], taken["srun"], "srun -o, a file a task", 1),
             row("the same, written 64 KiB at a time", taken["direct, blocks"], taken["mpirun, blocks"], "mpirun > file", 0.1),
             row("the same, written 64 KiB at a time", taken["direct, blocks"], taken["srun, blocks"],
                 "srun -o, a file a task", 1),
             row("the same, written 64 KiB at a time", taken["direct, blocks"], taken["disk"],
                 "dd to the disk, fdatasync", None),
             row("the same, until the system has all of it on the disk", on_disk["direct, blocks"],
                 on_disk["mpirun, blocks"], "mpirun > file", 0.1),
             row("the same, until the system has all of it on the disk", on_disk["direct, blocks"],
                 on_disk["srun, blocks"], "srun -o, a file a task", 1),
             row("the same, by lines, until it is on the disk", on_disk["direct"], on_disk["mpirun"], "mpirun > file", 0.1)],
            [{"what": "the same: awsbout --tail 10 of one rank", "value": round(tail * 1000, 2), "unit": "ms", "budget": None},
             {"what": "the same: torn lines of ours", "value": ours_torn, "unit": "", "budget": "0"},
             {"what": "the same: torn lines of mpirun > file", "value": by_hand, "unit": "", "budget": None}])


def bench(person, nodes, rounds, short, row):
    """Rows and figures of all of them."""
    site = Site()
    try:
        rows = bench_many(person, site, rounds, 20 if short else 1000, row)
        more, figures = bench_output(person, site, nodes, megabytes_of_output(short), min(rounds, 3), row)
    finally:
        site.close()
    return rows + more, figures
