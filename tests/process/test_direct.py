"""awsbsub --mpi whose ranks the nodes start themselves: same output as by mpirun, and an end for every fault."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

import harness

MPI = harness.SOURCE / "mpi_examples"
EXAMPLES = {"ring_reduce": "sum of all ranks: 15", "pi": "pi is about 3.14159", "heat2d": "wrong cells 0",
            "matmul": "wrong cells 0", "latency": "MB/s"}
# What a rank does by its arguments: WHAT RANK [CODE].
FAULTY = r"""
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int is(char** argv, const char* what, int rank) { return strcmp(argv[1], what) == 0 && atoi(argv[2]) == rank; }
int main(int argc, char** argv) {
  int rank, size, code = argc > 3 ? atoi(argv[3]) : 0;
  const char* own = getenv("PMI_RANK");
  if (own && is(argv, "exit-before-init", atoi(own))) return code;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  printf("rank %d of %d is here\n", rank, size);
  fflush(stdout);
  MPI_Barrier(MPI_COMM_WORLD);
  if (is(argv, "abort", rank)) MPI_Abort(MPI_COMM_WORLD, code);
  if (is(argv, "signal", rank)) raise(code);
  if (is(argv, "exit", rank)) _exit(code);
  if (is(argv, "wait", 0)) { signal(SIGTERM, SIG_IGN); for (;;) pause(); }
  if (strcmp(argv[1], "exit-at-end") != 0) MPI_Barrier(MPI_COMM_WORLD);
  MPI_Finalize();
  return is(argv, "exit-at-end", rank) ? code : 0;
}
"""


@pytest.fixture
def faulty(cluster):
    cluster.person.write("faulty.c", FAULTY)
    return cluster


def launched(details):
    return details["launch"]


def shared_memory(cluster):
    """What jobs have left in the nodes' /dev/shm."""
    left = []
    for pid in cluster.node_pids().values():
        left += [str(p) for p in harness.pathlib.Path(f"/proc/{pid}/root/dev/shm").glob("*")]
    return left


def ranks_running(cluster, word="faulty"):
    return [line for _, line in cluster.person.processes() if word in line and "awsbsub" not in line]


def nothing_is_left(cluster):
    harness.wait_until(lambda: (not ranks_running(cluster), ranks_running(cluster)), "ranks to be gone", 10)
    harness.wait_until(lambda: (not shared_memory(cluster), shared_memory(cluster)), "/dev/shm to be clean", 10)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_launched_directly(cluster, example):
    job = cluster.submit("-n", "3", "--mpi", MPI / f"{example}.c")
    end = cluster.finish(job, seconds=90)
    text = "\n".join(cluster.output(f"{job}#0"))
    assert end["status"] == "SUCCEEDED" and EXAMPLES[example] in text, end[""] + text
    assert launched(end) == "direct: Open MPI by PMI-1"
    nothing_is_left(cluster)


def test_the_output_is_that_of_mpirun(cluster):
    outputs = {}
    for road in ("direct", "mpirun"):
        job = cluster.submit("-n", "3", "--mpi", "--mpi-launch", road, MPI / "ring_reduce.c")
        end = cluster.finish(job)
        assert end["status"] == "SUCCEEDED" and launched(end).startswith(f"{road}: asked for"), end[""]
        hosts = set(
            line.split("@")[1].split(" ")[0] for line in cluster.output(job, "--ranks", "0-5", "--tag"))
        outputs[road] = [len(hosts), sorted(re.sub(r"ip-[\d-]+", "HOST", line) for line in cluster.output(f"{job}#0"))]
        for rank in range(6):
            outputs[road].append([re.sub(r"ip-[\d-]+", "HOST", line) for line in cluster.output(job, "--rank", str(rank))])
    assert outputs["direct"] == outputs["mpirun"]
    assert len(outputs["direct"][1]) == sum(len(lines) for lines in outputs["direct"][2:])


@pytest.mark.parametrize("what, arguments, code, told", [
    ("MPI_Abort", ("abort", "3", "42"), 42, r"rank 3 on ip-10-0-0-\d+ called MPI_Abort with code 42"),
    ("a signal", ("signal", "5", "11"), 139, r"rank 5 on ip-10-0-0-\d+ ended by signal 11 \(SIGSEGV\)"),
    ("SIGKILL", ("signal", "1", "9"), 137, r"rank 1 on ip-10-0-0-\d+ ended by signal 9 \(SIGKILL\)"),
    ("an exit code", ("exit", "2", "7"), 7, r"rank 2 on ip-10-0-0-\d+ exited with code 7"),
    ("an exit code at the end", ("exit-at-end", "4", "3"), 3, r"rank 4 on ip-10-0-0-\d+ exited with code 3"),
    ("no MPI_Finalize", ("exit", "0", "0"), 1, r"rank 0 on ip-10-0-0-\d+ exited with code 0 without MPI_Finalize"),
    ("no MPI_Init", ("exit-before-init", "4", "0"), 1,
     r"rank 4 on ip-10-0-0-\d+ ended while other ranks wait for it in MPI_Init"),
    ("no MPI_Init on the main node", ("exit-before-init", "1", "0"), 1,
     r"rank 1 on ip-10-0-0-\d+ ended while other ranks wait for it in MPI_Init"),
], ids=lambda value: value.replace(" ", "_") if isinstance(value, str) and "rank" not in value else "")
def test_a_failing_rank_ends_the_job_everywhere(faulty, what, arguments, code, told):
    job = faulty.submit("-n", "3", "--mpi", "faulty.c", *arguments)
    end = faulty.finish(job)
    assert end["status"] == "FAILED" and launched(end).startswith("direct"), end[""]
    assert re.search(told, end["statusReason"]), end[""]
    assert faulty.details(f"{job}#0")["exitCode"] == str(code), faulty.details(f"{job}#0")[""]
    nothing_is_left(faulty)


def test_a_program_without_mpi_runs_once_a_slot(cluster):
    cluster.person.write("where.sh", "#!/bin/sh\nread line || echo rank $OMPI_COMM_WORLD_RANK of $OMPI_COMM_WORLD_SIZE\n", 0o755)
    job = cluster.submit("-n", "3", "--mpi", "--mpi-launch", "direct", "where.sh")
    assert cluster.finish(job)["status"] == "SUCCEEDED", cluster.details(job)[""]
    assert sorted(cluster.output(f"{job}#0")) == [f"rank {r} of 6" for r in range(6)]
    job = cluster.submit("-n", "3", "--mpi", "where.sh")
    assert launched(cluster.finish(job)) == "mpirun: the program is not known: it is no ELF program"


def test_ranks_per_node_and_many_of_them(cluster):
    job = cluster.submit("-n", "3", "--mpi", "--ranks-per-node", "8", MPI / "ring_reduce.c")
    end = cluster.finish(job, seconds=90)
    text = "\n".join(cluster.output(f"{job}#0"))
    assert end["status"] == "SUCCEEDED" and "sum of all ranks: 276" in text, end[""] + text
    assert launched(end).startswith("direct")
    job = cluster.submit("-n", "3", "--mpi", "--ranks-per-node", "1", "--map-by", "node", MPI / "ring_reduce.c")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert "out of 3 processors" in "\n".join(cluster.output(f"{job}#0"))
    nothing_is_left(cluster)


def test_one_node(cluster):
    job = cluster.submit("--mpi", MPI / "pi.c")
    end = cluster.finish(job)
    assert end["status"] == "SUCCEEDED" and launched(end).startswith("direct"), end[""]
    assert EXAMPLES["pi"] in "\n".join(cluster.output(job))


def test_ranks_are_bound_where_it_was_asked_for(cluster):
    cluster.person.write("bound.c", "#include <mpi.h>\n#include <stdio.h>\n#include <string.h>\nint main(int c, char** v) {"
                         " char line[256]; FILE* f = fopen(\"/proc/self/status\", \"r\"); MPI_Init(&c, &v);"
                         " while (fgets(line, sizeof line, f)) if (strncmp(line, \"Cpus_allowed_list\", 17) == 0) fputs(line, stdout);"
                         " MPI_Finalize(); return 0; }\n")
    seen = {}
    for options in (("--bind-to", "core"), ("--bind-to", "none")):
        job = cluster.submit("--mpi", *options, "bound.c")
        end = cluster.finish(job)
        assert end["status"] == "SUCCEEDED", end[""] + "\n".join(cluster.output(job))
        seen[options[1]] = sorted(line.split()[-1] for line in cluster.output(job))
    assert len(set(seen["core"])) == 2 and len(set(seen["none"])) == 1, seen


def test_mpich_programs(cluster):
    compiler = shutil.which("mpicc.mpich")
    if compiler is None:
        pytest.fail("mpicc.mpich is not installed: libmpich-dev")
    binary = cluster.person.home / "ring_mpich"
    subprocess.run([compiler, "-O2", "-o", binary, MPI / "ring_reduce.c"], check=True)
    job = cluster.submit("-n", "3", "--mpi", binary)
    end = cluster.finish(job, seconds=90)
    text = "\n".join(cluster.output(f"{job}#0"))
    assert end["status"] == "SUCCEEDED" and EXAMPLES["ring_reduce"] in text, end[""] + text
    assert launched(end) == "direct: MPICH by PMI-1"


def test_a_program_that_spawns_goes_by_mpirun(cluster):
    cluster.person.write("spawns.c", "#include <mpi.h>\n#include <stdio.h>\nint main(int c, char** v) { MPI_Comm other;"
                         " MPI_Init(&c, &v); if (c > 5) MPI_Comm_spawn(v[0], v, 1, MPI_INFO_NULL, 0, MPI_COMM_SELF, &other, 0);"
                         " puts(\"here\"); MPI_Finalize(); return 0; }\n")
    job = cluster.submit("-n", "2", "--mpi", "spawns.c")
    end = cluster.finish(job)
    assert end["status"] == "SUCCEEDED" and launched(end) == "mpirun: the program uses MPI_Comm_spawn", end[""]


def waiting_job(cluster):
    """A job whose rank 0 ignores SIGTERM and whose others wait for it."""
    return waiting_ranks(cluster, 6, "-n", "3")


def waiting_ranks(cluster, ranks, *layout):
    job = cluster.submit(*layout, "--mpi", "faulty.c", "wait", "0")
    harness.wait_until(lambda: (len(cluster.output(f"{job}#0")) == ranks, cluster.details(job)[""]), "all ranks to be there", 60)
    return job


def step_below(pid):
    """The step process of a node, by its first process."""
    children = {}
    for entry in harness.pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            name, rest = stat[stat.index("(") + 1:stat.rindex(")")], stat.rsplit(")", 1)[1].split()
            children.setdefault(int(rest[1]), []).append((int(entry.name), name))
    return [child for child, name in children.get(pid, []) if name == "cox-step"]


def node_of_rank(cluster, job, rank):
    """The node that a rank runs on: its id and its host's name."""
    name = cluster.output(job, "--rank", str(rank), "--tag")[0].split("@")[1].split(" ")[0]
    return next(h["ec2InstanceId"] for h in cluster.hosts() if h["privateDnsName"].startswith(name + ".")), name


def ended_within(cluster, job, started, seconds):
    harness.wait_until(lambda: (not ranks_running(cluster), ranks_running(cluster)), "ranks to be gone", 10)
    took = time.monotonic() - started
    assert took < seconds * harness.PATIENCE, f"the last rank was gone after {took:.3f} s"
    end = cluster.finish(job, seconds=40)
    assert end["status"] == "FAILED", end[""]
    return end


@pytest.mark.parametrize("main", [True, False], ids=["of_the_main_node", "of_another_node"])
def test_kill_of_a_step(faulty, main):
    job = waiting_job(faulty)
    hosts = {h["ec2InstanceId"]: h["privateDnsName"].split(".")[0] for h in faulty.hosts()}
    names = [line.split("@")[1].split(" ")[0] for line in faulty.output(job, "--ranks", "0,4", "--tag")]
    wanted = faulty.output(job, "--rank", "0" if main else "4", "--tag")[0].split("@")[1].split(" ")[0]
    assert len(set(names)) == 2
    node = next(n for n, host in hosts.items() if host == wanted)
    steps = step_below(faulty.node_pids()[node])
    assert len(steps) == 1, steps
    started = time.monotonic()
    os.kill(steps[0], signal.SIGKILL)
    end = ended_within(faulty, job, started, 1)
    assert faulty.details(f"{job}#0")["exitCode"] == "137", faulty.details(f"{job}#0")[""]
    if not main:
        assert f"node {wanted} was lost" in end["statusReason"], end[""]
    nothing_is_left(faulty)


def test_a_killed_job_leaves_nothing(faulty):
    job = waiting_job(faulty)
    faulty.person.run("awsbkill", "-c", faulty.name, "-r", "enough", job).ok()
    end = faulty.finish(job, seconds=60)
    assert end["status"] == "FAILED" and end["statusReason"] == "enough", end[""]
    nothing_is_left(faulty)


def test_a_rank_that_takes_too_much_memory_is_named(cluster):
    cluster.person.write("hog.c", "#include <mpi.h>\n#include <stdlib.h>\n#include <string.h>\nint main(int c, char** v) { int r;"
                         " MPI_Init(&c, &v); MPI_Comm_rank(MPI_COMM_WORLD, &r); while (r == 3) memset(malloc(1 << 20), 1, 1 << 20);"
                         " MPI_Barrier(MPI_COMM_WORLD); MPI_Finalize(); return 0; }\n")
    job = cluster.submit("-n", "3", "-m", "200", "--mpi", "hog.c")
    end = cluster.finish(job)
    # The limit is the node's: where no cgroup can hold it, all of the part is killed, the neighbour too.
    assert re.match(r"rank [23] on ip-10-0-0-\d+ was killed: OutOfMemoryError", end["statusReason"]), end[""]
    assert cluster.details(f"{job}#0")["exitCode"] == "137"
    nothing_is_left(cluster)


def test_attempts_and_arrays(cluster):
    cluster.person.write("third.c", "#include <mpi.h>\n#include <stdlib.h>\nint main(int c, char** v) { MPI_Init(&c, &v);"
                         " MPI_Finalize(); return atoi(getenv(\"AWS_BATCH_JOB_ATTEMPT\")) < 3 ? 5 : 0; }\n")
    job = cluster.submit("-n", "3", "-r", "3", "--mpi", "third.c")
    assert cluster.finish(job)["status"] == "SUCCEEDED", cluster.details(job)[""]
    cluster.person.write("child.c", "#include <mpi.h>\n#include <stdio.h>\n#include <stdlib.h>\nint main(int c, char** v) { MPI_Init(&c, &v);"
                         " puts(getenv(\"AWS_BATCH_JOB_ARRAY_INDEX\")); MPI_Finalize(); return 0; }\n")
    job = cluster.submit("-a", "3", "--mpi", "child.c")
    assert cluster.finish(job)["status"] == "SUCCEEDED", cluster.details(job)[""]
    assert [cluster.output(f"{job}:{i}") for i in range(3)] == [["0", "0"], ["1", "1"], ["2", "2"]]


def test_a_layout_that_cannot_be_is_refused(cluster):
    job = cluster.submit("-n", "3", "--mpi", "--mpi-launch", "direct", "--map-by", "nonsense", MPI / "pi.c")
    end = cluster.finish(job)
    assert end["status"] == "FAILED" and "map-by 'nonsense' is none of slot," in end["statusReason"], end[""]
    job = cluster.submit("-n", "3", "--mpi", "--map-by", "nonsense", MPI / "pi.c")
    assert launched(cluster.finish(job)).startswith("mpirun: map-by 'nonsense' is none of slot,")


def test_a_head_that_is_killed_while_a_job_starts(person):
    cluster = person.create("direct", minimum=6)
    cluster.person.write("slow.c", "#include <mpi.h>\n#include <poll.h>\n#include <stdio.h>\nint main(int c, char** v) { MPI_Init(&c, &v);"
                         " poll(0, 0, 500); puts(\"end\"); MPI_Finalize(); return 0; }\n")
    cluster.finish(cluster.submit("-n", "3", "--mpi", "slow.c"))
    for number in range(4):
        worker = max(cluster.daemons())
        job = cluster.submit("-n", "3", "--mpi", "slow.c")
        if number > 0:
            harness.wait_until(lambda: (cluster.status(job) in ("STARTING", "RUNNING"), cluster.status(job)), "a start", 30)
        os.kill(worker, signal.SIGKILL)
        assert cluster.finish(job, seconds=60)["status"] == "SUCCEEDED", cluster.details(job)[""]
        assert cluster.output(f"{job}#0") == ["end"] * 6


def test_loss_of_a_node_ends_the_job(person):
    cluster = person.create("direct", minimum=6)
    cluster.person.write("faulty.c", FAULTY)
    job = waiting_job(cluster)
    node, wanted = node_of_rank(cluster, job, 4)
    started = time.monotonic()
    os.kill(cluster.node_pids()[node], signal.SIGKILL)
    end = ended_within(cluster, job, started, 1)
    assert wanted in end["statusReason"], end[""]


# Takes a node's eth0 down, within these namespaces of its. What nsenter starts there has no right to, for an ordinary user.
CUT = """
import ctypes, fcntl, os, socket, struct, sys
for namespace in [open(f"/proc/{sys.argv[1]}/ns/{name}") for name in sys.argv[2:]]:
    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), 0) != 0:
        sys.exit(os.strerror(ctypes.get_errno()))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    flags, = struct.unpack_from("H", fcntl.ioctl(any_socket, 0x8913, struct.pack("16s24x", b"eth0")), 16)
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH22x", b"eth0", flags & ~1))
"""


def test_loss_of_a_node_that_the_main_nodes_end_waits_for(person):
    """The node is known to be lost while its connection still looks alive."""
    cluster = person.create("direct", minimum=6)
    cluster.person.write("faulty.c", FAULTY)
    job = waiting_job(cluster)
    node, wanted = node_of_rank(cluster, job, 4)
    agent = cluster.node_pids()[node]
    step, = step_below(agent)
    head = max(cluster.daemons())
    os.kill(agent, signal.SIGSTOP)
    os.kill(step, signal.SIGKILL)
    harness.wait_until(lambda: (not ranks_running(cluster), ranks_running(cluster)), "the other nodes' ranks to be gone", 10)
    for _ in range(10):  # and their ends to be told
        cluster.details(job)
    subprocess.run([sys.executable, "-c", CUT, str(agent), *(["net"] if os.geteuid() == 0 else ["user", "net"])], check=True)
    os.kill(agent, signal.SIGKILL)
    end = cluster.finish(job)
    assert end["status"] == "FAILED" and wanted in end["statusReason"], end[""]
    assert max(cluster.daemons()) == head, "the head had to be started anew"


def test_nodes_beyond_sixteen_meet_at_another_node(person):
    """The eighteenth node meets the others at the second; what goes wrong there, or between, ends the job everywhere."""
    cluster = person.create("wide", minimum=36, maximum=36)
    cluster.person.write("faulty.c", FAULTY)
    layout = ("-n", "18", "--ranks-per-node", "1")
    job = cluster.submit(*layout, "--mpi", "faulty.c", "nothing", "0")
    end = cluster.finish(job, seconds=90)
    assert end["status"] == "SUCCEEDED" and launched(end).startswith("direct"), end[""]
    assert sorted(cluster.output(f"{job}#0")) == sorted(f"rank {rank} of 18 is here" for rank in range(18))
    end = cluster.finish(cluster.submit(*layout, "--mpi", "faulty.c", "exit", "17", "5"), seconds=90)
    assert re.search(r"rank 17 on ip-10-0-0-\d+ exited with code 5", end["statusReason"]), end[""]
    job = waiting_ranks(cluster, 18, *layout)
    node, between = node_of_rank(cluster, job, 1)
    step, = step_below(cluster.node_pids()[node])
    os.kill(step, signal.SIGKILL)
    end = cluster.finish(job, seconds=60)
    assert end["status"] == "FAILED" and f"node {between} was lost" in end["statusReason"], end[""]
    nothing_is_left(cluster)


def test_output_is_whole_over_a_kill_of_the_working_daemon(person):
    cluster = person.create("direct", minimum=6)
    cluster.person.write("lines.c", "#include <mpi.h>\n#include <stdio.h>\n#include <poll.h>\nint main(int c, char** v) { int r, i;"
                         " MPI_Init(&c, &v); MPI_Comm_rank(MPI_COMM_WORLD, &r);"
                         " for (i = 0; i < 300; ++i) { printf(\"rank %d line %d\\n\", r, i); fflush(stdout); poll(0, 0, 10); }"
                         " MPI_Finalize(); return 0; }\n")
    job = cluster.submit("-n", "3", "--mpi", "lines.c")
    harness.wait_until(lambda: (len(cluster.output(f"{job}#0")) > 60, "few lines"), "some output", 60)
    os.kill(max(cluster.daemons()), signal.SIGKILL)
    assert cluster.finish(job, seconds=60)["status"] == "SUCCEEDED", cluster.details(job)[""]
    merged = cluster.output(f"{job}#0")
    for rank in range(6):
        lines = [f"rank {rank} line {i}" for i in range(300)]
        assert cluster.output(job, "--rank", str(rank)) == lines
        assert [line for line in merged if line.startswith(f"rank {rank} ")] == lines


def test_output_of_ranks_is_on_disk_once(cluster):
    cluster.person.write("much.c", "#include <mpi.h>\n#include <stdio.h>\nint main(int c, char** v) { int r, i; MPI_Init(&c, &v);"
                         " MPI_Comm_rank(MPI_COMM_WORLD, &r); for (i = 0; i < 20000; ++i) printf(\"rank %d line %080d\\n\", r, i);"
                         " MPI_Finalize(); return 0; }\n")
    job = cluster.submit("-n", "3", "--mpi", "--mpi-launch", "direct", "much.c")
    assert cluster.finish(job)["status"] == "SUCCEEDED", cluster.details(job)[""]

    def logs():
        found = {}
        for path in harness.find(cluster.directory, "*.log"):
            with contextlib.suppress(FileNotFoundError):  # it has just gone
                if job in path.parts:
                    found[path.stem] = path.stat()
        return found

    # What a node still has is the very file that the head has, for as long as the node has it.
    harness.wait_until(lambda: (all(each.st_nlink == 1 for each in logs().values()), logs()), "the nodes' names to go", 30)
    kept = logs()
    assert all(kept[f"rank-{rank}"].st_size > 20000 * 90 for rank in range(6)), kept
    assert kept["main"].st_size < 100_000, kept
    merged = cluster.output(f"{job}#0")
    for rank in range(6):
        lines = [f"rank {rank} line {i:080}" for i in range(20000)]
        assert [line for line in merged if line.startswith(f"rank {rank} ")] == lines
        assert cluster.output(job, "--rank", str(rank), "-t", "3") == lines[-3:]
