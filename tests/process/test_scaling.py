"""Nodes come on demand and go when idle."""

import os
import re
import shutil

import harness


def test_grows_from_nothing_and_shrinks(person):
    cluster = person.create("grow", minimum=0, maximum=8,
                            extra="Coxswain:\n  ScaledownIdletime: 0\n")
    assert cluster.hosts() == []
    job = cluster.script("echo here\n", nodes=4)
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    harness.wait_until(lambda: (cluster.hosts() == [], cluster.hosts()), "idle nodes to be given back", 30)
    harness.wait_until(lambda: (len(cluster.node_pids()) == 1, cluster.node_pids()), "only the head node", 10)


def test_more_than_max_waits_with_a_reason(person):
    cluster = person.create("full", minimum=0, maximum=4)
    job = cluster.script("true\n", nodes=3)
    seen = harness.wait_until(lambda: ("RUNNABLE" in cluster.details(job)[""] and cluster.details(job)["statusReason"] != "-",
                                       cluster.details(job)[""]), "a reason", 20)
    assert "4" in seen or "max" in seen.lower(), seen
    cluster.person.run("awsbkill", "-c", cluster.name, job).ok()


def test_optimal_picks_the_smallest_that_fits(person):
    cluster = person.create("opt", minimum=0, maximum=32, types=("optimal",))
    small = cluster.submit("-p", "2", "true")
    assert cluster.finish(small)["status"] == "SUCCEEDED"
    assert [h["instanceType"] for h in cluster.hosts()] == ["c4.large"]
    big = cluster.submit("-p", "7", "-m", "4000", "nproc")
    assert cluster.finish(big)["status"] == "SUCCEEDED"
    assert "c4.2xlarge" in [h["instanceType"] for h in cluster.hosts()]


def scaling(cluster):
    """What scaling does, as every way to ask has it."""
    (queue,) = cluster.person.run("awsbqueues", "-c", cluster.name, "--json").ok().json()
    (told,) = queue["coxswain"]["scaling"]
    return told


def test_it_says_what_it_does_and_why(person):
    cluster = person.create("told", minimum=0, maximum=4, extra="Coxswain:\n  ScaledownIdletime: 1\n")
    assert (scaling(cluster)["state"], scaling(cluster)["text"]) == ("steady", "steady at 0 vCPUs, MinvCpus")
    first = cluster.script("sleep 1000\n", nodes=2)
    cluster.wait_for(first, "RUNNING")
    second = cluster.submit("-p", "2", "true")
    seen = harness.wait_until(lambda: ((now := scaling(cluster))["state"] == "held", now), "the second job to be seen", 20)
    assert seen["text"] == "at MaxvCpus (4): 1 job waits for 2 vCPUs" and seen["waitingJobs"] == 1, seen
    details = person.run("awsbqueues", "-c", "told", "-d").ok().out
    assert f"scaling                  : told-small: {seen['text']}\n" in details, details
    described = person.run("pcluster", "describe-cluster", "-n", "told").ok().json()
    assert described["coxswain"]["scaling"] == [seen], described
    person.run("awsbkill", "-c", "told", first).ok()
    assert cluster.finish(second)["status"] == "SUCCEEDED"
    seen = harness.wait_until(lambda: ((now := scaling(cluster))["state"] == "idle", now), "idle nodes", 20)
    assert re.fullmatch(r"idle for \d+ s of 60 s before giving back node i-[0-9a-f]{17} \(2 are idle\)", seen["text"]), seen


def test_it_says_which_node_could_not_be_started_and_when_it_tries_again(person):
    """Nodes come up by a program of the product; in this tree that one fails."""
    tree = person.directory / "tree"
    shutil.copytree(harness.BIN, tree, symlinks=True)
    os.rename(tree / "cox-agent", tree / "agent")
    (tree / "cox-agent").symlink_to("agent")
    person.environment_more["PATH"] = f"{tree}:/usr/bin:/bin:/usr/sbin:/sbin"
    cluster = person.create("halt", minimum=0, maximum=4)
    (tree / "cox-agent").unlink()
    (tree / "cox-agent").write_text("#!/bin/sh\nexit 3\n")
    (tree / "cox-agent").chmod(0o755)
    job = cluster.submit("true")
    seen = harness.wait_until(lambda: ((now := scaling(cluster))["state"] == "failing", now), "a failure to be told", 30)
    assert re.match(r"failed to start a node: .+; next try in \d+ s", seen["text"]), seen
    (tree / "cox-agent").unlink()
    (tree / "cox-agent").symlink_to("agent")
    assert cluster.finish(job, seconds=90)["status"] == "SUCCEEDED"
