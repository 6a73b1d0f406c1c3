"""A cluster whose nodes come from a Slurm site: from its making to its end, and what Slurm and others may do between."""

import os
import re
import signal

import harness
from slurm_fixtures import ENDLESS, idle_at_once, pilots, site, typist, wait_for_pilots  # noqa: F401  (two are fixtures)
from slurm_site import PARTITIONS
from ssh_site import RING, SUM, TUTORIAL


def test_the_tutorials_job_in_one_allocation_and_its_end(typist, site):
    cluster = typist.create("sea", typist.site_file())
    assert not pilots(site, cluster) and not cluster.hosts()
    (site.shared / "ring.c").write_text(RING)

    job = cluster.script(TUTORIAL, nodes=3)
    done = cluster.finish(job, 120)
    assert done["status"] == "SUCCEEDED", done[""]
    assert SUM in cluster.output(f"{job}#0")
    rank = cluster.output(job, "--rank", "3")
    assert "rank 3 received 13" in rank and len(rank) == 2
    assert list(pilots(site, cluster).values()) == [("RUNNING", 3)]
    assert sorted(host["privateIpAddress"] for host in cluster.hosts()) == [host.address for host in site.hosts[:3]]

    whoami = cluster.script("id -un; hostname; echo $HOME; env | grep ^SLURM || true", "-p", "2")
    assert cluster.finish(whoami)["status"] == "SUCCEEDED"
    user, name, home = cluster.output(whoami)
    assert user == typist.name and name.startswith("desk") and home.startswith("/var/tmp/coxswain-")

    typist.run("pcluster", "delete-cluster", "-n", "sea", "--wait", seconds=90).ok()
    assert not site.jobs()


def test_nodes_come_with_jobs_and_go_without(typist, site):
    cluster = typist.create("sea", idle_at_once(typist))
    assert not pilots(site, cluster)
    job = cluster.script("hostname", nodes=2)
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    wait_for_pilots(site, cluster, [])
    harness.wait_until(lambda: (not cluster.hosts(), cluster.hosts()), "no host to be left")


def test_what_slurm_waits_for_is_told(typist, site):
    cluster = typist.create("sea", typist.site_file())
    hog = site.slurm("sbatch", "--parsable", "--nodes=4", "--ntasks-per-node=1", "--cpus-per-task=2", "--chdir=/",
                     "--output=/dev/null", "--wrap=exec sleep 1000").strip()
    try:
        harness.wait_until(lambda: (site.jobs()[hog][0] == "RUNNING", site.jobs()), "the other job to run")
        job = cluster.script("hostname")

        def told():
            queue = typist.run("awsbqueues", "-c", "sea", "-d").ok().out
            seen = queue + typist.why(cluster, job)
            return len(re.findall(r"Slurm job \d+ waits: (?:Resources|Priority)", seen)) >= 2, seen
        harness.wait_until(told, "Slurm's reason")
        assert cluster.status(job) == "RUNNABLE"
    finally:
        site.slurm("scancel", hog)
    assert cluster.finish(job)["status"] == "SUCCEEDED"


def test_scancel_from_outside_is_noticed_and_the_job_tried_again(typist, site):
    cluster = typist.create("sea", typist.site_file())
    once = cluster.script(ENDLESS)
    cluster.wait_for(once, "RUNNING")
    first, = pilots(site, cluster)
    site.slurm("scancel", first)
    done = cluster.finish(once)
    assert done["status"] == "FAILED" and f"Slurm ended job {first}: CANCELLED" in done["statusReason"], done[""]

    again = cluster.script('[ "$AWS_BATCH_JOB_ATTEMPT" = 2 ] || exec sleep 1000; hostname', "-r", "2")
    cluster.wait_for(again, "RUNNING")
    second, = pilots(site, cluster)
    assert second != first
    site.slurm("scancel", second)
    assert cluster.finish(again)["status"] == "SUCCEEDED"


def test_a_pilot_that_waits_and_is_cancelled_is_asked_for_again(typist, site):
    cluster = typist.create("sea", typist.site_file())
    site.slurm("scontrol", "update", "PartitionName=day", "State=DOWN")
    try:
        job = cluster.script("hostname")
        first, = wait_for_pilots(site, cluster, [("PENDING", 1)])
        site.slurm("scancel", first)
        harness.wait_until(lambda: (f"Slurm ended job {first}: CANCELLED" in typist.why(cluster, job),
                                    typist.why(cluster, job)), "the reason")
    finally:
        site.slurm("scontrol", "update", "PartitionName=day", "State=UP")
    assert cluster.finish(job)["status"] == "SUCCEEDED"


def test_the_time_limit_of_a_pilot(typist, site):
    cluster = typist.create("sea", typist.site_file(more="    PilotSeconds: 60\n"))
    job = cluster.script(ENDLESS)
    cluster.wait_for(job, "RUNNING")
    done = cluster.finish(job, 150)
    assert done["status"] == "FAILED", done[""]
    assert "TIMEOUT, its time limit was reached" in done["statusReason"], done[""]


def test_the_controller_may_go_and_come_back(typist, site):
    cluster = typist.create("sea", idle_at_once(typist))
    job = cluster.script(f"until [ -e {site.shared}/go ]; do read -t 0.2 < <(:) || :; done; echo done", "-p", "2")
    cluster.wait_for(job, "RUNNING")
    site.stop_controller()
    try:
        waiting = cluster.script("echo later", "-p", "2")
        harness.wait_until(lambda: ("sbatch: " in typist.why(cluster, waiting), typist.why(cluster, waiting)), "why it waits", 90)
        assert cluster.status(job) == "RUNNING"
        (site.shared / "go").write_text("")
        assert cluster.finish(job)["status"] == "SUCCEEDED"
        assert cluster.output(job) == ["done"]
    finally:
        (site.shared / "go").unlink(missing_ok=True)
        site.start_controller()
    site.wait_for_up()
    assert cluster.finish(waiting, 120)["status"] == "SUCCEEDED"
    wait_for_pilots(site, cluster, [])


def host_of(site, job_line):
    """The host on which such a process runs."""
    host, = (each for each in site.hosts if any(job_line in line for line in each.processes()))
    return host


def test_a_node_that_slurm_takes_down(typist, site):
    cluster = typist.create("sea", typist.site_file())
    job = cluster.script(ENDLESS)
    cluster.wait_for(job, "RUNNING")
    pilot, = pilots(site, cluster)
    host = host_of(site, "sleep 1000")
    site.slurm("scontrol", "update", f"NodeName={host.name}", "State=DOWN", "Reason=broken")
    try:
        done = cluster.finish(job)
        assert done["status"] == "FAILED" and f"Slurm ended job {pilot}: NODE_FAIL" in done["statusReason"], done[""]
    finally:
        site.slurm("scontrol", "update", f"NodeName={host.name}", "State=RESUME", check=False)  # it may be back by itself
        site.wait_for_up()


def test_a_node_whose_slurmd_was_killed(typist, site):
    """Its agent is well and connected; Slurm gives the node up all the same."""
    cluster = typist.create("sea", typist.site_file())
    job = cluster.script('[ "$AWS_BATCH_JOB_ATTEMPT" = 2 ] || exec sleep 1000; hostname', "-r", "2")
    cluster.wait_for(job, "RUNNING")
    host = host_of(site, "sleep 1000")
    host.hold_slurmd()
    try:
        done = cluster.finish(job, 90)
        assert done["status"] == "SUCCEEDED" and cluster.output(job) != [host.name], done[""]
    finally:
        host.let_slurmd()
        site.wait_for_up()


def kill_head(cluster):
    """The worker, which the keeper starts again."""
    for pid, line in cluster.person.processes():
        if re.match(r"\S*coxd --head ", line) and str(cluster.directory) in line:
            os.kill(pid, signal.SIGKILL)


def test_pilots_are_found_again_when_the_head_was_killed(typist, site):
    cluster = typist.create("sea", typist.site_file())
    running = cluster.script(ENDLESS)
    cluster.wait_for(running, "RUNNING")
    site.slurm("scontrol", "update", "PartitionName=day", "State=DOWN")
    try:
        wide = cluster.script("hostname", nodes=2)
        seen = wait_for_pilots(site, cluster, [("PENDING", 2), ("RUNNING", 1)])
        kill_head(cluster)
        harness.wait_until(lambda: ("waits: PartitionDown" in typist.why(cluster, wide), typist.why(cluster, wide)),
                           "Slurm's reason again")
        assert pilots(site, cluster) == seen and cluster.status(running) == "RUNNING"
    finally:
        site.slurm("scontrol", "update", "PartitionName=day", "State=UP")
    assert cluster.finish(wide)["status"] == "SUCCEEDED"
    assert set(pilots(site, cluster)) == set(seen)
    typist.run("awsbkill", "-c", "sea", running).ok()


def test_a_cluster_whose_daemons_were_killed_is_deleted_whole(typist, site):
    cluster = typist.create("sea", typist.site_file())
    job = cluster.script(ENDLESS, nodes=2)
    cluster.wait_for(job, "RUNNING")
    for pid in cluster.daemons():
        os.kill(pid, signal.SIGKILL)
    typist.run("pcluster", "delete-cluster", "-n", "sea", "--wait", seconds=90).ok()
    assert not site.jobs()


def refused(typist, text):
    """What creating a cluster of this file says; nothing of it is left."""
    path = typist.write("sea.yaml", text)
    done = typist.run("pcluster", "create-cluster", "-n", "sea", "-c", path, "--wait").fails(1)
    assert not (typist.state / "sea").exists()
    return done.json()["message"]


def test_what_slurm_would_refuse_is_refused_at_creation(typist):
    said = refused(typist, typist.site_file(partition="nihgt"))
    assert "invalid partition specified: nihgt" in said and f"there are: {PARTITIONS}" in said, said
    said = refused(typist, typist.site_file(more="    ExtraArgs: [--constraint=fast]\n"))
    assert "sbatch: " in said and "feature" in said.lower(), said


def test_a_file_with_the_scheduler_slurm(typist, site):
    text = f"""Region: us-west-2
Image: {{Os: alinux2}}
HeadNode:
  InstanceType: t3.micro
  Networking: {{SubnetId: subnet-0123456789abcdef0}}
Scheduling:
  Scheduler: slurm
  SlurmQueues:
    - Name: q1
      Networking: {{SubnetIds: [subnet-0123456789abcdef1]}}
      ComputeResources:
        - {{Name: c1, InstanceType: c5.large, MinCount: 0, MaxCount: 2}}
SharedStorage:
  - {{Name: data, StorageType: Ebs, MountDir: {site.shared}}}
Coxswain:
  Slurm: {{Partition: day}}
"""
    cluster = typist.create("sea", text)
    job = cluster.script("hostname", nodes=2)
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert list(pilots(site, cluster).values()) == [("RUNNING", 2)]


def test_three_providers_side_by_side(typist, site):
    """The queue orders them; a job of several nodes stays within one."""
    own = f"""Coxswain:
  Provider: local
  ComputeResources:
    - {{Name: desks, Provider: ssh}}
    - {{Name: batch, Provider: slurm}}
  Ssh:
    User: {typist.name}
    IdentityFile: ./key
    KnownHostsFile: {site.known_hosts}
    Hosts: [{{Host: {site.hosts[3].address}, vCpus: 4, Memory: 3500}}]
  Slurm: {{Partition: day}}
"""
    resource = "        - {{Name: {}, InstanceTypes: [c4.large], MinvCpus: 0, DesiredvCpus: 0, MaxvCpus: {}}}\n"
    text = harness.cluster_file(minimum=0, maximum=2, shared=site.shared, extra=own)
    text = text.replace("Coxswain:\n", resource.format("desks", 4) + resource.format("batch", 6) + "Coxswain:\n")
    cluster = typist.create("all", text)
    where = "case $(hostname) in desk4) echo ssh;; desk*) echo slurm;; ip-*) echo here;; esac; exec sleep 1000"

    def lines(job):
        cluster.wait_for(job, "RUNNING")
        harness.wait_until(lambda: (len(cluster.output(job)) == 1, cluster.output(job)), "the job's line")
        return cluster.output(job)

    assert lines(cluster.script(where, "-p", "2")) == ["here"]
    wide = cluster.script(where, nodes=3)
    assert lines(f"{wide}#0") == lines(f"{wide}#2") == ["slurm"]
    assert list(pilots(site, cluster).values()) == [("RUNNING", 3)]


def test_a_compute_resource_that_comes_by_an_update_is_of_the_site(typist, site):
    cluster = typist.create("sea", typist.site_file(minimum=0, maximum=2))
    small = "        - {Name: more, InstanceTypes: [c4.large], MinvCpus: 0, DesiredvCpus: 0, MaxvCpus: 4}\n"
    path = typist.write("next.yaml", typist.site_file(minimum=0, maximum=2).replace("Coxswain:\n", small + "Coxswain:\n"))
    typist.run("pcluster", "update-cluster", "-n", "sea", "-c", path, "--wait", seconds=60).ok()
    job = cluster.script("hostname", nodes=2)  # more than the first one may ever have
    for pid in cluster.daemons():
        os.kill(pid, signal.SIGKILL)
    typist.run("pcluster", "start", "sea").ok()
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert list(pilots(site, cluster).values()) == [("RUNNING", 2)]
