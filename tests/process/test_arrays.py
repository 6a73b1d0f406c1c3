"""Arrays of many children: one row until a child's own life begins, also for a head that begins anew."""

import os
import signal
import sqlite3

import harness

MANY = 10_000


def rows(cluster, job):
    """How many events are stored of the array itself, and of all its children."""
    path = cluster.directory / "head/store.db"
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as store:
        own = store.execute("SELECT count(*) FROM events WHERE job = ?", (job,)).fetchone()[0]
        children = store.execute("SELECT count(*) FROM events WHERE job LIKE ?", (f"{job}:%",)).fetchone()[0]
    return own, children


def restart(cluster):
    """The head's own process dies; the keeper starts another over the same store."""
    worker = max(cluster.daemons())
    os.kill(worker, signal.SIGKILL)
    harness.wait_until(lambda: (worker not in cluster.daemons() and len(cluster.daemons()) == 2, cluster.daemons()),
                       "another head", 30)


def kill(cluster, job):
    cluster.person.run("awsbkill", "-c", cluster.name, "-r", "not this one", job).ok()


def test_an_array_is_one_row_until_its_children_run(person):
    cluster = person.create("many", minimum=2, maximum=2)
    gate = cluster.script("until test -e $PCLUSTER_SHARED_DIRS/go; do sleep 0.1; done\n", "-p", "2")
    cluster.wait_for(gate, "RUNNING")
    job = cluster.submit("-a", str(MANY), "true")
    assert rows(cluster, job) == (1, 0)
    kill(cluster, f"{job}:7")
    assert cluster.finish(f"{job}:7")["statusReason"] == "not this one"
    assert rows(cluster, job) == (1, 1)  # the kill, and nothing of what goes with it

    restart(cluster)
    assert cluster.status(f"{job}:0") == cluster.status(f"{job}:{MANY - 1}") == "RUNNABLE"
    assert cluster.finish(f"{job}:7")["statusReason"] == "not this one"
    assert rows(cluster, job) == (1, 1)

    kill(cluster, job)
    end = cluster.finish(job)
    assert (end["status"], end["statusReason"]) == ("FAILED", "not this one"), end[""]
    assert cluster.status(gate) == "RUNNING"
    kill(cluster, gate)


def test_children_that_run_and_that_wait_outlive_the_head(person):
    cluster = person.create("some", minimum=2, maximum=2)
    wait = "until test -e $PCLUSTER_SHARED_DIRS/go; do sleep 0.1; done; echo child $AWS_BATCH_JOB_ARRAY_INDEX\n"
    job = cluster.script(wait, "-a", "6")
    after = cluster.submit("-a", "6", "-d", f"jobId={job},type=N_TO_N", "true")
    last = cluster.submit("-d", f"jobId={after}", "true")
    cluster.wait_for(f"{job}:0", "RUNNING")
    cluster.wait_for(f"{job}:1", "RUNNING")
    assert (cluster.status(f"{job}:5"), cluster.status(f"{after}:0")) == ("RUNNABLE", "PENDING")

    restart(cluster)
    assert (cluster.status(f"{job}:5"), cluster.status(f"{after}:5")) == ("RUNNABLE", "PENDING")
    (cluster.directory / "shared/data/go").touch()
    for each in (job, after, last):
        end = cluster.finish(each)
        assert end["status"] == "SUCCEEDED", end[""]
    assert cluster.output(f"{job}:5") == ["child 5"]

    restart(cluster)
    assert [cluster.status(each) for each in (job, f"{job}:0", f"{after}:5", last)] == ["SUCCEEDED"] * 4
