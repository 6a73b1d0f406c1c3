"""kill -9 of each part while a job runs."""

import os
import pathlib
import signal

import harness

COUNTER = """i=0
while [ ! -e /shared/stop-$AWS_BATCH_JOB_ID ] && [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; sleep 0.02; done
echo done at $i
"""


def start_counter(cluster):
    job = cluster.script("[ $AWS_BATCH_JOB_NODE_INDEX = 0 ] || { trap 'exit 0' TERM; sleep 600 & wait; }\n" + COUNTER, nodes=3)
    harness.wait_until(lambda: (cluster.status(f"{job}#2") == "RUNNING", cluster.details(f"{job}#2")[""]), "RUNNING", 40)
    harness.wait_until(lambda: (len(cluster.output(f"{job}#0")) > 10, "few lines"), "some output", 20)
    return job


def stop_counter(cluster, job):
    cluster.ssh(f"touch '/shared/stop-{job}#0'").ok()
    end = cluster.finish(job)
    assert end["status"] == "SUCCEEDED", end[""]
    lines = cluster.output(f"{job}#0")
    count = int(lines[-1].rsplit(" ", 1)[1])
    assert lines == [f"line {i}" for i in range(1, count + 1)] + [f"done at {count}"], "lines lost or doubled"
    assert end["startedAt"] != "-" and cluster.details(f"{job}#0")["exitCode"] == "0"


def test_kill_9_of_the_working_daemon(person):
    cluster = person.create("faults", minimum=6)
    job = start_counter(cluster)
    waiting = cluster.submit("-p", "2", "echo", "after")
    worker = max(cluster.daemons())
    os.kill(worker, signal.SIGKILL)
    harness.wait_until(lambda: (worker not in cluster.daemons(), cluster.daemons()), "the worker to be gone", 10)
    assert cluster.status(job) == "RUNNING"
    assert cluster.status(waiting) == "RUNNABLE", "an acknowledged submission is kept"
    stop_counter(cluster, job)
    assert cluster.finish(waiting)["status"] == "SUCCEEDED"
    assert cluster.output(waiting) == ["after"]


def test_kill_9_of_every_daemon(person):
    cluster = person.create("faults", minimum=6)
    job = start_counter(cluster)
    for pid in cluster.daemons():
        os.kill(pid, signal.SIGKILL)
    harness.wait_until(lambda: (not cluster.daemons(), cluster.daemons()), "the daemons to be gone", 10)
    assert len(cluster.node_pids()) == 4
    assert cluster.status(job) == "RUNNING"
    stop_counter(cluster, job)
    more = cluster.script("echo grown\n", nodes=3)
    assert cluster.finish(more)["status"] == "SUCCEEDED"


def test_what_is_asked_of_a_head_that_ends_is_asked_again(person):
    """The question has arrived at a head that does not answer any more."""
    cluster = person.create("faults", minimum=0)
    job = cluster.submit("echo", "kept")
    cluster.finish(job)
    for words, told in ((["awsbstat", "-c", "faults", "-d", job], "SUCCEEDED"), (["awsbout", "-c", "faults", job], "kept"),
                        (["awsbqueues", "-c", "faults"], "queue1"), (["awsbhosts", "-c", "faults"], "ec2InstanceId"),
                        (["awsbkill", "-c", "faults", job], ""), (["pcluster", "start", "faults"], "Enabling")):
        daemons = cluster.daemons()
        for pid in daemons:
            os.kill(pid, signal.SIGSTOP)
        asking = person.start(*words)

        def waits():
            proc = pathlib.Path(f"/proc/{asking.pid}")
            state = (proc / "stat").read_text().rsplit(")", 1)[1].split()[0]
            try:
                links = [os.readlink(each) for each in (proc / "fd").iterdir()]
            except FileNotFoundError:  # it has just closed one
                links = []
            return state == "S" and any(link.startswith("socket:") for link in links), (state, links)
        harness.wait_until(waits, f"{words[0]} to wait for an answer")
        for pid in daemons:
            os.kill(pid, signal.SIGKILL)
        out, err = asking.communicate(timeout=30 * harness.PATIENCE)
        assert asking.returncode == 0 and told in out.decode(), (words, out, err)


def attempt_fails_with_the_node_named(person, victim_of):
    cluster = person.create("faults", minimum=6)
    job = start_counter(cluster)
    addresses = {h["ec2InstanceId"]: h for h in cluster.hosts()}
    listed = cluster.ssh(f"awsbstat --json {job}").ok().out
    main = next(i for i in addresses if i in listed) if any(i in listed for i in addresses) else None
    pids = cluster.node_pids()
    lines = cluster.output(f"{job}#0")
    assert lines
    main_pid = next(pid for node, pid in pids.items() if victim_of(cluster, node, job))
    node = next(n for n, p in pids.items() if p == main_pid)
    host = addresses[node]["privateDnsName"].split(".")[0]
    os.kill(main_pid, signal.SIGKILL)
    end = cluster.finish(job, seconds=40)
    told = end[""] + cluster.details(f"{job}#0")[""]
    assert end["status"] == "FAILED" and (node in told or host in told), told
    harness.wait_until(lambda: (not [p for p in person.processes() if "sleep 600" in p[1]], person.processes()),
                       "the other nodes' processes to end", 45)
    after = cluster.script("echo replaced\n", nodes=3)
    assert cluster.finish(after)["status"] == "SUCCEEDED"
    return main


def runs_the_main_part(cluster, node, job):
    return bool(harness.find(cluster.directory / "nodes" / node, f"job-{job}#0"))


def test_kill_9_of_the_main_nodes_agent(person):
    attempt_fails_with_the_node_named(person, runs_the_main_part)


def test_loss_of_another_node_is_recorded(person):
    """AWS Batch: the end of a node that is not the main one does not end the job."""
    cluster = person.create("faults", minimum=6)
    job = start_counter(cluster)
    node = next(n for n in cluster.node_pids() if harness.find(cluster.directory / "nodes" / n, f"job-{job}#2"))
    os.kill(cluster.node_pids()[node], signal.SIGKILL)
    harness.wait_until(lambda: (cluster.status(f"{job}#2") == "FAILED", cluster.details(f"{job}#2")[""]), "node 2 to fail", 30)
    host = cluster.details(f"{job}#2")[""]
    assert node in host or "ip-10-0-" in host, host
    stop_counter(cluster, job)
