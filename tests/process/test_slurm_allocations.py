"""What a Slurm site is asked for: how many nodes together, for how long, and what becomes of it when Slurm says no."""

import re

import pytest

import harness
from slurm_fixtures import ENDLESS, idle_at_once, pilots, site, typist, wait_for_pilots  # noqa: F401  (two are fixtures)


def asked(site, cluster):
    """Slurm's jobs of the cluster: number → (time limit, hosts)."""
    lines = site.slurm("squeue", "--noheader", "--format=%A|%j|%l|%N").splitlines()
    fields = [line.strip().split("|") for line in lines]
    return {job: (limit, hosts) for job, name, limit, hosts in fields if name == f"coxswain-{cluster.name}"}


def hosts_of(site, job):
    """Names of the hosts that a job of Slurm's has."""
    names = site.slurm("squeue", "--noheader", f"--jobs={job}", "--format=%N").strip()
    return set(site.slurm("scontrol", "show", "hostnames", names).split())


WHERE = """hostname
place=$PCLUSTER_SHARED_DIRS/$AWS_BATCH_JOB_ID; place=${place%#*}
: > "$place-$AWS_BATCH_JOB_NODE_INDEX"
if [ "$AWS_BATCH_JOB_NODE_INDEX" -eq "$AWS_BATCH_JOB_MAIN_NODE_INDEX" ]; then
  for i in $(seq 0 $((AWS_BATCH_JOB_NUM_NODES - 1))); do until [ -e "$place-$i" ]; do read -t 0.2 < <(:) || :; done; done
  rm -f "$place"-*
else
  while [ -e "$place-$AWS_BATCH_JOB_NODE_INDEX" ]; do read -t 0.2 < <(:) || :; done
fi
"""


def test_a_wide_job_has_an_allocation_and_narrow_ones_have_one_each(typist, site):
    cluster = typist.create("sea", typist.site_file())
    narrow = [cluster.script(ENDLESS, "-p", "2") for _ in range(2)]
    for job in narrow:
        cluster.wait_for(job, "RUNNING")
    assert sorted(pilots(site, cluster).values()) == [("RUNNING", 1)] * 2
    typist.run("awsbkill", "-c", "sea", narrow[0]).ok()
    cluster.finish(narrow[0])

    # A node that is idle already is of another allocation: it is no part of this one.
    wide = cluster.script(WHERE, nodes=2)
    assert cluster.finish(wide)["status"] == "SUCCEEDED"
    assert sorted(pilots(site, cluster).values()) == [("RUNNING", 1), ("RUNNING", 1), ("RUNNING", 2)]
    allocation, = (job for job, (_, nodes) in pilots(site, cluster).items() if nodes == 2)
    ran_on = {cluster.output(f"{wide}#{index}")[0] for index in range(2)}
    assert ran_on == hosts_of(site, allocation)
    typist.run("awsbkill", "-c", "sea", narrow[1]).ok()


def test_a_wide_allocation_is_given_back_as_a_whole(typist, site):
    cluster = typist.create("sea", idle_at_once(typist))
    go = site.shared / "go"
    # The main node's end is the job's; a part of it goes on on the other, and keeps the allocation.
    wide = cluster.script(f'if [ "$AWS_BATCH_JOB_NODE_INDEX" = 0 ]; then until [ -e {go}.ready ]; do sleep 0.1; done; exit 0; fi\n'
                          f'trap "" TERM; : > {go}.ready\n'
                          f"until [ -e {go} ]; do read -t 0.2 < <(:) || :; done; rm {go}.ready", nodes=2)
    try:
        assert cluster.finish(wide)["status"] == "SUCCEEDED"
        assert list(pilots(site, cluster).values()) == [("RUNNING", 2)]
        assert len(cluster.hosts()) == 2
    finally:
        go.write_text("")
    try:
        wait_for_pilots(site, cluster, [])
        harness.wait_until(lambda: (not cluster.hosts(), cluster.hosts()), "no host to be left")
    finally:
        go.unlink()


def test_a_wide_allocation_ends_as_a_whole_with_slurms_reason(typist, site):
    cluster = typist.create("sea", typist.site_file())
    job = cluster.script(ENDLESS, nodes=3)
    cluster.wait_for(job, "RUNNING")
    allocation, = pilots(site, cluster)
    host = next(host for host in site.hosts if host.name in hosts_of(site, allocation))
    site.slurm("scontrol", "update", f"NodeName={host.name}", "State=DOWN", "Reason=broken")
    try:
        done = cluster.finish(job)
        assert done["status"] == "FAILED" and f"Slurm ended job {allocation}: NODE_FAIL" in done["statusReason"], done[""]
        harness.wait_until(lambda: (not cluster.hosts(), cluster.hosts()), "no host of it to be left")
    finally:
        site.slurm("scontrol", "update", f"NodeName={host.name}", "State=RESUME", check=False)  # it may be back by itself
        site.wait_for_up()


def test_an_allocation_with_a_node_that_cannot_start_is_given_up(typist, site):
    cluster = typist.create("sea", typist.site_file())
    broken = site.hosts[1]
    broken.run("mount", "-o", "remount,bind,ro", "/var/tmp")
    try:
        job = cluster.script("hostname", nodes=4)

        def look():
            seen = typist.why(cluster, job)
            return re.search(f"Slurm job \\d+ did not start whole: {broken.name}: .* cannot be made", seen), seen
        harness.wait_until(look, "the reason")
        assert cluster.status(job) == "RUNNABLE"
    finally:
        broken.run("mount", "-o", "remount,bind,rw", "/var/tmp")
    assert cluster.finish(job, 120)["status"] == "SUCCEEDED"
    assert list(pilots(site, cluster).values()) == [("RUNNING", 4)]


def test_nodes_are_asked_for_by_the_jobs_timeouts(typist, site):
    cluster = typist.create("sea", typist.site_file(more="    PilotSeconds: 1200\n"))
    short = cluster.script("hostname", "-p", "2", "-t", "60")
    assert cluster.finish(short)["status"] == "SUCCEEDED"
    assert [limit for limit, _ in asked(site, cluster).values()] == ["3:00"]

    # What is left of it is too little for these, though it is idle.
    long = cluster.script("hostname", "-p", "2", "-t", "7200")
    assert cluster.finish(long)["status"] == "SUCCEEDED"
    assert sorted(limit for limit, _ in asked(site, cluster).values()) == ["2:02:00", "3:00"]
    assert cluster.output(long) != cluster.output(short)
    endless = cluster.script("hostname", "-p", "2")
    assert cluster.finish(endless)["status"] == "SUCCEEDED"
    assert cluster.output(endless) == cluster.output(long)
    assert len(asked(site, cluster)) == 2


def test_the_partitions_limit(typist, site):
    cluster = typist.create("sea", typist.site_file(partition="short"))
    within = cluster.script("hostname", "-p", "2")
    assert cluster.finish(within)["status"] == "SUCCEEDED"
    assert [limit for limit, _ in asked(site, cluster).values()] == ["10:00"]
    beyond = cluster.script("hostname", "-t", "600")
    harness.wait_until(lambda: ("lent for 600 s at most: 720 s wanted" in typist.why(cluster, beyond), typist.why(cluster, beyond)),
                       "the reason")
    assert cluster.status(beyond) == "RUNNABLE" and len(pilots(site, cluster)) == 1


@pytest.mark.parametrize("partition", ["day", "dusk"], ids=["requeue", "cancel"])
def test_a_pilot_that_is_preempted(typist, site, partition):
    """Partitions of a lower tier give way: by requeueing, which a pilot refuses, or by cancelling."""
    cluster = typist.create("sea", typist.site_file(partition=partition))
    once = cluster.script(ENDLESS, nodes=2)
    again = cluster.script('[ "$AWS_BATCH_JOB_ATTEMPT" = 2 ] || exec sleep 1000; hostname', "-p", "2", "-r", "2")
    for job in (once, again):
        cluster.wait_for(job, "RUNNING")
    wide, = (number for number, (_, nodes) in pilots(site, cluster).items() if nodes == 2)
    hog = site.slurm("sbatch", "--parsable", "--partition=urgent", "--nodes=4", "--ntasks-per-node=1", "--cpus-per-task=2",
                     "--chdir=/", "--output=/dev/null", "--wrap=exec sleep 1000").strip()
    try:
        done = cluster.finish(once)
        assert done["status"] == "FAILED", done[""]
        assert f"Slurm ended job {wide}: PREEMPTED, another job took its nodes" in done["statusReason"], done[""]
        cluster.wait_for(again, "RUNNABLE")

        def told():
            seen = typist.why(cluster, again)
            return re.search(r"Slurm job \d+ waits: (Resources|Priority)", seen), seen
        harness.wait_until(told, "Slurm's reason")
    finally:
        site.slurm("scancel", hog)
    assert cluster.finish(again)["status"] == "SUCCEEDED"


def test_pilots_that_are_cancelled_as_they_begin(typist, site):
    """Their nodes hear of it before their agents are there; that nothing stays is asserted by the fixture."""
    cluster = typist.create("sea", typist.site_file())
    jobs = [cluster.script("sleep 1000", "-p", "2") for _ in range(4)]
    cancelled = set()

    def cancel():
        new = {number for number, (state, _) in pilots(site, cluster).items() if state == "RUNNING"} - cancelled
        for number in new:
            site.slurm("scancel", number)
        cancelled.update(new)
        return len(cancelled) >= 8, cancelled
    harness.wait_until(cancel, "eight pilots that began", 120)
    cluster.person.run("awsbkill", "-c", cluster.name, *jobs).ok()


def refusals(typist, cluster, job):
    """What is told of it at the queue, of the job, and of the cluster."""
    return [typist.run("awsbqueues", "-c", cluster.name, "-d").ok().out, typist.why(cluster, job),
            typist.run("pcluster", "describe-cluster", "-n", cluster.name).ok().out]


def nothing_half_made(site, cluster):
    """No pilot, and no files of one where the site's nodes would see them."""
    left = [str(path) for path in site.shared.glob(".coxswain-*/pilots/*")]
    left += [str(path) for path in (cluster.directory / "slurm/pilots").glob("*")]
    return not pilots(site, cluster) and not left, (pilots(site, cluster), left)


def test_a_refused_pilot_is_told_of_and_asked_for_again(typist, site):
    cluster = typist.create("sea", typist.site_file())
    site.slurm("scontrol", "update", "PartitionName=day", "State=DRAIN")
    try:
        job = cluster.script("hostname", nodes=2)

        def told():
            seen = refusals(typist, cluster, job)
            slurms = "Required partition not available (inactive or drain)"
            return all(slurms in each and "sbatch: " in each for each in seen), "\n".join(seen)
        harness.wait_until(told, "Slurm's words")
        # It is tried again, later and later.
        harness.wait_until(lambda: ("3 times" in typist.why(cluster, job), typist.why(cluster, job)), "a third try")
        harness.wait_until(lambda: nothing_half_made(site, cluster), "nothing to be left of it", 20)
        assert cluster.status(job) == "RUNNABLE"
    finally:
        site.slurm("scontrol", "update", "PartitionName=day", "State=UP")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert list(pilots(site, cluster).values()) == [("RUNNING", 2)]


def test_more_nodes_than_the_site_has(typist, site):
    cluster = typist.create("sea", typist.site_file(maximum=20))
    job = cluster.script("hostname", nodes=5)

    def told():
        seen = refusals(typist, cluster, job)
        # As many CPUs a site of four hosts has not; the words are Slurm's.
        return all("sbatch: Batch job submission failed: More processors requested than permitted" in each for each in seen), \
            "\n".join(seen)
    harness.wait_until(told, "Slurm's words")
    harness.wait_until(lambda: nothing_half_made(site, cluster), "nothing to be left of it", 20)
    typist.run("awsbkill", "-c", "sea", job).ok()
    # It holds nobody else back once it is gone.
    other = cluster.script("hostname", nodes=4)
    assert cluster.finish(other, 120)["status"] == "SUCCEEDED"


def test_what_the_pilots_run_is_the_users_own(typist, site):
    """No process of theirs is another's, and nothing is set up on the hosts but the pilot's own."""
    cluster = typist.create("sea", typist.site_file())
    job = cluster.script(ENDLESS)
    cluster.wait_for(job, "RUNNING")
    host = next(each for each in site.hosts if any("sleep 1000" in line for line in each.processes()))
    lines = [line.split(None, 1) for line in host.run("ps", "-eo", "user:32,args", "--no-headers").splitlines()]
    ours = {user for user, line in lines if re.search(r"cox-agent|cox-rank|sleep 1000", line)}
    assert ours == {typist.name}
    owners = {line for line in host.run("find", "/var/tmp", "/dev/shm", "/tmp", "-name", "coxswain-*", "-printf", "%u %m\n").splitlines()}
    assert owners == {f"{typist.name} 700"}
    script = site.slurm("scontrol", "write", "batch_script", next(iter(pilots(site, cluster))), "-")
    assert "PRIVATE KEY" not in script
    typist.run("awsbkill", "-c", "sea", job).ok()
