"""Hosts that go, wires that are cut, and hosts that are not fit for a job."""

import re

import pytest

import harness
from ssh_fixtures import host_of, pids_on, site, typist, wait_for_hosts  # noqa: F401 (fixtures)


def test_a_host_that_is_switched_off_and_on_comes_back(typist, site):
    cluster = typist.create("sea", typist.hosts_file(hosts=site.hosts[:2], minimum=4, maximum=4))
    job = cluster.script('[ "$AWS_BATCH_JOB_ATTEMPT" = 1 ] && sleep 1000; hostname', "-r", "3", "-p", "2")
    cluster.wait_for(job, "RUNNING")
    host = next(host for host in site.hosts if pids_on(host, "^ *[0-9]+ sleep 1000"))
    host.stop()
    host.start()
    done = cluster.finish(job, 120)
    assert done["status"] == "SUCCEEDED", done[""]
    wait_for_hosts(cluster, 2)


def lines_of(cluster, job, count):
    assert cluster.output(job) == [f"line {i}" for i in range(1, count + 1)]


@pytest.mark.parametrize("silenced", ["host", "head"])
def test_a_short_cut_of_one_way_loses_no_line(typist, site, silenced):
    cluster = typist.create("sea", typist.hosts_file(hosts=site.hosts[:2], minimum=4, maximum=4))
    job = cluster.script("for i in $(seq 40); do echo line $i; sleep 0.1; done", "-p", "2")
    cluster.wait_for(job, "RUNNING")
    host = host_of(site, r"STDIN\.sh")
    # Nothing gets from the one to the other; what the other says still arrives.
    listener, speaker = (site.head, host.address) if silenced == "host" else (host.pid, "10.77.0.2")
    site.silence(listener, speaker)
    harness.wait_until(lambda: (not pids_on(host, r"STDIN\.sh"), host.processes()), "the job's end on the host")
    seen = cluster.status(job)
    site.hear(listener)
    # Without a word of the head the agent has said all that there was to say.
    assert seen == "RUNNING" or silenced == "head", seen
    done = cluster.finish(job, 60)
    assert done["status"] == "SUCCEEDED", done[""]
    lines_of(cluster, job, 40)


def test_a_slow_wire_loses_no_line(typist, site):
    cluster = typist.create("sea", typist.hosts_file(hosts=site.hosts[:1], minimum=2, maximum=2))
    site.hosts[0].net("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "200kbit", "burst", "4k",
                      "latency", "400ms")
    try:
        job = cluster.script("for i in $(seq 2000); do echo line $i; done")
        done = cluster.finish(job, 90)
        assert done["status"] == "SUCCEEDED", done[""]
        lines_of(cluster, job, 2000)
    finally:
        site.hosts[0].net("tc", "qdisc", "del", "dev", "eth0", "root")


def test_a_host_that_is_cut_off_for_long_runs_nothing_twice_under_one_number(typist, site):
    """Its job is tried again elsewhere; what it still ran is ended when it is back, and then it serves again."""
    cluster = typist.create("sea", typist.hosts_file(hosts=site.hosts[:2], minimum=4, maximum=4))
    (site.shared / "began").write_text("")
    (site.shared / "began").chmod(0o666)
    job = cluster.script('echo "$AWS_BATCH_JOB_ATTEMPT $(hostname)" >> /mnt/data/began\n'
                         '[ "$AWS_BATCH_JOB_ATTEMPT" = 2 ] || sleep 1000', "-p", "2", "-r", "3")
    cluster.wait_for(job, "RUNNING")
    host = host_of(site, "^ *[0-9]+ sleep 1000")
    host.cut()
    done = cluster.finish(job, 120)
    assert done["status"] == "SUCCEEDED", done[""]
    assert pids_on(host, "^ *[0-9]+ sleep 1000"), "the host knows nothing of it yet"
    host.mend()
    harness.wait_until(lambda: (not pids_on(host, "^ *[0-9]+ sleep 1000"), host.processes()), "the old attempt's end", 60)
    wait_for_hosts(cluster, 2)
    began = [line.split() for line in (site.shared / "began").read_text().splitlines()]
    assert [number for number, _ in began] == ["1", "2"], began
    assert began[0][1] == host.name != began[1][1]


def test_a_job_that_began_unheard_is_not_begun_again_under_its_number(typist, site):
    """The head's word reaches the host and nothing comes back, and then the agent that knows of it is gone."""
    host = site.hosts[0]
    cluster = typist.create("sea", typist.hosts_file(hosts=[host], minimum=2, maximum=2))
    (site.shared / "began").write_text("")
    (site.shared / "began").chmod(0o666)
    site.silence(site.head, host.address)
    try:
        job = cluster.script('echo "$AWS_BATCH_JOB_ATTEMPT" >> /mnt/data/began; [ "$AWS_BATCH_JOB_ATTEMPT" = 2 ] || sleep 1000',
                             "-p", "2", "-r", "3")
        harness.wait_until(lambda: ((site.shared / "began").read_text() == "1\n", cluster.details(job)[""]), "the job on the host")
        assert cluster.status(job) == "STARTING"
        agent, = pids_on(host, r"cox-agent$", "comm")
        host.run("kill", "-9", agent)
        harness.wait_until(lambda: (not pids_on(host, "^ *[0-9]+ sleep 1000"), host.processes()), "the job's end on the host")
    finally:
        site.hear(site.head)
    done = cluster.finish(job, 120)
    assert done["status"] == "SUCCEEDED", done[""]
    assert (site.shared / "began").read_text().split() == ["1", "2"]


def test_a_full_host_is_taken_out_and_comes_back(typist, site):
    host = site.hosts[0]
    host.run("mount", "-t", "tmpfs", "-o", "mode=1777,size=300m", "tmpfs", "/var/tmp")
    try:
        cluster = typist.create("sea", typist.hosts_file(hosts=site.hosts[:2], minimum=4, maximum=4))
        node = next(each["ec2InstanceId"] for each in cluster.hosts() if each["privateIpAddress"] == host.address)

        def details():
            return typist.run("awsbhosts", "-c", "sea", "-d", node).ok().out

        def is_full():
            return "statusReason             : its disk is full" in details(), details()

        host.run("sh", "-c", "dd if=/dev/zero of=/var/tmp/big bs=1M count=400 || true")
        harness.wait_until(is_full, "the host to be taken out", 40)
        assert re.search(r"status +: unfit", details())
        jobs = [cluster.script("hostname", "-p", "1") for _ in range(4)]
        for job in jobs:
            assert cluster.finish(job)["status"] == "SUCCEEDED"
            assert cluster.output(job) == [site.hosts[1].name]
        host.run("rm", "/var/tmp/big")
        harness.wait_until(lambda: (re.search(r"status +: ACTIVE", details()), details()), "the host to come back", 40)
        wide = cluster.script("hostname", nodes=2)
        assert cluster.finish(wide)["status"] == "SUCCEEDED"
        typist.run("pcluster", "delete-cluster", "-n", "sea", "--wait").ok()
    finally:
        host.run("umount", "/var/tmp")


def test_a_host_without_memory_is_taken_out_and_comes_back(typist, site):
    host = site.hosts[0]
    cluster = typist.create("sea", typist.hosts_file(hosts=site.hosts[:2], minimum=4, maximum=4))
    node = next(each["ec2InstanceId"] for each in cluster.hosts() if each["privateIpAddress"] == host.address)

    def details():
        return typist.run("awsbhosts", "-c", "sea", "-d", node).ok().out

    # What this machine has cannot be used up for the sake of one host: it is told another number.
    (host.own / "meminfo").write_text("MemTotal: 4000000 kB\nMemAvailable: 20000 kB\n")
    host.run("mount", "--bind", host.own / "meminfo", "/proc/meminfo")
    try:
        harness.wait_until(lambda: ("it is out of memory: 19 MiB are left" in details(), details()), "the host to be taken out", 40)
        job = cluster.script("hostname", "-p", "2")
        assert cluster.finish(job)["status"] == "SUCCEEDED" and cluster.output(job) == [site.hosts[1].name]
    finally:
        host.run("umount", "/proc/meminfo")
    harness.wait_until(lambda: (re.search(r"status +: ACTIVE", details()), details()), "the host to come back", 40)
    wide = cluster.script("hostname", nodes=2)
    assert cluster.finish(wide)["status"] == "SUCCEEDED"


def test_a_host_with_a_wrong_clock_is_taken_out_and_comes_back(typist, site):
    host = site.hosts[0]
    file = typist.write("wrong.yaml", typist.hosts_file(hosts=site.hosts[:2], minimum=4, maximum=4))
    host.set_clock(-600)
    try:
        done = typist.run("pcluster", "create-cluster", "-n", "wrong", "-c", file, "--wait").fails(1)
        assert re.search(r"10\.77\.0\.11: its clock is (5..|600) s behind", done.json()["message"]), done.out
        host.set_clock(0)
        cluster = typist.create("sea", typist.hosts_file(hosts=site.hosts[:2], minimum=4, maximum=4))
        node = next(each["ec2InstanceId"] for each in cluster.hosts() if each["privateIpAddress"] == host.address)

        def details():
            return typist.run("awsbhosts", "-c", "sea", "-d", node).ok().out

        running = cluster.script("until [ -e /mnt/data/go ]; do read -t 0.2 < <(:) || :; done; hostname", nodes=2)
        cluster.wait_for(running, "RUNNING")
        host.set_clock(-600)
        harness.wait_until(lambda: (re.search("statusReason +: its clock is (599|600|601) s behind", details()), details()),
                           "the host to be taken out", 40)
        assert re.search(r"status +: unfit", details())
        (site.shared / "go").write_text("")
        assert cluster.finish(running)["status"] == "SUCCEEDED"  # what runs there is not disturbed
        job = cluster.script("hostname", "-p", "2")
        assert cluster.finish(job)["status"] == "SUCCEEDED" and cluster.output(job) == [site.hosts[1].name]
        host.set_clock(0)
        harness.wait_until(lambda: (re.search(r"status +: ACTIVE", details()), details()), "the host to come back", 40)
        wide = cluster.script("hostname", nodes=2)
        assert cluster.finish(wide)["status"] == "SUCCEEDED"
    finally:
        (site.shared / "go").unlink(missing_ok=True)
        host.set_clock(0)
