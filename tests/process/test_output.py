"""Output of ranks as data: told apart, whole, and complete when a rank dies."""

import json
import re
import subprocess
import time

import harness

MPI = harness.SOURCE / "mpi_examples"
PRINTER = r"""
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char** argv) {
  int rank, size, line;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  for (line = 0; line < 500; ++line) printf("rank %d line %d %0*d\n", rank, line, 60, line);
  fprintf(stderr, "rank %d to stderr\n", rank);
  MPI_Barrier(MPI_COMM_WORLD);
  if (argc > 1 && strcmp(argv[1], "crash") == 0 && rank == size - 1) {
    printf("last words");
    fflush(stdout);
    raise(SIGSEGV);
  }
  MPI_Finalize();
  return 0;
}
"""


def submit_printer(cluster, *arguments):
    cluster.person.write("printer.c", PRINTER)
    return cluster.submit("-n", "3", "--mpi", "printer.c", *arguments)


def test_every_rank_told_apart(cluster):
    job = submit_printer(cluster)
    assert cluster.finish(job)["status"] == "SUCCEEDED", cluster.details(job)[""]
    for rank in range(6):
        lines = cluster.output(job, "--rank", str(rank), "--stdout")
        assert lines == [f"rank {rank} line {i} {i:060d}" for i in range(500)]
        assert cluster.output(job, "--rank", str(rank), "--stderr") == [f"rank {rank} to stderr"]
    some = cluster.output(job, "--ranks", "0,2-4", "--stderr")
    assert sorted(some) == [f"rank {r} to stderr" for r in (0, 2, 3, 4)]
    assert cluster.output(job, "--rank", "3", "--stdout", "-hd", "2") == [f"rank 3 line {i} {i:060d}" for i in (0, 1)]
    assert cluster.output(job, "--rank", "3", "--stdout", "-t", "2") == [f"rank 3 line {i} {i:060d}" for i in (498, 499)]
    tagged = cluster.output(job, "--ranks", "5", "--tag", "-t", "1")
    assert re.match(r"\[5@ip-10-0-0-\d+ (stdout|stderr)\] rank 5 ", tagged[0]), tagged
    whole = re.compile(r"^rank \d line \d+ \d{60}$|^rank \d to stderr$")
    torn = [line for line in cluster.output(job, "--ranks", "0-5") if not whole.match(line)]
    assert torn == []


def test_a_crashed_ranks_output_is_complete(cluster):
    job = submit_printer(cluster, "crash")
    end = cluster.finish(job)
    assert end["status"] == "FAILED" and end["exitCode"] != "0"
    told = end[""] + cluster.details(f"{job}#0")[""]
    assert re.search(r"rank 5 on ip-10-0-0-\d+ .*(SIGSEGV|signal 11)", told), told
    assert "last words" in told
    lines = cluster.output(job, "--rank", "5", "--stdout")
    assert lines == [f"rank 5 line {i} {i:060d}" for i in range(500)] + ["last words"]


def test_an_unmodified_script_is_captured_too(cluster):
    cluster.person.write("ring_reduce.c", (MPI / "ring_reduce.c").read_text())
    cluster.person.write("submit_ring_reduce.sh", (MPI / "submit_ring_reduce.sh").read_text(), 0o755)
    job = cluster.submit("-n", "3", "-cf", "submit_ring_reduce.sh", "-if", "ring_reduce.c")
    assert cluster.finish(job)["status"] == "SUCCEEDED", "\n".join(cluster.output(f"{job}#0"))
    merged = cluster.output(f"{job}#0")
    assert "sum of all ranks: 15" in merged
    for rank in range(6):
        own = cluster.output(job, "--rank", str(rank))
        assert f"rank {rank} received {11 + (5 if rank == 0 else rank - 1)}" in own
        assert set(own) <= set(merged)


def test_merged_output_is_what_the_script_wrote(cluster):
    text = "one\n\n  two \ttabs\nüñí\nlast without a line end"
    cluster.person.write("words.txt", text)
    job = cluster.submit("-if", "words.txt", "--", "cat", "words.txt")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert cluster.output(job) == text.split("\n")


def test_head_tail_and_nothing(cluster):
    job = cluster.script("seq 1 100\n")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert cluster.output(job, "-hd", "3") == ["1", "2", "3"]
    assert cluster.output(job, "-t", "3") == ["98", "99", "100"]
    both = cluster.person.run("awsbout", "-c", cluster.name, "-hd", "1", "-t", "1", job).fails(1)
    assert both.err.startswith("Parameters validation error:")
    quiet = cluster.submit("true")
    assert cluster.finish(quiet)["status"] == "SUCCEEDED"
    assert cluster.person.run("awsbout", "-c", cluster.name, quiet).ok().out == "No events found.\n"
    unknown = cluster.person.run("awsbout", "-c", cluster.name, "nobody").fails(1)
    assert "nobody" in unknown.err and "not found" in unknown.err


def test_stream_follows_and_ends_with_the_job(cluster):
    job = cluster.script("for i in 1 2 3; do echo line $i; read -t 0.3 < <(sleep 9); done; while [ ! -e /shared/go ]; do sleep 0.05; done; echo end\n")
    process = cluster.person.start("awsbout", "-c", cluster.name, "-s", job)
    seen = [process.stdout.readline().decode() for _ in range(3)]
    assert [line.split(": ", 1)[1] for line in seen] == ["line 1\n", "line 2\n", "line 3\n"]
    assert process.poll() is None
    cluster.ssh("touch /shared/go").ok()
    out, err = process.communicate(timeout=30)
    assert out.decode().endswith(": end\n") and process.returncode == 0, (out, err)


def test_a_flood_of_output_is_kept_whole(cluster):
    job = cluster.script("seq 1 300000\n")
    assert cluster.finish(job, seconds=90)["status"] == "SUCCEEDED"
    lines = cluster.output(job)
    assert len(lines) == 300000 and lines[0] == "1" and lines[-1] == "300000"
    assert all(line == str(i) for i, line in enumerate(lines, 1))
    job = cluster.submit("--", "head", "-c", "200000", "/dev/zero")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
