"""Nodes come on demand and go when idle."""

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
