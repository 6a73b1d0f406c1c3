"""mpirun within a job: ours does what Open MPI's own does with the same line, or hands the line over to it."""

import json
import re
import shutil

import pytest

import harness

LINES = harness.SOURCE / "tests" / "process" / "mpirun_lines.py"
PROBE = r"""
#define _GNU_SOURCE
#include <mpi.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static const char* of(const char* name) { const char* value = getenv(name); return value ? value : "-"; }
static int is(int argc, char** argv, const char* what, int rank) {
  return argc > 2 && strcmp(argv[1], what) == 0 && atoi(argv[2]) == rank;
}
int main(int argc, char** argv) {
  int rank, size, sum = 0, flag, code = argc > 3 ? atoi(argv[3]) : 0;
  int* universe; int* program;
  char host[256], here[4096], text[8192], cpus[256] = "";
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  gethostname(host, sizeof host);
  if (!getcwd(here, sizeof here)) return 1;
  cpu_set_t set;
  sched_getaffinity(0, sizeof set, &set);
  for (int i = 0; i < 64; ++i) if (CPU_ISSET(i, &set)) sprintf(cpus + strlen(cpus), "%d,", i);
  int length = snprintf(text, sizeof text, "rank %d of %d sum %d on %s cpus %s", rank, size, sum, host, cpus);
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_UNIVERSE_SIZE, &universe, &flag);
  length += sprintf(text + length, " universe %d", flag ? *universe : -1);
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_APPNUM, &program, &flag);
  length += sprintf(text + length, " program %d", flag ? *program : -1);
  for (int i = 1; i < argc; ++i) length += sprintf(text + length, " [%s]", argv[i]);
  printf("%s\n", text);
  if (is(argc, argv, "variables", 0)) {
    const char* names[] = {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE",
      "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_NODE_RANK", "OMPI_UNIVERSE_SIZE", "OMPI_APP_CTX_NUM_PROCS",
      "OMPI_FIRST_RANKS", "OMPI_NUM_APP_CTX", "OMPI_COMMAND", "OMPI_ARGV", "OMPI_MCA_mpi_oversubscribe",
      "OMPI_MCA_initial_wdir", "PWD", "COLOUR", "OTHER", "OMPI_MCA_btl", "OMPI_MCA_pml"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; ++i) printf("rank %d %s=%s\n", rank, names[i], of(names[i]));
    printf("rank %d in %s, terminals %d %d %d\n", rank, here, isatty(0), isatty(1), isatty(2));
  }
  if (argc > 1 && strcmp(argv[1], "err") == 0) fprintf(stderr, "rank %d says so on stderr\n", rank);
  fflush(stdout);
  if (argc > 1 && strcmp(argv[1], "input") == 0 && rank == 0) {
    while (fgets(text, sizeof text, stdin)) printf("read %s", text);
    printf("end of input\n");
    fflush(stdout);
  }
  MPI_Barrier(MPI_COMM_WORLD);
  if (is(argc, argv, "abort", rank)) MPI_Abort(MPI_COMM_WORLD, code);
  if (is(argc, argv, "signal", rank)) raise(code);
  if (is(argc, argv, "exit", rank)) _exit(code);
  if (argc > 1 && strcmp(argv[1], "wait") == 0) for (;;) pause();
  if (argc > 2 && (strcmp(argv[1], "abort") == 0 || strcmp(argv[1], "signal") == 0 || strcmp(argv[1], "exit") == 0))
    for (;;) pause();
  MPI_Finalize();
  return is(argc, argv, "exit-at-end", rank) ? code : 0;
}
"""
ROOT = "--allow-run-as-root"
HOSTS = f"{ROOT} --hostfile $HOME/hostfile"
# Lines as people write them: `mpirun` is in PATH, $A $B $C are the nodes' addresses, $a $b $c their names.
# What follows is launched by ours.
DIRECT = {
    "all slots": f"mpirun {HOSTS} $P",
    "n": f"mpirun {HOSTS} -n 4 $P",
    "np": f"mpirun {HOSTS} -np 6 $P",
    "--np": f"mpirun {HOSTS} --np 3 $P",
    "c": f"mpirun {HOSTS} -c 2 $P",
    "one rank": f"mpirun {HOSTS} -n 1 $P",
    "machinefile": f"mpirun {ROOT} --machinefile $HOME/hostfile -n 5 $P",
    "-machinefile": f"mpirun {ROOT} -machinefile $HOME/hostfile -n 5 $P",
    "-hostfile": f"mpirun {ROOT} -hostfile $HOME/hostfile $P",
    "by its path": f"/usr/lib64/openmpi/bin/mpirun {HOSTS} -n 4 $P",
    "mpiexec": f"mpiexec {HOSTS} -n 4 $P",
    "orterun": f"orterun {HOSTS} -n 4 $P",
    "mpiexec by its path": f"/usr/lib64/openmpi/bin/mpiexec {HOSTS} -n 4 $P",
    "no hosts": f"mpirun {ROOT} -n 2 $P",
    "no hosts, one": f"mpirun {ROOT} -n 1 $P",
    "no hosts, no number": f"mpirun {ROOT} $P",
    "H own": f"mpirun {ROOT} -H $A:2 -n 2 $P",
    "H other": f"mpirun {ROOT} -H $B:2 -n 2 $P",
    "H other by name": f"mpirun {ROOT} -H $b:2 -n 2 $P",
    "H others": f"mpirun {ROOT} -H $B:2,$C:2 $P",
    "H others turned": f"mpirun {ROOT} -H $C:2,$B:2 $P",
    "H other, own": f"mpirun {ROOT} -H $B:2,$A:2 $P",
    "H other, own by node": f"mpirun {ROOT} -H $B:2,$A:2 --map-by node $P",
    "H without slots": f"mpirun {ROOT} -H $A,$B,$C $P",
    "H twice": f"mpirun {ROOT} -H $A,$B,$A,$B $P",
    "host": f"mpirun {ROOT} --host $A:1,$C:1 $P",
    "-host": f"mpirun {ROOT} -host $A:1,$C:1 $P",
    "localhost": f"mpirun {ROOT} -H localhost:2 $P",
    "H fewer": f"mpirun {ROOT} -H $A:2,$B:2,$C:2 -n 3 $P",
    "H many slots": f"mpirun {ROOT} -H $A:4,$B:3 -n 7 $P",
    "hostfile turned": f"tac $HOME/hostfile > $OUT/h; mpirun {ROOT} --hostfile $OUT/h -n 5 $P",
    "hostfile of others": f"tail -n 2 $HOME/hostfile > $OUT/h; mpirun {ROOT} --hostfile $OUT/h $P",
    "hostfile with comments": f"(echo '# mine'; cat $HOME/hostfile) > $OUT/h; mpirun {ROOT} --hostfile $OUT/h $P",
    "hostfile of more slots": f"sed s/slots=2/slots=3/ $HOME/hostfile > $OUT/h; mpirun {ROOT} --hostfile $OUT/h -n 8 $P",
    "by slot": f"mpirun {HOSTS} --map-by slot -n 5 $P",
    "by node": f"mpirun {HOSTS} --map-by node $P",
    "by node, fewer": f"mpirun {HOSTS} --map-by node -n 4 $P",
    "by node, two": f"mpirun {HOSTS} --map-by node -n 2 $P",
    "by core": f"mpirun {HOSTS} --map-by core --bind-to none -n 4 $P",
    "by socket": f"mpirun {HOSTS} --map-by socket --bind-to none -n 4 $P",
    "by hwthread": f"mpirun {HOSTS} --map-by hwthread --bind-to none -n 6 $P",
    "by numa": f"mpirun {HOSTS} --map-by numa --bind-to none -n 5 $P",
    "ppr 1": f"mpirun {HOSTS} --map-by ppr:1:node $P",
    "ppr 2": f"mpirun {HOSTS} --map-by ppr:2:node $P",
    "ppr and n": f"mpirun {HOSTS} --map-by ppr:1:node -n 2 $P",
    "N": f"mpirun {HOSTS} -N 1 $P",
    "N 2": f"mpirun {HOSTS} -N 2 $P",
    "N and n": f"mpirun {HOSTS} -N 2 -n 3 $P",
    "npernode": f"mpirun {HOSTS} -npernode 1 $P",
    "--npernode": f"mpirun {HOSTS} --npernode 2 $P",
    "rank by node": f"mpirun {HOSTS} --rank-by node $P",
    "rank by slot": f"mpirun {HOSTS} --rank-by slot -n 4 $P",
    "by node, rank by slot": f"mpirun {HOSTS} --map-by node --rank-by slot -n 5 $P",
    "ppr, rank by node": f"mpirun {HOSTS} --map-by ppr:2:node --rank-by node $P",
    "bind to none": f"mpirun {HOSTS} --bind-to none --report-bindings $P",
    "report bindings": f"mpirun {HOSTS} --report-bindings -n 3 $P",
    "bind to core": f"mpirun {HOSTS} --bind-to core --report-bindings $P",
    "bind to core, one": f"mpirun {ROOT} --bind-to core --report-bindings -n 1 $P",
    "bind to core by node": f"mpirun {HOSTS} --map-by node --bind-to core --report-bindings $P",
    "bind to core by core": f"mpirun {HOSTS} --map-by core --bind-to core --report-bindings -n 4 $P",
    "by core, bound": f"mpirun {ROOT} -H $B:2 --map-by core --bind-to core --report-bindings $P",
    "bind to socket": f"mpirun {HOSTS} --bind-to socket --report-bindings -n 4 $P",
    "bind to numa": f"mpirun {HOSTS} --bind-to numa --report-bindings $P",
    "bind to hwthread": f"mpirun {ROOT} --bind-to hwthread --report-bindings -n 2 $P",
    "bound as by default": f"env -u OMPI_MCA_hwloc_base_binding_policy mpirun {HOSTS} --report-bindings $P",
    "two bound as by default": f"env -u OMPI_MCA_hwloc_base_binding_policy mpirun {ROOT} -n 2 --report-bindings $P",
    "one a node, bound": f"mpirun {HOSTS} -N 1 --bind-to core --report-bindings $P",
    "oversubscribe": f"mpirun {HOSTS} --oversubscribe -n 8 $P",
    "oversubscribe by slot": f"mpirun {HOSTS} --map-by slot:oversubscribe -n 7 $P",
    "oversubscribe the own": f"mpirun {ROOT} --oversubscribe -n 4 $P",
    "nooversubscribe": f"mpirun {HOSTS} --nooversubscribe -n 4 $P",
    "variables": f"mpirun {HOSTS} -n 4 $P variables 0",
    "variables on another": f"mpirun {ROOT} -H $B:2 -n 2 $P variables 0",
    "variables of many": f"mpirun {HOSTS} --oversubscribe -n 7 $P variables 0",
    "x value": f"mpirun {HOSTS} -n 4 -x COLOUR=red -x OTHER=a=b $P variables 0",
    "x name": f"COLOUR='dark blue' OTHER= mpirun {HOSTS} -n 4 -x COLOUR -x OTHER $P variables 0",
    "not passed": f"COLOUR=green mpirun {HOSTS} -n 4 $P variables 0",
    "mca": f"mpirun {HOSTS} -n 4 --mca btl self,tcp -mca pml ob1 $P variables 0",
    "gmca": f"mpirun {HOSTS} -n 2 -gmca btl self,vader,tcp $P variables 0",
    "mca of the interface": f"mpirun --mca btl_tcp_if_include eth0 {HOSTS} $P",
    "mca by variable": f"OMPI_MCA_btl=self,tcp mpirun {HOSTS} -n 4 $P variables 0",
    "mca of help": f"mpirun {HOSTS} -n 4 --mca orte_base_help_aggregate 0 $P",
    "wdir": f"mpirun {HOSTS} -n 4 --wdir /usr $P variables 0",
    "-wdir": f"mpirun {HOSTS} -n 4 -wdir /usr/lib $P variables 0",
    "-wd": f"mpirun {HOSTS} -n 4 -wd / $P variables 0",
    "where it is called": f"cd /var; mpirun {HOSTS} -n 4 $P variables 0",
    "a relative program": f"cd /shared; mpirun {HOSTS} -n 4 ./probe variables 0",
    "a program in PATH": f"PATH=$PATH:/shared; mpirun {ROOT} -n 2 probe",
    "tag output": f"mpirun {HOSTS} -n 4 --tag-output $P err",
    "-tag-output": f"mpirun {HOSTS} -n 4 -tag-output $P",
    "timestamp output": f"mpirun {HOSTS} -n 4 --timestamp-output $P err",
    "both": f"mpirun {HOSTS} -n 4 --timestamp-output --tag-output $P",
    "tagged pieces": f"mpirun {HOSTS} -n 1 --tag-output printf 'a\\n\\nb'",
    "output in files": f"mpirun {ROOT} -n 2 --output-filename $OUT/o $P err",
    "output in files here": f"cd $OUT; mpirun {ROOT} --oversubscribe -n 11 --output-filename o $P",
    "output in files alone": f"mpirun {ROOT} -n 2 --output-filename $OUT/o:nocopy $P",
    "quiet": f"mpirun {HOSTS} -q -n 4 $P exit-at-end 0 3",
    "arguments": f"mpirun {HOSTS} -n 2 $P 'two words' -n 7 '' '$x'",
    "stderr": f"mpirun {HOSTS} -n 4 $P err",
    "no MPI": f"mpirun {HOSTS} hostname",
    "no MPI, failing": f"mpirun {ROOT} -n 1 false",
    "printenv": f"mpirun {HOSTS} -n 4 printenv OMPI_COMM_WORLD_RANK",
    "programs": f"mpirun {HOSTS} -n 2 $P variables 0 : -n 3 --hostfile $HOME/hostfile $P second",
    "two programs": f"mpirun {ROOT} --oversubscribe -n 1 $P a : -n 1 $P b",
    "programs with variables": f"mpirun {ROOT} -n 1 -x COLOUR=red $P variables 0 : -n 1 -x OTHER=blue $P variables 0",
    "programs on hosts": f"mpirun {ROOT} -n 2 -H $A:2 $P : -n 2 -H $B:2 $P",
    "input": f"seq 3 | mpirun {HOSTS} -n 4 $P input",
    "input on another": f"seq 300 | mpirun {ROOT} -H $B:2 -n 2 $P input",
    "no input": f"mpirun {HOSTS} -n 2 $P input",
    "input of a file": f"mpirun {HOSTS} -n 3 $P input < $HOME/hostfile",
    "exit code": f"mpirun {HOSTS} -n 6 $P exit-at-end 2 3",
    "exit code on another": f"mpirun {HOSTS} -n 6 $P exit-at-end 5 77",
    "exit code before the end": f"mpirun {HOSTS} -n 4 $P exit 1 9",
    "no finalize": f"mpirun {HOSTS} -n 4 $P exit 3 0",
    "signal 9": f"mpirun {HOSTS} -n 4 $P signal 0 9",
    "signal 11": f"mpirun {HOSTS} -n 4 $P signal 3 11",
    "signal 15": f"mpirun {ROOT} -H $B:2 -n 2 $P signal 1 15",
    "abort": f"mpirun {HOSTS} -n 4 $P abort 1 42",
    "abort on another": f"mpiexec {HOSTS} -n 4 $P abort 3 7",
    "a pipe that is closed": f"mpirun {HOSTS} -n 2 $P | head -n 0",
}
# What follows is the real one's business; the reason is part of what ours says of it.
HANDED_OVER = {
    "hosts of one program": (f"mpirun {HOSTS} -n 2 $P : -n 3 $P second", "hosts for some programs only"),
    "rankfile": (f"echo 'rank 0=$A slot=0' > $OUT/r; mpirun {HOSTS} -n 1 --rankfile $OUT/r $P", "--rankfile"),
    "too many": (f"mpirun {HOSTS} -n 7 $P", "more ranks than slots"),
    "too many here": (f"mpirun {ROOT} -n 3 $P", "more ranks than slots"),
    "no such host": (f"mpirun {ROOT} -H 127.0.0.9:2 $P", "not in this job"),
    "no such program": (f"mpirun {HOSTS} -n 2 ./nothing", "there is no program"),
    "no such directory": (f"mpirun {HOSTS} -n 2 --wdir /nowhere $P", "no directory /nowhere"),
    "unknown option": (f"mpirun {HOSTS} --what-is-this 3 $P", "--what-is-this"),
    "unknown parameter": (f"mpirun {HOSTS} --mca rmaps_base_no_oversubscribe 1 -n 2 $P", "rmaps_base_no_oversubscribe"),
    "parameter by variable": (f"OMPI_MCA_rmaps_base_mapping_policy=node mpirun {HOSTS} -n 4 $P",
                              "OMPI_MCA_rmaps_base_mapping_policy"),
    "nothing": ("mpirun", "no program"),
    "version": ("mpirun -V", "-V"),
    "script": (f"mpirun {HOSTS} -n 2 /bin/sh -c 'echo $OMPI_COMM_WORLD_RANK'", "no MPI library that is known"),
    "other library path": (f"LD_LIBRARY_PATH=/usr/lib mpirun {HOSTS} -n 2 $P", "LD_LIBRARY_PATH is set"),
    "pe": (f"mpirun {HOSTS} --map-by node:PE=1 --bind-to none -n 2 $P", "--map-by"),
    "display map": (f"mpirun {ROOT} --display-map -n 1 true > /dev/null", "--display-map"),
    "private program": (f"cp $P $HOME/own; mpirun {ROOT} -H $B:1 -n 1 $HOME/own", "there is no program"),
}
FRAME = """#!/bin/bash
export P=/shared/probe
if [[ $AWS_BATCH_JOB_NODE_INDEX != 0 ]]; then
  touch /shared/there-$AWS_BATCH_JOB_NODE_INDEX
  while [[ ! -e /shared/over ]]; do sleep 0.1; done
  exit 0
fi
read -r A B C <<< $(cut -d' ' -f1 "$HOME/hostfile" | tr '\\n' ' ')
a=ip-${A//./-} b=ip-${B//./-} c=ip-${C//./-}
export A B C a b c
for node in 1 2; do until [[ -e /shared/there-$node ]]; do sleep 0.05; done; done
{
%s
}
code=$?
touch /shared/over
exit $code
"""


@pytest.fixture(scope="module")
def job_of(shared_person):
    """Runs a script on the first of three nodes, while the others are there for it; the cluster is used by all tests."""
    cluster = shared_person.create("front", minimum=6, maximum=6)
    shared = cluster.directory / "shared/data"
    source = shared_person.write("probe.c", PROBE)
    shared_person.run("mpicc", "-O1", "-o", shared / "probe", source).ok()

    def run(script, *words, seconds=300, env=None):
        for name in [*shared.glob("over"), *shared.glob("there-*")]:
            name.unlink()
        job = cluster.script(FRAME % script, *words, nodes=3)
        end = cluster.finish(job, seconds=seconds)
        return end, cluster.output(f"{job}#0"), job

    run.cluster, run.shared = cluster, shared
    return run


def words_of(output, mark):
    return [line.split(" ", 1)[1] for line in output if line.startswith(mark + " ")]


def masked(text):
    """Without what differs from one run to the next."""
    text = re.sub(r"\[\[\d+,", "[[JOB,", text)
    text = re.sub(r"\[(ip-[\d-]+):\d+\]", r"[\1:PID]", text)
    text = re.sub(r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4}", "DATE", text)
    text = re.sub(r"/lines/\d+/\w+", "/lines/OUT", text)
    text = re.sub(r"0x[0-9a-f]+", "ADDRESS", text)
    text = re.sub(r"with PID [1-9]\d* on", "with PID SOME on", text)
    # Open MPI's launcher warns so by chance, whoever it launches with.
    text = re.sub(r"^.*plm:rsh: Warning: setpgid\(.*\n", "", text, flags=re.M)
    return text


def story(result):
    return {"code": result["code"], "out": sorted(masked(result["out"]).splitlines()),
            "err": sorted(masked(re.sub(r"^cox-mpirun: .*\n", "", result["err"], flags=re.M)).splitlines()),
            "files": {name: masked(text) for name, text in result["files"].items()}}


def road(result):
    said = re.findall(r"^cox-mpirun: (.*)$", result["err"], re.M)
    return said[0] if said else "nothing said"


def run_lines(job_of, lines):
    """Name → what each of the two did with the line."""
    (job_of.shared / "lines.json").write_text(json.dumps(lines))
    results = job_of.shared / "results.json"
    end, output, _ = job_of("python3 /shared/lines.py /shared/lines.json /shared/results.json", seconds=400)
    assert end["status"] == "SUCCEEDED", end[""] + "\n".join(output)
    return json.loads(results.read_text())


def differences(real, ours):
    # Now and then the real one cannot read its own help message of an abort, and says that instead.
    garbled = any("ORTE_ERROR_LOG: Data unpack would read past end" in text for text in real["err"])
    return {key: (real[key], ours[key]) for key in real if real[key] != ours[key] and not (garbled and key == "err")}


def test_lines_do_what_the_real_mpirun_does_with_them(job_of):
    lines = dict([*DIRECT.items(), *((name, line) for name, (line, _) in HANDED_OVER.items())])
    shutil.copy(LINES, job_of.shared / "lines.py")
    real, ours, wrong = {}, {}, lines
    # The real one tears a line of output or hangs now and then: what differs is looked at again. Ours must each time
    # have done what the real one does at some time.
    for _ in range(3):
        for name, result in run_lines(job_of, list(wrong.items())).items():
            real.setdefault(name, []).append(story(result["real"]))
            ours.setdefault(name, []).append(result["ours"])
        odd = {name: [own for own in ours[name] if all(differences(each, story(own)) for each in real[name])]
               for name in lines}
        wrong = {name: lines[name] for name in lines if odd[name]}
        if not wrong:
            break
    told = {name: {"line": line, "road": road(odd[name][0]),
                   "real, ours": [differences(each, story(odd[name][0])) for each in real[name]]}
            for name, line in wrong.items()}
    assert not wrong, f"{len(wrong)} of {len(lines)}:\n" + json.dumps(told, indent=1)
    roads = {name: road(ours[name][0]) for name in lines}
    assert {name: roads[name] for name in HANDED_OVER if HANDED_OVER[name][1] not in roads[name]} == {}
    direct = [name for name in DIRECT if roads[name].endswith("launched directly")]
    assert len(direct) == len(DIRECT) >= 60, sorted(set(DIRECT) - set(direct))


def test_it_is_off_where_the_job_says_so(job_of):
    end, output, _ = job_of(f"""
for mode in real verbose ''; do
  export COX_MPIRUN=$mode
  echo "$mode-ours $(mpirun {HOSTS} -n 2 printenv PMI_FD | tr '\\n' ' ')"
  echo "$mode-real $(mpirun {HOSTS} -n 2 printenv PMIX_RANK | sort | tr '\\n' ' ')"
done
true""")
    assert end["status"] == "SUCCEEDED", end[""] + "\n".join(output)
    lines = [line.strip() for line in output if re.match(r"(real|verbose|)-(ours|real)", line)]
    assert lines == ["real-ours", "real-real 0 1", "verbose-ours 3 3", "verbose-real", "-ours 3 3", "-real"], output


ENDS = """
left() {
  for host in $A $B $C; do
    ssh $host 'pgrep -x probe; find /dev/shm -mindepth 2'
  done
}
nothing_left() {
  for i in $(seq 100); do [[ -z $(left) ]] && return; sleep 0.1; done
  echo "left $(left | tr '\\n' ' ')"
}
running() {  # as many ranks have said that they are there
  for i in $(seq 200); do [[ $(grep -c ^rank "$1" 2> /dev/null) -ge $2 ]] && return; sleep 0.05; done
  echo "left only $(cat "$1")"
}
"""


def test_signals_end_all_ranks_and_leave_nothing(job_of):
    cluster = job_of.cluster
    # Ours is never there. Of what else is, a real mpirun that was killed before has left its ranks' segments.
    before = {path for path in shared_memory(cluster) if "/vader_segment." in path}
    end, output, job = job_of(ENDS + f"""
for signal in TERM INT HUP KILL; do
  for mode in real verbose; do
    [[ $mode$signal = realKILL || $mode$signal = realHUP ]] && continue
    COX_MPIRUN=$mode mpirun {HOSTS} $P wait > $HOME/out-$signal-$mode 2> $HOME/err &
    pid=$!
    running $HOME/out-$signal-$mode 6
    kill -$signal $pid
    wait $pid
    echo "code $signal $mode $?"
    [[ $mode = real ]] || nothing_left
  done
done
true""")
    assert end["status"] == "SUCCEEDED", end[""] + "\n".join(output)
    assert not words_of(output, "left"), output
    codes = dict(re.findall(r"^code (\w+ \w+) (\d+)$", "\n".join(output), re.M))
    for name in ("TERM", "INT"):
        assert codes[f"{name} verbose"] == codes[f"{name} real"] != "0", codes
    assert codes["KILL verbose"] == "137" and codes["HUP verbose"] != "0", codes

    def look():
        left = shared_memory(cluster) - before
        return not left, left
    harness.wait_until(look, "/dev/shm to be clean", 10)


def shared_memory(cluster):
    return {str(path) for pid in cluster.node_pids().values()
            for path in harness.pathlib.Path(f"/proc/{pid}/root/dev/shm").glob("*")}


def test_a_signal_for_the_ranks_gets_there(job_of):
    end, output, _ = job_of(ENDS + f"""
for mode in real verbose; do
  COX_MPIRUN=$mode mpirun {HOSTS} $P wait > $HOME/out-$mode 2> $HOME/err-$mode &
  pid=$!
  running $HOME/out-$mode 6
  kill -USR1 $pid
  wait $pid
  echo "code $mode $?"
  grep -c 'Forwarding signal 10 to job' $HOME/err-$mode | sed "s/^/said /"
done
nothing_left
true""")
    assert end["status"] == "SUCCEEDED", end[""] + "\n".join(output)
    assert words_of(output, "code") == ["real 138", "verbose 138"] and words_of(output, "said") == ["1", "1"], output
    assert not words_of(output, "left"), output


def test_several_in_one_job(job_of):
    end, output, job = job_of(ENDS + f"""
export COX_MPIRUN=verbose
for i in 1 2; do mpirun {HOSTS} $P "after another" 2>> $HOME/err; done
for i in 1 2 3; do mpirun {HOSTS} $P "beside $i" 2>> $HOME/err & done
wait
sort $HOME/err | uniq -c | sed "s/^/said/"
nothing_left
true""")
    assert end["status"] == "SUCCEEDED", end[""] + "\n".join(output)
    text = "\n".join(output)
    assert text.count("of 6 sum 15") == 30 and text.count("after another") == 12, text
    assert all(text.count(f"beside {i}") == 6 for i in (1, 2, 3)), text
    assert re.search(r"said +5 cox-mpirun: 6 ranks were launched directly", text), text
    assert not words_of(output, "left"), output
    # Each rank's output is its own log, as with the real one.
    assert len(job_of.cluster.output(job, "--rank", "4")) == 5


def test_a_failing_rank_fails_the_job_with_its_code(job_of):
    end, output, job = job_of(f"mpirun {HOSTS} $P exit 4 6")
    assert end["status"] == "FAILED", end[""]
    assert job_of.cluster.details(f"{job}#0")["exitCode"] == "6"
    assert any("Process name:" in line and ",1],4]" in line for line in output), output


def test_a_lost_node_ends_the_launch(job_of):
    end, output, _ = job_of(ENDS + f"""
for signal in KILL TERM; do
  COX_MPIRUN=verbose mpirun {HOSTS} $P wait > $HOME/out-$signal 2> $HOME/err-$signal &
  pid=$!
  running $HOME/out-$signal 6
  ssh $C "pkill -$signal -x cox-mpirun"
  wait $pid
  echo "code $?"
  nothing_left
done
grep 'told to end' $HOME/err-TERM | sed 's/^/said /'
true""")
    assert end["status"] == "SUCCEEDED", end[""] + "\n".join(output)
    assert words_of(output, "code") == ["137", "1"] and not words_of(output, "left"), output
    assert re.search(r"said .*ip-[\d-]+ was told to end its ranks", "\n".join(output)), output


def test_much_output_comes_whole(job_of):
    """In little memory, however much there is; a program with a sanitizer keeps what it has freed."""
    memory = "512" if b"__asan_init" in (harness.BIN / "cox-mpirun").read_bytes() else "64"
    end, output, _ = job_of(f"""
yes 0123456789abcdefghijklmnopqrstuvwxyz | head -n 50000 > /shared/much
mpirun {HOSTS} cat /shared/much | sort | uniq -c | sed "s/^/counted/"
seq 20000 | mpirun {ROOT} -H $B:2 -n 2 $P input | grep -c '^read [0-9]*$' | sed "s/^/was read /"
mpirun {HOSTS} cat /shared/much | (sleep 1; head -n 3) | wc -l | sed "s/^/then /"
true""", "-m", memory)
    assert end["status"] == "SUCCEEDED", end[""] + "\n".join(output)
    counted = [line.split() for line in output if line.startswith("counted")]
    assert counted == [["counted", "300000", "0123456789abcdefghijklmnopqrstuvwxyz"]], output[:20]
    assert words_of(output, "was") == ["read 20000"], output[:20]
    assert words_of(output, "then") == ["3"], output[:20]


WIDE = """#!/bin/bash
export P=/shared/probe COX_MPIRUN=verbose
if [[ $AWS_BATCH_JOB_NODE_INDEX != 0 ]]; then
  [[ $AWS_BATCH_JOB_NODE_INDEX = 17 ]] || cp $P /tmp/in-seventeen
  touch /shared/there-$AWS_BATCH_JOB_NODE_INDEX
  while [[ ! -e /shared/over ]]; do sleep 0.1; done
  exit 0
fi
cp $P /tmp/in-seventeen
for node in $(seq 17); do until [[ -e /shared/there-$node ]]; do sleep 0.05; done; done
hosts=($(cut -d' ' -f1 $HOME/hostfile))
left() { for host in ${hosts[@]}; do ssh $host 'pgrep -x probe; find /dev/shm -mindepth 2'; done; }
running() {
  for i in $(seq 600); do [[ $(grep -c ^rank $1 2> /dev/null) -ge 18 ]] && return; sleep 0.05; done
  echo "left only $(cat $1)"
}
ALL="--allow-run-as-root --map-by node --hostfile $HOME/hostfile"
mpirun $ALL -n 18 $P 2> $HOME/err | sort -V | awk '{ print $1, $2, $3, $4, $5, $6 } END { print "ranks", NR }'
sed 's/^/said /' $HOME/err
(echo ${hosts[17]} slots=1; head -n 17 $HOME/hostfile | sed 's/slots=2/slots=1/') > $HOME/turned
seq 20000 | mpirun --allow-run-as-root --hostfile $HOME/turned $P input 2>> $HOME/err | grep -c '^read [0-9]*$' | sed 's/^/read /'
mpirun $ALL -n 18 $P exit 17 5 > $HOME/out 2>> $HOME/err; echo "code $?"
mpirun $ALL -n 18 $P wait > $HOME/out-1 2>> $HOME/err & pid=$!
running $HOME/out-1; kill -USR1 $pid; wait $pid; echo "signalled $?"
mpirun $ALL -n 18 $P wait > $HOME/out-2 2>> $HOME/err & pid=$!
running $HOME/out-2; ssh ${hosts[1]} 'pkill -KILL -x cox-mpirun'; wait $pid; echo "lost $?"
mpirun $ALL -n 18 /tmp/in-seventeen > $HOME/out-3 2> $HOME/err; echo "missing $?"
grep ^cox-mpirun $HOME/err | sed 's/^/said /'
for i in $(seq 100); do [[ -z $(left) ]] && break; sleep 0.1; done
echo "left $(left | tr '\\n' ' ')"
touch /shared/over
"""


def test_nodes_beyond_sixteen_meet_at_another_node(shared_person):
    """The eighteenth node meets the others at the second: what it says, and what it is told, goes by that one."""
    cluster = shared_person.create("wide", minimum=36, maximum=36)
    source = shared_person.write("probe.c", PROBE)
    shared_person.run("mpicc", "-O1", "-o", cluster.directory / "shared/data/probe", source).ok()
    job = cluster.script(WIDE, nodes=18)
    end = cluster.finish(job, seconds=200)
    output = cluster.output(f"{job}#0")
    text = end[""] + "\n".join(output)
    assert end["status"] == "SUCCEEDED", text
    assert output[:19] == [*(f"rank {rank} of 18 sum 153" for rank in range(18)), "ranks 18"], text
    assert words_of(output, "read") == ["20000"] and words_of(output, "code") == ["5"], text
    assert words_of(output, "signalled") == ["138"] and words_of(output, "lost") == ["137"], text
    said = words_of(output, "said")
    assert said[0] == "cox-mpirun: 18 ranks were launched directly", text
    assert re.search(r"takes it: ip-10-0-\d+-\d+: there is no program /tmp/in-seventeen", said[1]), text
    assert words_of(output, "missing") != ["0"] and words_of(output, "left") == [""], text
