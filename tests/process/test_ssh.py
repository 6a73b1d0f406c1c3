"""A cluster of six hosts that are reached by ssh: from its making to its end, and what may go wrong between."""

import json
import os
import re
import signal
import subprocess

import pytest

import conftest
import harness
import ssh_site
from ssh_fixtures import pids_on, site, typist, wait_for_hosts  # noqa: F401 (fixtures)
from ssh_site import RING, SUM, TUTORIAL


def test_the_tutorials_job_over_six_hosts(typist, site):
    cluster = typist.create("sea", typist.hosts_file())
    assert len(cluster.hosts()) == 6
    (site.shared / "ring.c").write_text(RING)

    job = cluster.script(TUTORIAL, nodes=3)
    done = cluster.finish(job, 120)
    assert done["status"] == "SUCCEEDED", done[""]
    assert SUM in cluster.output(f"{job}#0")
    # Each rank's output is its own, whoever started it.
    rank = cluster.output(job, "--rank", "3")
    assert "rank 3 received 13" in rank and len(rank) == 2

    whoami = cluster.script("id -un; hostname; echo $HOME", "-p", "2")
    assert cluster.finish(whoami)["status"] == "SUCCEEDED"
    user, name, home = cluster.output(whoami)
    assert user == typist.name and name.startswith("desk") and home.startswith("/var/tmp/coxswain-")

    here = typist.run("pcluster", "ssh", "sea", "echo", "$0 is here")
    assert "is here" in here.ok().out


@pytest.mark.parametrize("road", ["direct", "mpirun"])
def test_mpi_jobs_by_both_roads(typist, road):
    cluster = typist.create("sea", typist.hosts_file())
    source = typist.write("ring.c", RING)
    job = cluster.submit("-n", "6", "--mpi", "--ranks-per-node", "1", "--mpi-launch", road, source)
    done = cluster.finish(job, 120)
    assert done["status"] == "SUCCEEDED", done[""]
    lines = cluster.output(job, "--ranks", "0-5", "--tag")
    hosts = {line.split("@")[1].split()[0] for line in lines if "Hello world" in line}
    assert hosts == {f"desk{number}" for number in range(1, 7)}, lines


def test_a_kill_reaches_every_host(typist, site):
    cluster = typist.create("sea", typist.hosts_file())
    job = cluster.script("echo up; sleep 1000 & setsid sleep 1001 & wait", nodes=6)
    cluster.wait_for(job, "RUNNING")
    for host in site.hosts:
        harness.wait_until(lambda host=host: (len(pids_on(host, r"^ *\d+ sleep 100[01]")) == 2, host.processes()),
                           f"the job on {host.name}")
    typist.run("awsbkill", "-c", "sea", job).ok()
    assert cluster.finish(job)["status"] == "FAILED"
    for host in site.hosts:
        harness.wait_until(lambda host=host: (not pids_on(host, r"^ *\d+ sleep 100[01]"), host.processes()),
                           f"the job's end on {host.name}")


def test_hosts_join_as_jobs_need_them(typist):
    cluster = typist.create("sea", typist.hosts_file(minimum=0))
    assert cluster.hosts() == []
    job = cluster.script("hostname", nodes=2)
    assert cluster.finish(job, 90)["status"] == "SUCCEEDED"
    assert len(cluster.hosts()) == 2
    # In AWS's words such machines are their owner's own.
    keys = typist.run("cox", "credentials", "sea", "--json").ok().json()
    told = typist.run("aws", "--endpoint-url", keys["AWS_ENDPOINT_URL"], "--output", "json", "batch",
                      "describe-compute-environments", env=keys).ok()
    [environment] = told.json()["computeEnvironments"]
    assert environment["type"] == "UNMANAGED" and environment["unmanagedvCpus"] >= 2, environment
    assert "computeResources" not in environment, environment


def test_a_job_goes_on_without_sshd_and_without_the_head(typist, site):
    cluster = typist.create("sea", typist.hosts_file(minimum=4, maximum=4))
    job = cluster.script("for i in 1 2 3 4 5 6; do echo line $i; sleep 0.5; done", nodes=2)
    cluster.wait_for(job, "RUNNING")
    for host in site.hosts:
        for pid in pids_on(host, "sshd"):
            host.run("kill", "-9", pid, check=False)
    for pid in cluster.daemons():
        os.kill(pid, signal.SIGKILL)
    done = cluster.finish(job, 60)
    assert done["status"] == "SUCCEEDED", done[""]
    for index in (0, 1):
        assert cluster.output(f"{job}#{index}") == [f"line {i}" for i in range(1, 7)]
    for host in site.hosts:
        harness.wait_until(host.look_for_sshd, f"sshd of {host.name}")


def test_an_agent_that_is_killed_comes_back_and_its_job_is_tried_again(typist, site):
    cluster = typist.create("sea", typist.hosts_file(minimum=2, maximum=2))
    job = cluster.script('echo attempt $AWS_BATCH_JOB_ATTEMPT; [ "$AWS_BATCH_JOB_ATTEMPT" = 2 ] || sleep 1000',
                         "-r", "2")
    cluster.wait_for(job, "RUNNING")
    host = next(host for host in site.hosts if pids_on(host, "^ *[0-9]+ sleep 1000"))
    agents = pids_on(host, r"cox-agent$", "comm")
    assert len(agents) == 1, host.processes()
    host.run("kill", "-9", agents[0])
    done = cluster.finish(job, 90)
    assert done["status"] == "SUCCEEDED", done[""]
    assert not pids_on(host, "^ *[0-9]+ sleep 1000")
    assert cluster.output(job) == ["attempt 2"]


def test_a_head_that_cannot_be_reached_is_reached_by_a_tunnel(typist, site):
    """Typed in another network: the hosts are reached through a gate, and nothing of theirs comes back but by ssh."""
    gate = site.hosts[5]
    known = site.open_far(gate)
    typist.place = site.far
    try:
        cluster = typist.create("sea", typist.hosts_file(hosts=site.hosts[:2], minimum=4, maximum=4,
                                                         known_hosts=known, jump="10.78.0.1"))
        job = cluster.script("for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.5; done", nodes=2)
        cluster.wait_for(job, "RUNNING")
        # The tunnels break, and are made again.
        tunnels = [pid for pid, line in site.processes_of(site.far).items() if " -R " in line]
        assert len(tunnels) == 2, site.processes_of(site.far)
        for pid in tunnels:
            os.kill(pid, signal.SIGKILL)
        done = cluster.finish(job, 60)
        assert done["status"] == "SUCCEEDED", done[""]
        for index in (0, 1):
            assert cluster.output(f"{job}#{index}") == [f"line {i}" for i in range(1, 9)]
        typist.run("pcluster", "delete-cluster", "-n", "sea", "--wait").ok()
    finally:
        site.close_far(gate)


def test_local_nodes_and_hosts_side_by_side(typist, site):
    """The queue names the order; a job of several nodes stays within one kind."""
    text = typist.hosts_file(hosts=site.hosts[:3], shared="").replace("  Provider: ssh\n", """  Provider: local
  ComputeResources:
    - {Name: desks, Provider: ssh}
""").replace("          MinvCpus: 12\n          DesiredvCpus: 12\n          MaxvCpus: 12\n", """          MinvCpus: 0
          DesiredvCpus: 0
          MaxvCpus: 4
        - Name: desks
          InstanceTypes:
            - c4.large
          MinvCpus: 0
          DesiredvCpus: 0
          MaxvCpus: 6
""")
    cluster = typist.create("both", text)
    where = "case $(hostname) in desk*) echo desk;; ip-*) echo here;; *) echo nowhere;; esac"
    small = cluster.script(where)
    wide = cluster.script(f"{where}; cut -d ' ' -f 1 < $HOME/hostfile | sort", nodes=3)
    assert cluster.finish(small, 90)["status"] == "SUCCEEDED"
    assert cluster.output(small) == ["here"]
    assert cluster.finish(wide, 90)["status"] == "SUCCEEDED"
    assert cluster.output(f"{wide}#0") == ["desk", *[host.address for host in site.hosts[:3]]]
    source = typist.write("ring.c", RING)
    for nodes in (2, 3):
        job = cluster.submit("-n", str(nodes), "--mpi", "--ranks-per-node", "2", source)
        done = cluster.finish(job, 90)
        assert done["status"] == "SUCCEEDED", done[""]


def test_preflight_of_good_hosts_and_of_others(typist, site):
    path = typist.write("sea.yaml", typist.hosts_file(hosts=site.hosts[:3]))
    good = typist.run("cox", "preflight", "--json", path).ok().json()
    assert good["good"] and [host["hostname"] for host in good["hosts"]] == ["desk1", "desk2", "desk3"]
    assert {host["network"] for host in good["hosts"]} == {"10.77.0.0/24"}
    assert all(re.match(r"\d+\.\d+\.\d+", host["openMpi"]) for host in good["hosts"]), good
    assert {finding["check"] for finding in good["findings"]} <= {"cores"}, good  # other tests' load

    site.hosts[1].run("umount", "/mnt/data")
    site.hosts[1].run("chmod", "1777", "/mnt/data")
    site.hosts[2].run("hostname", "desk1")
    site.hosts[0].net("ip", "route", "add", "blackhole", f"{site.hosts[1].address}/32")
    try:
        said = typist.run("cox", "preflight", "--json", path).fails(1).json()
        errors = {(finding["check"], finding["host"]) for finding in said["findings"] if finding["level"] == "ERROR"}
        names = [f"{typist.name}@{host.address}" for host in site.hosts[:3]]
        assert errors == {("shared", name) for name in names} | {
            ("name", names[2]), ("network", f"{names[0]} and {names[1]}"), ("network", f"{names[1]} and {names[0]}")}
        assert all(finding["mend"] for finding in said["findings"])
        table = typist.run("cox", "preflight", path).fails(1)
        assert "mend: mount one file system there on all hosts" in table.out
        refusal = refused(typist, path.read_text())
        assert "/mnt/data is not shared" in refusal and "no TCP connection reaches" in refusal
    finally:
        site.hosts[0].net("ip", "route", "del", "blackhole", f"{site.hosts[1].address}/32")
        for host in site.hosts[1:3]:
            host.stop()
            host.start()


def test_preflight_of_what_names_no_hosts(typist):
    path = typist.write("local.yaml", harness.cluster_file())
    assert "names no hosts" in typist.run("cox", "preflight", path).fails(1).err
    assert "neither a file nor a cluster" in typist.run("cox", "preflight", "nothing").fails(1).err
    typist.run("cox", "preflight").fails(2)


EXPORT = "10.77.0.9:/export"


def test_an_export_that_cannot_be_mounted_is_told(typist, site):
    own = f"  SharedStorage:\n    - {{MountDir: /mnt/deep/data, Source: '{EXPORT}'}}\n"
    file = typist.hosts_file(hosts=site.hosts[:1], shared="/mnt/deep/data", minimum=2, maximum=2, extra=own)
    said = refused(typist, file)
    # No server is there; and a kernel without NFS says so at once.
    why = [f"{EXPORT} cannot be mounted: mount.nfs: ", f"the server of {EXPORT} did not answer within 20 s"]
    if not typist.is_root:
        why = [f"only root may mount {EXPORT} there"]
    assert any(text in said for text in why), said
    assert site.hosts[0].run("ls", "/mnt").split() == ["data"]


@pytest.mark.parametrize("typist", ["root"], indirect=True)  # only root mounts
def test_an_export_is_mounted_as_long_as_the_cluster_is_there(typist, site):
    host = site.hosts[0]
    # In the place of NFS's own: the server is this machine's memory.
    stand_in = host.own / "mount.nfs"
    stand_in.write_text('#!/bin/sh\n[ "$3 $4" = "-o rw,retry=0" ] && exec mount -t tmpfs "$1" "$2"\necho "words: $*" >&2; exit 1\n')
    stand_in.chmod(0o755)
    host.stop()
    host.start()
    try:
        own = f"  SharedStorage:\n    - {{MountDir: /mnt/deep/data, Source: '{EXPORT}'}}\n"
        cluster = typist.create("sea", typist.hosts_file(hosts=[host], shared="/mnt/deep/data", minimum=2, maximum=2, extra=own))
        assert f"{EXPORT} /mnt/deep/data tmpfs" in host.run("cat", "/proc/self/mounts")
        job = cluster.script("echo here > ${PCLUSTER_SHARED_DIRS}/file && cat ${PCLUSTER_SHARED_DIRS}/file")
        assert cluster.finish(job)["status"] == "SUCCEEDED"
        assert cluster.output(job) == ["here"]
        host.stop()
        host.start()
        wait_for_hosts(cluster, 1)
        again = cluster.script("cd ${PCLUSTER_SHARED_DIRS} && ls && touch more && pwd")
        assert cluster.finish(again, 120)["status"] == "SUCCEEDED"
        assert cluster.output(again) == ["/mnt/deep/data"], "another memory, mounted anew at the same place"
        assert f"{EXPORT} /mnt/deep/data tmpfs" in host.run("cat", "/proc/self/mounts")
        typist.run("pcluster", "delete-cluster", "-n", "sea", "--wait").ok()
        assert EXPORT not in host.run("cat", "/proc/self/mounts")
        assert host.run("ls", "/mnt").split() == ["data"]
    finally:
        stand_in.unlink()
        host.stop()
        host.start()


def test_a_host_that_is_off_while_the_cluster_is_deleted_is_told_of(typist, site):
    host = site.hosts[1]
    typist.create("sea", typist.hosts_file(hosts=site.hosts[:2], minimum=4, maximum=4))
    host.stop()
    try:
        done = typist.run("pcluster", "delete-cluster", "-n", "sea", "--wait", seconds=90).ok()
        assert host.address in done.err and site.hosts[0].address not in done.err, done.story()
        place = re.search(r"what is left there is (/var/tmp/coxswain-\w+) and /dev/shm/coxswain-\w+", done.err).group(1)
        assert not (typist.state / "sea").exists()
    finally:
        host.start()
    host.run("rm", "-r", place)


def started_node(directory, **more):
    """A node of no cluster, in this directory: its agent looks for a head that is not there."""
    options = {"node": "i-1", "candidates": [], "head_port": 1, "shared_memory": str(directory / "memory"),
               "first_process": True, "mpi_bin_dir": "/usr/bin", "node_bin_dir": str(harness.BIN), **more}
    node = directory / "nodes" / "i-1"
    said = subprocess.run([harness.BIN / "cox-agent", "--start", node], input=json.dumps(options), capture_output=True,
                          text=True, timeout=60, check=True)
    assert json.loads(said.stdout) == {"head": ""}
    return node


def test_a_node_that_has_no_head_any_more_leaves(tmp_path):
    node = started_node(tmp_path, leave_after_s=1)
    harness.wait_until(lambda: (not node.exists() and not (tmp_path / "memory").exists(), harness.find(tmp_path, "*")),
                       "the node to leave")


def test_a_node_is_ended_with_all_that_it_started_even_where_its_guard_was_killed(tmp_path):
    node = started_node(tmp_path)
    guard = int((node / "pid").read_text().split()[0])
    stray = subprocess.Popen(["sleep", "1000"], env={"COX_AGENT": f"{node}/agent.sock"}, start_new_session=True)
    other = subprocess.Popen(["sleep", "1000"], env={"COX_AGENT": "/elsewhere/agent.sock"}, start_new_session=True)
    try:
        os.kill(guard, signal.SIGKILL)
        cleared = subprocess.run([harness.BIN / "cox-agent", "--clear", node, tmp_path / "memory"], capture_output=True,
                                 text=True, timeout=60, check=False)
        assert cleared.returncode == 0, cleared
        assert stray.wait(timeout=20) == -signal.SIGKILL
        assert other.poll() is None
        assert not node.exists() and not (tmp_path / "memory").exists()
    finally:
        for process in (stray, other):
            process.kill()
            process.wait()


def refused(typist, text):
    """What creating a cluster of this file says; nothing of it is left."""
    path = typist.write("sea.yaml", text)
    done = typist.run("pcluster", "create-cluster", "-n", "sea", "-c", path, "--wait").fails(1)
    assert not (typist.state / "sea").exists()
    return done.json()["message"]


def test_an_unknown_host_key_is_not_taken(typist, site):
    known = typist.write("known", site.known_line(site.hosts[0]))
    said = refused(typist, typist.hosts_file(hosts=site.hosts[:2], minimum=4, maximum=4, known_hosts=known))
    assert f"{site.hosts[1].address}: its host key is not in {known}" in said, said
    assert site.hosts[0].address not in said
    assert known.read_text() == site.known_line(site.hosts[0])


def test_a_changed_host_key_is_not_taken(typist, site):
    other = site.known_line(site.hosts[1]).split(" ", 1)[1]
    known = typist.write("known", f"{site.hosts[0].address} {other}")
    said = refused(typist, typist.hosts_file(hosts=site.hosts[:1], minimum=2, maximum=2, known_hosts=known))
    assert "its host key is another one" in said, said


def test_a_wrong_user_and_a_host_that_is_not_there(typist, site):
    said = refused(typist, typist.hosts_file(hosts=site.hosts[:1], minimum=2, maximum=2, user="nobody-there"))
    assert "it let nobody in as nobody-there" in said, said
    site.hosts[5].stop()
    try:
        said = refused(typist, typist.hosts_file(hosts=site.hosts[4:], minimum=4, maximum=4))
        assert f"{site.hosts[5].address}: it did not answer" in said, said
    finally:
        site.hosts[5].start()
