"""Whoever makes a cluster may die at any step: what is left is deleted whole. Clusters come back after the machine did not."""

import os
import re
import shutil
import signal

import harness
import pytest

STEPS = ["create/claimed", "create/directories", "create/configured", "create/recorded", "create/served",
         "keeper/detached", "keeper/locked", "keeper/namespaces", "keeper/listening", "keeper/worker",
         "worker/described", "worker/furnished", "worker/head", "worker/serving", "worker/ready",
         "node/network", "node/namespaces", "node/marked", "node/root", "worker/node-up"]


def arm(person, what):
    point = person.directory / "fail"
    point.write_text(what + "\n")
    os.chown(point, person.uid, person.gid)
    os.chown(point.parent, person.uid, person.gid)
    person.environment_more = {"COX_FAIL_FILE": str(point)}
    return point


def leaves_nothing(person, name):
    person.run("pcluster", "delete-cluster", "-n", name, "--wait", env={"COX_FAIL_FILE": ""})
    assert not (person.state / name).exists(), list((person.state / name).rglob("*"))
    harness.wait_until(lambda: (not person.processes(), person.processes()), "all processes to end", 15)
    listed = person.run("pcluster", "list-clusters").ok().json()
    assert listed == {"clusters": []}
    names = os.listdir("/run/netns") if os.path.isdir("/run/netns") else []
    assert not [n for n in names if name in n], names


@pytest.mark.parametrize("step", STEPS)
def test_delete_removes_what_a_crash_at_any_step_of_create_left(person, step):
    point = arm(person, f"kill:{step}")
    name = "half"
    person.clusters.append(name)
    path = person.write("half.yaml", harness.cluster_file())
    done = person.run("pcluster", "create-cluster", "-n", name, "-c", path, "--wait", seconds=90)
    harness.wait_until(lambda: (not point.exists(), done.story()), f"the crash at {step}", 10)
    leaves_nothing(person, name)
    # The name is free again, and nothing stands in the way.
    person.create(name)
    leaves_nothing(person, name)


@pytest.mark.parametrize("step", ["create/recorded", "keeper/namespaces", "worker/furnished", "worker/head",
                                  "node/network", "worker/node-up"])
def test_a_failure_at_a_step_of_create_rolls_back_whole(person, step):
    point = arm(person, f"fail:{step}")
    path = person.write("fails.yaml", harness.cluster_file())
    done = person.run("pcluster", "create-cluster", "-n", "fails", "-c", path, "--wait", seconds=90).fails(1)
    assert not point.exists(), done.story()
    assert f"fail at {step}" in done.out, done.story()
    assert not (person.state / "fails").exists()
    harness.wait_until(lambda: (not person.processes(), person.processes()), "all processes to end", 15)


def test_without_rollback_a_failed_cluster_stays_and_tells_why(person):
    arm(person, "fail:worker/node-up")
    path = person.write("kept.yaml", harness.cluster_file())
    person.clusters.append("kept")
    person.run("pcluster", "create-cluster", "-n", "kept", "-c", path, "--wait", "--rollback-on-failure", "false",
               seconds=90).fails(1)
    harness.wait_until(lambda: (not person.processes(), person.processes()), "the failed cluster's daemon to end", 40)
    seen = person.run("pcluster", "describe-cluster", "-n", "kept").ok().json()
    assert seen["clusterStatus"] == "CREATE_FAILED", seen
    assert "fail at worker/node-up" in seen["failures"][0]["failureReason"], seen
    # The events outlive the head that told them.
    events = person.run("pcluster", "get-cluster-stack-events", "-n", "kept").ok().json()["events"]
    assert [e["resourceStatus"] for e in events if e["logicalResourceId"] == "kept"] == \
        ["CREATE_FAILED", "CREATE_IN_PROGRESS"]
    assert any(e["resourceStatus"] == "CREATE_FAILED" and "Node" in e["logicalResourceId"] for e in events), events
    leaves_nothing(person, "kept")


def stack_events(cluster):
    return cluster.person.run("pcluster", "get-cluster-stack-events", "-n", cluster.name).ok().json()["events"]


def test_events_outlive_the_head(person):
    cluster = person.create("story", minimum=2)
    before = stack_events(cluster)
    assert len(before) >= 6, before
    for pid in cluster.daemons():
        os.kill(pid, signal.SIGKILL)
    harness.wait_until(lambda: (not cluster.daemons(), cluster.daemons()), "the daemons to end", 10)
    after = stack_events(cluster)
    assert after[-len(before):] == before, after


def stop(cluster):
    cluster.person.run("pcluster", "stop", cluster.name).ok()


def test_stop_drains_and_keeps_queue_and_history(person):
    cluster = person.create("pause", minimum=0, maximum=2, extra="Coxswain:\n  ScaledownIdletime: 0\n")
    first = cluster.script("until test -e $PCLUSTER_SHARED_DIRS/go; do sleep 0.1; done; echo first\n",
                           "-p", "2")
    cluster.wait_for(first, "RUNNING")
    second = cluster.script("echo second\n", "-p", "2")
    stop(cluster)
    (cluster.directory / "shared/data/go").touch()
    assert cluster.finish(first)["status"] == "SUCCEEDED"  # what runs is not ended
    harness.wait_until(lambda: (cluster.hosts() == [], cluster.hosts()), "the nodes to go", 30)
    assert cluster.status(second) == "RUNNABLE"
    fleet = person.run("pcluster", "describe-compute-fleet", "-n", "pause").ok().json()
    assert fleet["status"] == "DISABLED"
    events = stack_events(cluster)
    assert "DELETE_COMPLETE" in [e["resourceStatus"] for e in events]
    person.run("pcluster", "start", "pause").ok()
    assert cluster.finish(second)["status"] == "SUCCEEDED"
    assert cluster.output(first) == ["first"] and cluster.output(second) == ["second"]


def power_off(cluster):
    """As a machine that stops: everything of the cluster dies at once, and what lives in memory only goes with it."""
    harness.wait_until(lambda: (kill_all(cluster.person) == 0, cluster.person.processes()), "all processes to end", 20)
    for path in (cluster.directory / "api/api.sock", cluster.directory / "hosts"):
        if path.exists():
            path.unlink()
    for node in (cluster.directory / "nodes").glob("*"):
        shutil.rmtree(node / "scratch", ignore_errors=True)


def kill_all(person):
    found = [pid for pid, line in person.processes() if not re.match(r"\S*pytest", line)]
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return len(found)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_reboot_brings_a_cluster_back_with_its_queue(person, stopped):
    cluster = person.create("boot", minimum=2, maximum=2)
    done = cluster.script("echo before\n")
    assert cluster.finish(done)["status"] == "SUCCEEDED"
    if stopped:
        stop(cluster)
        waiting = cluster.script("echo waited\n", "-p", "2")
        running = None
    else:
        running = cluster.script("test $AWS_BATCH_JOB_ATTEMPT = 2 || sleep 1000; echo again\n", "-p", "2",
                                 "--retry-attempts", "2")
        cluster.wait_for(running, "RUNNING")
        waiting = cluster.script("echo waited\n", "-p", "2")
    before = stack_events(cluster)
    power_off(cluster)
    person.run("pcluster", "start", "boot").ok()
    assert cluster.finish(waiting)["status"] == "SUCCEEDED"
    assert cluster.output(waiting) == ["waited"]
    if running:
        assert cluster.finish(running)["status"] == "SUCCEEDED"  # its second attempt
        assert cluster.output(running)[-1] == "again"
    assert cluster.output(done) == ["before"] and cluster.status(done) == "SUCCEEDED"
    assert before[0] in stack_events(cluster)
    assert cluster.person.run("pcluster", "describe-cluster", "-n", "boot").ok().json()["headNode"]["state"] == "running"
