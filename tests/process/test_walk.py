"""The tutorials' walk, as typed, with v2 and with v3 files."""

import os
import pathlib
import re
import signal
import subprocess

import harness

TUTORIAL = pathlib.Path(__file__).parent / "tutorial"
TABLE_HEAD = re.compile(r"^jobId +jobName +status +startedAt +stoppedAt +exitCode$", re.M)


def test_the_v2_walk(person):
    config = person.write("my_config_file.config", (TUTORIAL / "my_config_file.config").read_text())
    person.clusters.append("tutor2")

    created = person.run("pcluster", "create", "-c", f"./{config.name}", "-t", "awsbatch", "tutor2").ok()
    assert created.out.startswith("Beginning cluster creation for cluster: tutor2\n"), created.story()
    assert "Creating stack named: parallelcluster-tutor2\n" in created.out
    assert re.search(r"^MasterPrivateIP: 10\.0\.", created.out, re.M), created.story()

    listed = person.run("pcluster", "list").ok()
    assert re.search(r"^tutor2 +CREATE_COMPLETE +\S+", listed.out, re.M), listed.story()
    status = person.run("pcluster", "status", "tutor2").ok()
    assert "Status: CREATE_COMPLETE" in status.out and "MasterServer: RUNNING" in status.out

    cluster = harness.Cluster(person, "tutor2")
    first = cluster.ssh("cat > submit_mpi.sh", stdin=(TUTORIAL / "submit_mpi.sh").read_text()).ok()
    assert "not needed" in first.err
    second = cluster.ssh("cat > /shared/mpi_hello_world.c", stdin=(TUTORIAL / "mpi_hello_world.c").read_text()).ok()
    assert second.err == "", "the word on the key is said once"
    assert cluster.ssh("exit 7").fails(7)

    submitted = cluster.ssh("LINGER=1 awsbsub -e LINGER -n 3 -cf submit_mpi.sh").ok()
    job = harness.JOB_LINE.search(submitted.out).group(1)
    assert submitted.out == f"Job {job} (submit_mpi_sh) has been submitted.\n" or "(STDIN)" in submitted.out
    end = cluster.finish(job, seconds=120)
    assert end["status"] == "SUCCEEDED", end[""] + "\n".join(cluster.output(f"{job}#0"))

    table = cluster.ssh(f"awsbstat {job}").ok().out
    assert TABLE_HEAD.match(table), table
    for shown in (f"{job} *3", f"{job}#0", f"{job}#1", f"{job}#2"):
        assert shown in table
    details = cluster.ssh(f"awsbstat -d {job}#0").ok().out
    assert re.search(r"^jobId {20}: " + job + "#0$", details, re.M), details
    assert "exitCode                 : 0" in details

    lines = cluster.output(f"{job}#0")
    text = "\n".join(lines)
    for rank in range(6):
        assert re.search(rf"Hello world from processor ip-10-0-\d+-\d+, rank {rank} out of 6 processors", text), text
    for rank in range(1, 6):
        assert f"rank {rank} received {10 + rank} from rank {rank - 1}" in lines
    addresses = set(re.findall(r"(?:container|host) address.*: (\S+)", text))
    assert len(addresses) == 1 and addresses.pop().startswith("10.0."), text

    hosts = cluster.ssh("awsbhosts").ok().out.splitlines()
    assert hosts[0].split() == ["ec2InstanceId", "instanceType", "privateIpAddress", "publicIpAddress", "runningJobs"]
    assert len(hosts) == 2 + 3 and "c4.large" in hosts[2]
    queues = cluster.ssh("awsbqueues").ok().out.splitlines()
    assert queues[0].split() == ["jobQueueName", "status"] and "VALID" in queues[2]
    again = cluster.ssh(f"awsbkill {job}").ok().out
    assert again == f"Job ({job}) is already in (SUCCEEDED) status.\n"

    deleted = person.run("pcluster", "delete", "tutor2").ok()
    assert deleted.out.startswith("Deleting: tutor2\n") and "Cluster deleted successfully." in deleted.out
    assert "tutor2" not in person.run("pcluster", "list").ok().out
    assert person.processes() == [] and not cluster.directory.exists()
    gone = person.run("pcluster", "delete", "tutor2").ok()
    assert "tutor2" in gone.out + gone.err


def test_a_login_shell_on_the_head_node(person):
    """`pcluster ssh` without a command is a login shell with a terminal."""
    cluster = person.create("shell")
    controller, terminal = os.openpty()
    process = person.start("pcluster", "ssh", "shell", "-i", "C:/Users/your-home/.ssh/key-batch.pem",
                           stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
    os.close(terminal)
    os.write(controller, b"echo at $(hostname) in $PWD as $(id -u); command -v awsbsub mpirun; exit 5\n")
    seen = b""
    while True:
        try:
            piece = os.read(controller, 4096)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    assert process.wait(timeout=30) == 5, seen
    text = seen.decode()
    assert re.search(rf"^at ip-10-0-0-10 in /home/ec2-user as {person.uid}\r$", text, re.M), text
    assert re.search(r"^/run/coxswain/bin/awsbsub\r$", text, re.M), text
    assert cluster.directory.exists()


def test_the_v3_verbs(person):
    path = person.write("v3.yaml", harness.cluster_file(minimum=2, maximum=6))
    person.clusters.append("three")

    created = person.run("pcluster", "create-cluster", "-n", "three", "-c", path).ok().json()
    assert created["cluster"]["clusterName"] == "three"
    assert created["cluster"]["clusterStatus"] == "CREATE_IN_PROGRESS"
    assert created["cluster"]["scheduler"] == {"type": "awsbatch"}

    def look():
        seen = person.run("pcluster", "describe-cluster", "-n", "three").ok()
        return seen.json()["clusterStatus"] == "CREATE_COMPLETE", seen.out
    harness.wait_until(look, "three to be made", 30)
    described = person.run("pcluster", "describe-cluster", "-n", "three").ok().json()
    assert described["headNode"]["privateIpAddress"] == "10.0.0.10"
    assert described["headNode"]["state"] == "running"
    assert described["computeFleetStatus"] == "ENABLED"
    listed = person.run("pcluster", "list-clusters").ok().json()
    assert [c["clusterName"] for c in listed["clusters"]] == ["three"]
    twice = person.run("pcluster", "create-cluster", "-n", "three", "-c", path).fails(1).json()
    assert "already exists" in twice["message"]

    cluster = harness.Cluster(person, "three")
    job = cluster.script("#!/bin/bash\necho from $(hostname)\n")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert re.match(r"from ip-10-0-0-\d+$", cluster.output(job)[0])

    deleted = person.run("pcluster", "delete-cluster", "-n", "three", "--wait").ok()
    assert "three" in deleted.out
    missing = person.run("pcluster", "describe-cluster", "-n", "three").fails(1).json()
    assert missing["message"] == ("Cluster 'three' does not exist or belongs to an incompatible "
                                  "ParallelCluster major version.")


def test_two_clusters_side_by_side(person):
    one, two = person.create("one"), person.create("two")
    jobs = [(c, c.script("echo $PCLUSTER_STACK_NAME $(hostname -I)\n")) for c in (one, two)]
    for cluster, job in jobs:
        assert cluster.finish(job)["status"] == "SUCCEEDED"
        assert cluster.output(job)[0].startswith(f"{cluster.name} 10.0.0.11")
    person.run("pcluster", "delete-cluster", "-n", "one", "--wait").ok()
    job = two.script("echo still here\n")
    assert two.finish(job)["status"] == "SUCCEEDED"
    assert two.output(job) == ["still here"]


def test_ctrl_c_leaves_nothing_half_made(person):
    """Interrupting a v3 --wait leaves a cluster that delete removes whole."""
    path = person.write("c.yaml", harness.cluster_file())
    person.clusters.append("cut")
    process = person.start("pcluster", "create-cluster", "-n", "cut", "-c", path, "--wait")
    harness.wait_until(lambda: ((person.state / "cut").exists(), "no directory yet"), "the create to begin", 10)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    if (person.state / "cut").exists():
        person.run("pcluster", "delete-cluster", "-n", "cut", "--wait").ok()
    harness.wait_until(lambda: (not person.processes(), person.processes()), "all processes to end", 10)


def test_an_installed_tree_runs_from_anywhere(person, tmp_path_factory):
    build = harness.BIN.parent
    prefix = person.directory / "moved tree"
    staging = person.directory / "prefix"
    subprocess.run(["cmake", "--install", build, "--prefix", staging], check=True, capture_output=True)
    staging.rename(prefix)
    subprocess.run(["chown", "-R", f"{person.uid}:{person.gid}", prefix], check=True)
    env = {"PATH": f"{prefix}/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
    path = person.write("i.yaml", harness.cluster_file(minimum=0))
    person.clusters.append("inst")
    person.run("pcluster", "create-cluster", "-n", "inst", "-c", path, "--wait", env=env).ok()
    done = person.run("awsbsub", "-c", "inst", "--wait", "--", "echo", "hello", env=env).ok()
    job = harness.JOB_LINE.search(done.out).group(1)
    assert "hello" in person.run("awsbout", "-c", "inst", job, env=env).ok().out
    assert (prefix / "share/man/man1/awsbsub.1").exists()
