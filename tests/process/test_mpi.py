"""awsbsub --mpi, the examples, and what a script may do with ssh and mpirun."""

import os
import pathlib
import re
import signal

import pytest

import harness

MPI = harness.SOURCE / "mpi_examples"
EXAMPLES = {"ring_reduce": "sum of all ranks: 15", "pi": "pi is about 3.14159", "heat2d": "wrong cells 0",
            "matmul": "wrong cells 0", "latency": "MB/s"}


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_by_its_submit_script(cluster, example):
    script = MPI / f"submit_{example}.sh"
    job = cluster.submit("-n", "3", "-cf", script, "-if", MPI / f"{example}.c")
    end = cluster.finish(job, seconds=90)
    text = "\n".join(cluster.output(f"{job}#0"))
    assert end["status"] == "SUCCEEDED" and EXAMPLES[example] in text, end[""] + text


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_by_mpi(cluster, example):
    job = cluster.submit("-n", "3", "--mpi", MPI / f"{example}.c")
    end = cluster.finish(job, seconds=90)
    text = "\n".join(cluster.output(f"{job}#0"))
    assert end["status"] == "SUCCEEDED" and EXAMPLES[example] in text, end[""] + text


def test_ranks_per_node(cluster):
    job = cluster.submit("-n", "3", "--mpi", "--ranks-per-node", "1", MPI / "ring_reduce.c")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    text = "\n".join(cluster.output(f"{job}#0"))
    assert "out of 3 processors" in text
    assert len(set(re.findall(r"processor (\S+), rank", text))) == 3


def test_other_languages(cluster):
    cluster.person.write("hello.cpp", "#include <mpi.h>\n#include <iostream>\nint main(int c, char** v) { MPI_Init(&c, &v);"
                         " std::cout << \"c++ \" << v[1] << std::endl; MPI_Finalize(); }\n")
    job = cluster.submit("--mpi", "--ranks-per-node", "1", "hello.cpp", "an argument")
    assert cluster.finish(job)["status"] == "SUCCEEDED", cluster.details(job)[""]
    assert cluster.output(job) == ["c++ an argument"]
    cluster.person.write("hello.f90", "program hello\n use mpi\n integer :: e\n call MPI_Init(e)\n"
                         " print '(a)', 'fortran'\n call MPI_Finalize(e)\nend program\n")
    job = cluster.submit("--mpi", "--ranks-per-node", "1", "hello.f90")
    assert cluster.finish(job)["status"] == "SUCCEEDED", cluster.details(job)[""]
    assert cluster.output(job) == ["fortran"]


def test_compile_errors_at_once(cluster):
    cluster.person.write("broken.c", "#include <mpi.h>\nint main(void) {\n  retrun 0;\n}\n")
    done = cluster.person.run("awsbsub", "-c", cluster.name, "-n", "2", "--mpi", "broken.c").fails(1)
    assert "broken.c:3:" in done.err and done.out == "", done.story()


def test_a_failing_rank_is_named(cluster):
    cluster.person.write("fails.c", "#include <mpi.h>\n#include <stdio.h>\nint main(int c, char** v) { int r; MPI_Init(&c, &v);"
                         " MPI_Comm_rank(MPI_COMM_WORLD, &r); if (r == 3) fprintf(stderr, \"cannot read input.dat\\n\");"
                         " MPI_Finalize(); return r == 3 ? 7 : 0; }\n")
    job = cluster.submit("-n", "3", "--mpi", "fails.c")
    end = cluster.finish(job)
    assert end["status"] == "FAILED"
    told = end[""] + cluster.details(f"{job}#0")[""]
    assert re.search(r"rank 3 on ip-10-0-0-\d+ exited with code 7", told), told
    assert "cannot read input.dat" in told


def test_dry_run_prints_the_layout(cluster):
    done = cluster.person.run("awsbsub", "-c", cluster.name, "-n", "3", "--mpi", "--dry-run", MPI / "pi.c").ok()
    for rank in range(6):
        assert re.search(rf"^\s*{rank}\s", done.out, re.M), done.out
    assert "submitted" not in done.out


def test_ssh_between_nodes_of_a_job(cluster):
    job = cluster.script("""[ $AWS_BATCH_JOB_NODE_INDEX = 0 ] || { trap 'exit 0' TERM; sleep 60 & wait; }
for host in $(cut -d' ' -f1 $HOME/hostfile); do ssh -o StrictHostKeyChecking=no $host hostname; done
echo text | ssh $(tail -1 $HOME/hostfile | cut -d' ' -f1) 'cat; exit 6'; echo code $?
""", nodes=3)
    assert cluster.finish(job)["status"] == "SUCCEEDED", "\n".join(cluster.output(f"{job}#0"))
    lines = cluster.output(f"{job}#0")
    assert len(set(lines[:3])) == 3 and all(line.startswith("ip-10-0-") for line in lines[:3]), lines
    assert lines[3:] == ["text", "code 6"]


def test_ssh_from_two_nodes_to_a_third_at_once(cluster):
    """Each of them gets its own command's output, end and input, though nodes count their commands alike."""
    job = cluster.script("""third=$(sed -n 3p $HOME/hostfile | cut -d' ' -f1)
if [ $AWS_BATCH_JOB_NODE_INDEX = 2 ]; then until [ -e /shared/over-0 -a -e /shared/over-1 ]; do sleep 0.05; done; exit 0; fi
for i in 1 2 3; do
  echo "input $i of $AWS_BATCH_JOB_NODE_INDEX" | ssh -o StrictHostKeyChecking=no $third "
    touch /shared/at-$i-$AWS_BATCH_JOB_NODE_INDEX
    until [ -e /shared/at-$i-0 -a -e /shared/at-$i-1 ]; do sleep 0.01; done
    cat; exit $((40 + AWS_BATCH_JOB_NODE_INDEX))"
  echo code $?
done
touch /shared/over-$AWS_BATCH_JOB_NODE_INDEX
# The main node's end is the job's.
if [ $AWS_BATCH_JOB_NODE_INDEX = 0 ]; then until [ -e /shared/over-1 ]; do sleep 0.05; done; fi
""", nodes=3)
    end = cluster.finish(job)
    assert end["status"] == "SUCCEEDED", end[""]
    for node in (0, 1):
        lines = cluster.output(f"{job}#{node}")
        assert lines == [line for i in (1, 2, 3) for line in (f"input {i} of {node}", f"code {40 + node}")], lines


def test_ssh_with_a_slow_reader_holds_up_nobody_else(cluster):
    """Who writes waits, on either side; the nodes' agents do not, and nothing is lost."""
    job = cluster.script("""[ $AWS_BATCH_JOB_NODE_INDEX = 0 ] || { trap 'exit 0' TERM; sleep 120 & wait; }
there=$(sed -n 2p $HOME/hostfile | cut -d' ' -f1)
ssh="ssh -o StrictHostKeyChecking=no $there"
{ dd if=/dev/zero bs=1M count=40 2> /dev/null; touch /shared/all-in; } |
  $ssh 'until [ -e /shared/gate ]; do sleep 0.05; done; wc -c' > $HOME/in &
$ssh 'dd if=/dev/zero bs=1M count=40 2> /dev/null; touch /shared/all-out' |
  { until [ -e /shared/gate ]; do sleep 0.05; done; wc -c; } > $HOME/out &
for i in $(seq 50); do $ssh "echo alive"; sleep 0.02; done | sort | uniq -c
[ -e /shared/all-in -o -e /shared/all-out ] && echo "more was on its way than fits"
touch /shared/gate
wait
cat $HOME/in $HOME/out
echo much | $ssh 'exec <&-; sleep 0.2; echo read nothing'
{ yes | $ssh 'head -n 2'; } 2>&1
$ssh yes | head -n 2
$ssh 'yes & sleep 0.1; exit 3' > /dev/null
echo "code $?"
$ssh yes > /dev/null &
until $ssh 'pgrep -x yes' > /dev/null; do sleep 0.05; done
kill $!
for i in $(seq 200); do $ssh 'pgrep -x yes' > /dev/null || break; sleep 0.05; done
[ $i -lt 200 ] && echo "nobody writes for nobody"
""", nodes=2)
    end = cluster.finish(job)
    lines = [line.strip() for line in cluster.output(f"{job}#0")]
    assert end["status"] == "SUCCEEDED", end[""] + "\n".join(lines)
    assert lines == ["50 alive", str(40 << 20), str(40 << 20), "read nothing", "y", "y", "y", "y", "code 3", "nobody writes for nobody"], lines


def test_ssh_outlives_the_head_and_loses_nothing(person):
    """Whatever the head had in hand when it was killed is said again: streams both ways go on without a line lost or
    doubled, and a command that runs or begins just then has its input, its output and its end."""
    cluster = person.create("stream", minimum=4)
    job = cluster.script("""[ $AWS_BATCH_JOB_NODE_INDEX = 0 ] || { trap 'exit 0' TERM; sleep 300 & wait; }
ssh="ssh -o StrictHostKeyChecking=no $(sed -n 2p $HOME/hostfile | cut -d' ' -f1)"
count='BEGIN { while ((getline x < "/shared/enough") < 0) for (i = 0; i < 20000; ++i) print ++n; print n " lines" > ("/shared/sent-" way) }'
check='$1 != NR && !bad { bad = "line " NR " is " $1 } END { print bad (bad ? "" : NR " lines") }'
awk -v way=in "$count" | $ssh "awk '$check'" > $HOME/in &
$ssh "awk -v way=out '$count'" < /dev/null | awk "$check" > $HOME/out &
$ssh "until [ -e /shared/enough ]; do sleep 0.05; done; echo long; exit 5" < /dev/null > $HOME/long || echo "code $?" >> $HOME/long &
until [ -e /shared/enough ]; do
  echo hello | $ssh 'echo run >> /shared/runs; read word; echo $word; exit 7'; echo "code $?"
  echo beat >> /shared/beats
done 2>&1 | sort | uniq
wait
cat $HOME/long
for way in in out; do cmp $HOME/$way /shared/sent-$way || head $HOME/$way /shared/sent-$way; done
[ $(wc -l < /shared/runs) = $(wc -l < /shared/beats) ] && echo "each ran once"
""", nodes=2)
    shared = cluster.directory / "shared/data"

    def beats():
        return (shared / "beats").read_text().count("beat") if (shared / "beats").exists() else 0
    for _ in range(6):
        before = beats()
        harness.wait_until(lambda: (beats() > before + 2, cluster.details(job)[""]), "commands to begin and end", 30)
        os.kill(max(cluster.daemons()), signal.SIGKILL)
    (shared / "enough").write_text("")
    end = cluster.finish(job, seconds=60)
    assert cluster.output(f"{job}#0") == ["code 7", "hello", "long", "code 5", "each ran once"], end[""]


def connections(pid):
    """The established TCP sockets of a process's network, by their inodes."""
    rows = [line.split() for line in (pathlib.Path("/proc") / str(pid) / "net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[3] == "01"}


def test_ssh_has_its_answer_when_the_node_that_asked_is_back_last(person):
    """The other node's part is over by then, and was not to be forgotten before."""
    cluster = person.create("late", minimum=4)
    job = cluster.script("""[ $AWS_BATCH_JOB_NODE_INDEX = 0 ] || { until [ -e /shared/told ]; do sleep 0.05; done; touch /shared/over; exit; }
ssh -o StrictHostKeyChecking=no $(sed -n 2p $HOME/hostfile | cut -d' ' -f1) \\
  'touch /shared/begun; until [ -e /shared/go ]; do sleep 0.05; done; echo answer; touch /shared/told; exit 3' 2>&1
echo "code $?"
""", nodes=2)
    shared = cluster.directory / "shared/data"
    harness.wait_until(lambda: ((shared / "begun").exists(), cluster.details(job)[""]), "the command to begin", 30)
    agents = [next(pid for node, pid in cluster.node_pids().items()
                   if harness.find(cluster.directory / "nodes" / node, f"job-{job}#{index}")) for index in (0, 1)]
    before = connections(agents[1])
    os.kill(agents[0], signal.SIGSTOP)
    try:
        os.kill(max(cluster.daemons()), signal.SIGKILL)
        (shared / "go").write_text("")
        harness.wait_until(lambda: ((shared / "over").exists(), sorted(shared.iterdir())), "the other node's script to end", 30)
        harness.wait_until(lambda: (connections(agents[1]) - before, (before, connections(agents[1]))), "its agent to be back", 30)
        for _ in range(20):  # and to have said what there was to say
            cluster.details(job)
    finally:
        os.kill(agents[0], signal.SIGCONT)
    end = cluster.finish(job)
    assert cluster.output(f"{job}#0") == ["answer", "code 3"], end[""]


def test_ssh_to_a_node_that_is_lost_says_so(person):
    """Of a command that runs there, and of one that is asked for afterwards."""
    cluster = person.create("gone", minimum=4)
    job = cluster.script("""[ $AWS_BATCH_JOB_NODE_INDEX = 0 ] || { sleep 300; exit; }
ssh="ssh -o StrictHostKeyChecking=no $(sed -n 2p $HOME/hostfile | cut -d' ' -f1)"
for command in 'touch /shared/begun; sleep 300' 'echo alive'; do $ssh "$command" 2>&1; echo "code $?"; done
""", nodes=2)
    begun = cluster.directory / "shared/data/begun"
    harness.wait_until(lambda: (begun.exists(), cluster.details(job)[""]), "the command to begin", 30)
    node = next(n for n in cluster.node_pids() if harness.find(cluster.directory / "nodes" / n, f"job-{job}#1"))
    os.kill(cluster.node_pids()[node], signal.SIGKILL)
    end = cluster.finish(job)
    assert cluster.output(f"{job}#0") == ["cox-rsh: the node cannot be reached", "code 255"] * 2, end[""]


@pytest.mark.parametrize("how", ["threads", "windows"])
def test_big_messages_threads_and_windows(cluster, how):
    """The tuned settings must not break one-sided, threaded or large transfers. Both at once is what Open MPI 4.1
    itself refuses over TCP."""
    cluster.person.write("big.c", r"""
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char** argv) {
  int windows = strcmp(argv[1], "windows") == 0, wanted = windows ? MPI_THREAD_FUNNELED : MPI_THREAD_MULTIPLE;
  int provided, rank, size, i, bad = 0, got = -1;
  char* big = malloc(32 << 20);
  MPI_Init_thread(&argc, &argv, wanted, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  for (i = 0; i < 32 << 20; ++i) big[i] = rank == 0 ? (char)i : 0;
  MPI_Bcast(big, 32 << 20, MPI_CHAR, 0, MPI_COMM_WORLD);
  for (i = 0; i < 32 << 20; ++i) bad += big[i] != (char)i;
  if (windows) {
    MPI_Win win;
    int* shared;
    MPI_Win_allocate(sizeof(int), sizeof(int), MPI_INFO_NULL, MPI_COMM_WORLD, &shared, &win);
    MPI_Win_fence(0, win);
    MPI_Put(&rank, 1, MPI_INT, (rank + 1) % size, 0, 1, MPI_INT, win);
    MPI_Win_fence(0, win);
    got = *shared;
    MPI_Win_free(&win);
    bad += got != (rank + size - 1) % size;
  }
  MPI_Finalize();
  printf("rank %d bad %d provided %d\n", rank, bad, provided >= wanted);
  return bad != 0;
}
""")
    job = cluster.submit("-n", "3", "-m", "1024", "--mpi", "big.c", how)
    end = cluster.finish(job, seconds=120)
    # mpirun says so when its child was quicker than itself, with any remote shell.
    lines = [line for line in cluster.output(f"{job}#0") if "plm:rsh: Warning: setpgid" not in line]
    assert end["status"] == "SUCCEEDED" and sorted(lines) == [f"rank {r} bad 0 provided 1" for r in range(6)], end[""] + "\n".join(lines)
