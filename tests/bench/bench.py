#!/usr/bin/python3
"""Measures Coxswain against its peers on the same nodes in one run; prints a table and JSON.

Every row is a ratio of medians of samples that were taken in turn, so that a slow moment of the
machine meets both. Needs root (it starts a real sshd in every node). Usage:

    tests/bench/bench.py [--rounds N] [--json FILE] [--short] [--only-site]
"""

import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests/process"))
import harness  # noqa: E402  (the same way to drive the programs as the process tests)
import peers  # noqa: E402
import slurm_site  # noqa: E402
import ssh_site  # noqa: E402

LAST_LINE = "sum of all ranks: 15"
SCRIPT = """#!/bin/bash
if [ "$AWS_BATCH_JOB_NODE_INDEX" -ne 0 ]; then trap 'exit 0' TERM; sleep 600 & wait; fi
/usr/lib64/openmpi/bin/mpirun --mca btl_tcp_if_include eth0 --allow-run-as-root --machinefile "$HOME/hostfile" /shared/ring
"""
HOSTS_SCRIPT = """#!/bin/bash
if [ "$AWS_BATCH_JOB_NODE_INDEX" -ne 0 ]; then trap 'exit 0' TERM; sleep 600 & wait; fi
mpirun.openmpi --mca btl_tcp_if_include eth0 --allow-run-as-root --machinefile "$HOME/hostfile" /mnt/data/ring
"""


class Nodes:
    """The cluster's nodes with a real sshd in each, for the peers that are started by hand."""

    def __init__(self, cluster):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cox-bench-"))
        self.daemons = []
        hosts = {h["ec2InstanceId"]: h["privateIpAddress"] for h in cluster.hosts()}
        pids = cluster.node_pids()
        self.head = next(pid for node, pid in pids.items() if node not in hosts)
        self.compute = [(pids[node], address) for node, address in hosts.items()]
        self.make_keys()
        (self.directory / "hostfile").write_text("".join(f"{a} slots=2\n" for _, a in self.compute))
        (self.directory / "hosts.hydra").write_text("".join(f"{a}:2\n" for _, a in self.compute))
        (self.directory / "ssh").write_text(f'#!/bin/sh\nexec ssh -F {self.directory}/ssh_config "$@"\n')
        (self.directory / "ssh").chmod(0o755)
        for pid in [self.head] + [pid for pid, _ in self.compute]:
            self.start_sshd(pid)

    def make_keys(self):
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.directory / name], check=True)
        shutil.copy(self.directory / "user.pub", self.directory / "authorized")
        (self.directory / "sshd_config").write_text(
            f"HostKey {self.directory}/host\nAuthorizedKeysFile {self.directory}/authorized\nPermitRootLogin yes\n"
            f"StrictModes no\nUsePAM no\nPidFile none\nPort 22\n")
        (self.directory / "ssh_config").write_text(
            f"Host *\n IdentityFile {self.directory}/user\n StrictHostKeyChecking no\n"
            f" UserKnownHostsFile /dev/null\n LogLevel ERROR\n BatchMode yes\n")

    def start_sshd(self, pid):
        # The nodes' /tmp is their own, so the directory with the keys is bound into each.
        inside = ["nsenter", "-t", str(pid), "-a"]
        tar = subprocess.run(["tar", "-C", "/", "-c", str(self.directory)[1:]], check=True, capture_output=True)
        subprocess.run([*inside, "tar", "-C", "/", "-x"], input=tar.stdout, check=True)
        subprocess.run([*inside, "mkdir", "-p", "/run/sshd"], check=True)
        daemon = subprocess.Popen([*inside, "/usr/sbin/sshd", "-D", "-e", "-f", self.directory / "sshd_config"],
                                  stderr=subprocess.DEVNULL)
        self.daemons.append(daemon)

    def ssh_head_mpirun(self, *settings):
        """`ssh head mpirun …` as a person types it on the head node."""
        agent = f"ssh -F {self.directory}/ssh_config"
        command = (f"mpirun --mca plm_rsh_agent '{agent}' --mca btl_tcp_if_include eth0 --allow-run-as-root"
                   f" {' '.join(settings)} --machinefile {self.directory}/hostfile /shared/ring")
        started = time.monotonic()
        said = self.ssh_head(command)
        seconds = time.monotonic() - started
        assert LAST_LINE in said, said
        return seconds

    def ssh_head_hydra(self):
        """The same of MPICH's launcher and a program without MPI: Debian's MPICH hangs at its end now and then."""
        started = time.monotonic()
        said = self.ssh_head(f"mpiexec.hydra -launcher ssh -launcher-exec {self.directory}/ssh"
                             f" -f {self.directory}/hosts.hydra -n 6 hostname")
        seconds = time.monotonic() - started
        assert len(said.split()) == 6, said
        return seconds

    def ssh_head(self, command):
        done = subprocess.run(["nsenter", "-t", str(self.head), "-a", "ssh", "-F", self.directory / "ssh_config",
                               "10.0.0.10", command], capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def on_head(self, command):
        """Seconds that the command takes on the head node, without the login."""
        clock = "date +%s.%N"
        begun, ended = self.ssh_head(f"{clock} && {command} && {clock}").split()[-2:]
        return float(ended) - float(begun)

    def wait_for_sshd(self):
        for _, address in self.compute + [(self.head, "10.0.0.10")]:
            def look():
                done = subprocess.run(["nsenter", "-t", str(self.head), "-a", "ssh", "-F",
                                       self.directory / "ssh_config", address, "true"], capture_output=True, text=True)
                return done.returncode == 0, done.stderr
            harness.wait_until(look, f"sshd on {address}", 20)

    def close(self):
        for daemon in self.daemons:
            daemon.terminate()
            daemon.wait(timeout=10)
        shutil.rmtree(self.directory)


def until_output(cluster, *words):
    """Seconds from before awsbsub to the last line of the job's output on the screen."""
    started = time.monotonic()
    job = cluster.submit(*words)
    follow = cluster.person.start("awsbout", "-c", cluster.name, "--stream", f"{job}#0")
    seen = b""
    for line in follow.stdout:
        seen += line
        if LAST_LINE.encode() in line:
            seconds = time.monotonic() - started
            break
    else:
        raise AssertionError(f"{job} printed no {LAST_LINE!r}:\n{seen.decode()}\n{cluster.details(job)[''] }")
    follow.communicate(timeout=60)
    cluster.finish(job)
    harness.wait_until(lambda: (all(h["runningJobs"] == 0 for h in cluster.hosts()), cluster.hosts()), "idle nodes", 40)
    return seconds


def timed(what):
    started = time.monotonic()
    what()
    return time.monotonic() - started


def row(name, ours, theirs, peer, budget):
    mine, other = statistics.median(ours), statistics.median(theirs) if theirs else None
    return {"what": name, "seconds": round(mine, 4), "min": round(min(ours), 4), "max": round(max(ours), 4),
            "n": len(ours), "peer": peer, "peer_seconds": round(other, 4) if other else None,
            "ratio": round(mine / other, 3) if other else None, "budget": budget}


def create_once(person, nodes):
    """Seconds from the command to a ready cluster of a head node and so many compute nodes."""
    name = f"bench-create{nodes}"
    path = person.write(f"{name}.yaml", harness.cluster_file(minimum=2 * nodes, maximum=2 * nodes))
    person.clusters.append(name)
    seconds = timed(lambda: person.run("pcluster", "create-cluster", "-n", name, "-c", path, "--wait").ok())
    shown = person.run("pcluster", "describe-cluster-instances", "-n", name, "--node-type", "ComputeNode").ok().json()
    assert len(shown["instances"]) == nodes, shown
    person.run("pcluster", "delete-cluster", "-n", name, "--wait").ok()
    return seconds


def bench_create(person, rounds, many):
    """Clusters of 3 and of many nodes in turn; a node of many must cost no more than one of 3."""
    few_samples, each_of_few, each_of_many = [], [], []
    for _ in range(rounds):
        few_samples.append(create_once(person, 3))
        each_of_few.append(few_samples[-1] / 3)
        each_of_many.append(create_once(person, many) / many)
    return [row("create a cluster of 3 nodes, to ready", few_samples, None, None, "1 s"),
            row(f"create a cluster of {many} nodes, for each node", each_of_many, each_of_few, "each of 3 nodes", "1")]


def bench_launch(person, rounds):
    """The 6-rank ring: a script's own mpirun and --mpi by both roads, against ssh and mpirun by hand."""
    cluster = person.create("bench", minimum=6, maximum=6)
    person.write("job.sh", SCRIPT, 0o755)
    person.write("real.sh", SCRIPT.replace("\n", "\nexport COX_MPIRUN=real\n", 1), 0o755)
    cluster.ssh("cat > /shared/ring.c && mpicc -O2 -o /shared/ring /shared/ring.c",
                stdin=(SOURCE / "mpi_examples/ring_reduce.c").read_text()).ok()
    person.write("ring.c", (SOURCE / "mpi_examples/ring_reduce.c").read_text())
    nodes = Nodes(cluster)
    taken = {"script": [], "real": [], "direct": [], "mpirun": [], "ssh": [], "tuned": [], "hydra": []}
    by_mpi = ("-n", "3", "--mpi", "--mpi-launch")
    tuned = ("--mca btl self,vader,tcp --mca pml ob1 -x OMPI_MCA_mpi_yield_when_idle=1",)
    try:
        nodes.wait_for_sshd()
        for number in range(rounds + 1):
            sample = {"ssh": nodes.ssh_head_mpirun(), "script": until_output(cluster, "-n", "3", "-cf", "job.sh"),
                      "real": until_output(cluster, "-n", "3", "-cf", "real.sh"),
                      "tuned": nodes.ssh_head_mpirun(*tuned), "hydra": nodes.ssh_head_hydra(),
                      "direct": until_output(cluster, *by_mpi, "direct", "ring.c"),
                      "mpirun": until_output(cluster, *by_mpi, "mpirun", "ring.c")}
            if number > 0:  # the first round warms the page cache and the compiler's
                for key, value in sample.items():
                    taken[key].append(value)
    finally:
        nodes.close()
    person.run("pcluster", "delete-cluster", "-n", "bench", "--wait").ok()
    return [row("6-rank ring by a script's own mpirun, submit to output", taken["script"], taken["ssh"],
                "ssh head mpirun", 0.4),
            row("the same by Open MPI's mpirun through our agents", taken["real"], taken["ssh"], "ssh head mpirun", 0.4),
            row("our mpirun, against Open MPI's through our agents", taken["script"], taken["real"], "COX_MPIRUN=real", None),
            row("the same by awsbsub --mpi, launched directly", taken["direct"], taken["ssh"], "ssh head mpirun", 0.12),
            row("the same", taken["direct"], taken["hydra"], "ssh head mpiexec.hydra hostname", None),
            row("the same by awsbsub --mpi, through mpirun", taken["mpirun"], taken["ssh"], "ssh head mpirun", None),
            row("--mpi launched directly, against mpirun's road", taken["direct"], taken["mpirun"], "--mpi by mpirun", None),
            row("ssh head mpirun, tuned by hand", taken["tuned"], taken["ssh"], "ssh head mpirun", None)]


def by_hand_and_ours(rounds, cluster, **by_hand):
    """Seconds of the ring by hand, by a script's own mpirun and launched directly, one after the other in each round.

    The first round warms up. What is done by hand gives its own seconds."""
    return peers.collected(rounds, {
        **by_hand,
        "script": lambda: until_output(cluster, "-n", "3", "-cf", "job.sh"),
        "direct": lambda: until_output(cluster, "-n", "3", "--mpi", "--mpi-launch", "direct", "--ranks-per-node", "2", "ring.c")})


def bench_hosts(rounds, megabytes):
    """The 6-rank ring, and so many MB of output, on three hosts reached by ssh, against mpirun over ssh by hand there."""
    site = ssh_site.Site(3)
    person = ssh_site.SitePerson(site)
    try:
        cluster = person.create("bench-hosts", person.hosts_file(minimum=6, maximum=6))
        person.write("job.sh", HOSTS_SCRIPT, 0o755)
        person.write("ring.c", (SOURCE / "mpi_examples/ring_reduce.c").read_text())
        (site.shared / "hostfile").write_text("".join(f"{host.address} slots=2\n" for host in site.hosts))
        writer = person.write("writer.c", peers.WRITER)
        for name, source in {"ring": SOURCE / "mpi_examples/ring_reduce.c", "writer": writer}.items():
            subprocess.run(["mpicc.openmpi", "-O2", "-o", site.shared / name, source], check=True)
        ssh = ["ssh", "-o", "BatchMode=yes", "-i", site.directory / "key", "-o", f"UserKnownHostsFile={site.known_hosts}"]
        agent = " ".join(str(word) for word in ssh)
        by_hand = (f"mpirun.openmpi --mca plm_rsh_agent '{agent}' --mca btl_tcp_if_include eth0 --allow-run-as-root"
                   " --machinefile /mnt/data/hostfile /mnt/data/")

        def hand():
            started = time.monotonic()
            done = person.run(*ssh, site.hosts[0].address, by_hand + "ring").ok()
            assert LAST_LINE in done.out, done.story()
            return time.monotonic() - started

        blocks = [str(megabytes), "65536"]
        taken = by_hand_and_ours(rounds, cluster, hand=hand)
        taken |= peers.collected(min(rounds, 3), {
            "output": lambda: timed(lambda: person.run("awsbsub", "-c", "bench-hosts", "-n", "3", "--mpi", "--mpi-launch", "direct",
                                                       "--ranks-per-node", "2", "--wait", "writer.c", *blocks, seconds=600).ok()),
            "output by hand": lambda: timed(lambda: person.run(*ssh, site.hosts[0].address, by_hand + "writer", *blocks,
                                                               "> /mnt/data/out", seconds=600).ok())})
    finally:
        person.close()
        site.close()
    peer = "ssh host mpirun"
    return [row("6-rank ring over ssh hosts by a script's own mpirun", taken["script"], taken["hand"], peer, 0.5),
            row("the same by awsbsub --mpi, launched directly", taken["direct"], taken["hand"], peer, 0.5),
            row(f"{megabytes} MB of output there, 64 KiB at a time", taken["output"], taken["output by hand"],
                "ssh host mpirun > file", None)]


def sbatch_mpirun(person, site):
    """Seconds from before sbatch to the last line in the job's output file, as a person on the login machine has it."""
    output = site.shared / "by-hand"
    output.unlink(missing_ok=True)
    mpirun = ("exec mpirun.openmpi --mca btl_tcp_if_include eth0 --allow-run-as-root -np 6 --map-by ppr:2:node"
              f" {site.shared}/ring")
    started = time.monotonic()
    job = person.run("sbatch", "--parsable", "--nodes=3", "--ntasks-per-node=2", "--chdir=/", "--time=5",
                     f"--output={output}", f"--wrap={mpirun}").ok().out.strip()
    while not (output.exists() and LAST_LINE in output.read_text()):
        seconds = time.monotonic() - started
        assert seconds < 60, (site.slurm("scontrol", "show", "job", job), output.exists() and output.read_text())
        time.sleep(0.001)
    seconds = time.monotonic() - started
    harness.wait_until(lambda: (job not in site.jobs(), site.jobs()), "the job by hand to be over", 30)
    return seconds


def srun_pmix(person, site):
    """Seconds of the ring by Slurm's own launcher, to its last line on the screen."""
    started = time.monotonic()
    done = person.run("srun", "--mpi=pmix", "--nodes=3", "--ntasks=6", "--ntasks-per-node=2", "--chdir=/", site.shared / "ring").ok()
    assert LAST_LINE in done.out, done.story()
    return time.monotonic() - started


def bench_site(rounds):
    """The 6-rank ring inside a Slurm site, against sbatch and mpirun, and srun, on the same nodes.

    Of the four CPUs that each node tells Slurm of, Coxswain's allocation has two and the job by hand the others: with two it
    would wait for as long as the cluster is there.
    """
    site = slurm_site.SlurmSite(hosts=3, vcpus=4)
    person = slurm_site.SlurmPerson(site)
    try:
        cluster = person.create("bench-site", person.site_file(minimum=6, maximum=6))
        person.write("job.sh", HOSTS_SCRIPT.replace("/mnt/data", str(site.shared)), 0o755)
        person.write("ring.c", (SOURCE / "mpi_examples/ring_reduce.c").read_text())
        subprocess.run(["mpicc.openmpi", "-O2", "-o", site.shared / "ring", SOURCE / "mpi_examples/ring_reduce.c"], check=True)
        taken = by_hand_and_ours(rounds, cluster, hand=lambda: sbatch_mpirun(person, site), srun=lambda: srun_pmix(person, site))
    finally:
        person.close()
        site.close()
    peer = "sbatch and mpirun"
    return [row("6-rank ring inside Slurm by a script's own mpirun", taken["script"], taken["hand"], peer, 0.5),
            row("the same by awsbsub --mpi, launched directly", taken["direct"], taken["hand"], peer, 0.5),
            row("the same", taken["direct"], taken["srun"], "srun --mpi=pmix", None)]


def bench_small_jobs(person, rounds):
    """One /bin/true after the other, through awsbsub --wait, against starting it directly."""
    cluster = person.create("bench-small", minimum=2, maximum=2)
    ours, bare = [], []
    for _ in range(rounds * 4):
        ours.append(timed(lambda: person.run("awsbsub", "-c", "bench-small", "--wait", "true").ok()))
        bare.append(timed(lambda: person.run("true").ok()))
    person.run("pcluster", "delete-cluster", "-n", "bench-small", "--wait").ok()
    return [row("one /bin/true, awsbsub --wait", ours, bare, "fork and exec of true", None)]


def figures_of(program, *words):
    """The JSON that a program of tests/bench prints."""
    done = subprocess.run([SOURCE / "build/release/bench" / program, *map(str, words)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def figure(name, value, unit, budget=None):
    return {"what": name, "value": round(value, 4), "unit": unit, "budget": budget}


def bench_scale(short):
    """What many jobs, agents and nodes cost the head: the real one, over nodes that are only played."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:  # a disk, where /tmp may be none
        return scale_figures(short, directory)


def scale_figures(short, directory):
    jobs, nodes = (2000, 100) if short else (1_000_000, 10_000)
    queue = figures_of("head_load", "--queue", jobs, "--directory", directory)
    figures = [
        figure(f"queue of {jobs}: submit rate at its end, to that of an empty queue beside it",
               queue["submit_rate_to_empty_queue"], "", ">= 0.9"),
        figure("the same: last quarter to first", queue["submit_rate_last_to_first_quarter"], ""),
        figure("the same: submits", queue["submits_per_s"], "per s"),
        figure("the same: head memory a waiting job", queue["bytes_per_waiting_job"], "bytes", "<= 1024"),
        figure("the same: head memory a waiting child of an array of 10,000", queue["bytes_per_waiting_child"], "bytes"),
        figure("the same: completion rate, to that of a short queue",
               queue["jobs_per_s_long_queue"] / queue["jobs_per_s_short_queue"], ""),
        figure("the same: a page of the list", queue["list_page_ms_again"], "ms"),
        figure("the same: restart, to the first answer", queue["restart_s"], "s", "<= 10")]
    for agents in (5, 10) if short else (10, 100, 1000):
        each = figures_of("head_load", "--agents", agents, "--directory", directory)
        figures.append(figure(f"{agents} agents: a job on each, submit to end, per job",
                              (each["all_running_s"] + each["all_ended_s"]) / agents * 1000, "ms"))
    through = figures_of("head_load", "--through", 200 if short else 10_000, "--directory", directory)
    figures += [figure("small jobs through 16 slots", through["jobs_per_s_singles"], "per s"),
                figure("the same, one at a time", through["one_at_a_time_ms"], "ms")]
    turns = figures_of("turn_cost", nodes, jobs)
    return figures + [figure(f"{nodes} nodes, {jobs} wait: a turn after a job came", turns["turn_after_submit_full_ms"], "ms",
                             "<= 10"),
                      figure("the same: a turn after a job ended", turns["turn_after_end_full_ms"], "ms", "<= 10")]


IDLE_SECONDS = 5


def bench_idle(person):
    """What a cluster costs while nothing happens: memory, and how often its processes are woken."""
    cluster = person.create("bench-idle", minimum=2, maximum=2)
    cluster.finish(cluster.submit("true"))
    groups = {"head": [pid for pid, line in person.processes() if "--worker" in line or "coxd" in line.split()[0]],
              "agent": [pid for pid, line in person.processes() if "cox-agent" in line.split()[0]]}

    def status(pid, key, file="status"):
        return int(re.search(rf"^{key}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/{file}").read_text(), re.M).group(1))

    def wakeups(pids):
        return sum(status(int(task.name), "voluntary_ctxt_switches") for pid in pids
                   for task in pathlib.Path(f"/proc/{pid}/task").iterdir())

    # Until what the job left to do is done.
    harness.wait_until(lambda: (all(h["runningJobs"] == 0 for h in cluster.hosts()), cluster.hosts()), "idle nodes", 40)
    time.sleep(11)  # a process that was used waits ten seconds for another plan
    before = {name: wakeups(pids) for name, pids in groups.items()}
    time.sleep(IDLE_SECONDS)
    woken = {name: (wakeups(pids) - before[name]) / IDLE_SECONDS / max(1, len(pids)) for name, pids in groups.items()}
    # Proportional: what several processes map, such as a library, counts once over all of them.
    memory = {name: max(status(pid, "Pss", "smaps_rollup") for pid in pids) / 1024 for name, pids in groups.items()}
    person.run("pcluster", "delete-cluster", "-n", "bench-idle", "--wait").ok()
    return [figure("idle head: memory of its largest process", memory["head"], "MiB", "<= 30"),
            figure("idle head: each process is woken", woken["head"], "per s", "0"),
            figure("idle agent: memory", memory["agent"], "MiB", "<= 10"),
            figure("idle agent: each is woken", woken["agent"], "per s", "0")]


class Report:
    """What was measured, shown and kept at once: a part that fails takes nothing of the others with it."""

    def __init__(self, rounds, missing, path):
        self.path = path
        self.kept = {"date": time.strftime("%Y-%m-%d"), "cores": os.cpu_count(), "kernel": platform.release(), "rounds": rounds,
                     "rows": [], "figures": [], "not_measured": missing}
        print(f"{self.kept['date']}, {self.kept['cores']} cores, kernel {self.kept['kernel']}, {rounds} rounds, medians")
        print(f"{'what':58} {'seconds':>9} {'peer':>9} {'ratio':>7} {'budget':>7}  peer", flush=True)
        for what in missing:
            print(f"not measured: {what}")

    def add(self, rows, figures=()):
        for r in rows:
            print(f"{r['what']:58} {r['seconds']:9.3f} {r['peer_seconds'] or '-':>9} {r['ratio'] or '-':>7} {r['budget'] or '-':>7}"
                  f"  {r['peer'] or ''}".rstrip(), flush=True)
        for f in figures:
            print(f"{f['what']:58} {f['value']:9.6g} {f['unit']:>9} {'':>7} {f['budget'] or '-':>7}", flush=True)
        self.kept["rows"] += rows
        self.kept["figures"] += figures
        if self.path:
            self.path.write_text(json.dumps(self.kept, indent=2) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--short", action="store_true", help="one round: shows that the benchmark works")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--only-site", action="store_true", help="only the launch inside Slurm")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("bench: needs root, to start sshd in the nodes", file=sys.stderr)
        return 1
    rounds = 1 if options.short else options.rounds
    many = 12 if options.short else 50

    person = harness.Person()
    missing = [] if shutil.which("slurmctld") else ["inside Slurm: there is no slurmctld here (Debian: slurmctld, slurmd, munge)"]
    report = Report(rounds, missing, options.json)
    try:
        if not options.only_site:
            report.add(bench_create(person, rounds, many))
            report.add(bench_launch(person, rounds))
            report.add(bench_small_jobs(person, rounds))
            report.add(bench_hosts(rounds, peers.megabytes_of_output(options.short)))
        if not missing:
            report.add(bench_site(rounds))
        if not missing and not options.only_site:
            report.add(*peers.bench(person, Nodes, rounds, options.short, row))
        if not options.only_site:
            report.add([], bench_scale(options.short))
            report.add([], bench_idle(person))
    finally:
        person.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
