"""Hosts that share no file system: what a job names is there before it starts, and its results are here when it has
ended."""

import os
import pathlib
import re
import shutil
import signal
import tempfile

import pytest

import conftest
import harness
import ssh_site
from ssh_fixtures import made


@pytest.fixture(scope="module")
def site():
    yield from made(lambda: ssh_site.Site(3))


class StagingPerson(ssh_site.SitePerson):
    """Someone whose hosts have a directory each for itself, at the path that it has on this machine."""

    def __init__(self, site, user=None):
        super().__init__(site, user)
        # /mnt is each host's own; here it is this machine's.
        self.place_here = pathlib.Path(tempfile.mkdtemp(prefix="cox-staged-", dir="/mnt"))
        self.data = self.place_here / "work"
        self.data.mkdir()
        for path in (self.place_here, self.data):
            path.chmod(0o755)
            os.chown(path, self.uid, self.gid)

    def close(self):
        super().close()
        shutil.rmtree(self.place_here)

    def staged_file(self, **more):
        own = f"  SharedStorage:\n    - {{MountDir: {self.data}, Source: staged}}\n"
        count = len(more.get("hosts") or self.site.hosts)
        return self.hosts_file(shared=str(self.data), extra=own, minimum=2 * count, maximum=2 * count, **more)

    def put(self, name, text):
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for each in [path, *path.parents]:
            if self.data in [each, *each.parents]:
                os.chown(each, self.uid, self.gid)
        return path


def places(host):
    return host.files() + host.run("find", "/mnt", "-mindepth", "1", "-not", "-path", "/mnt/data/*").splitlines()


@pytest.fixture(params=conftest.people())
def typist(request, site):
    """Someone on the site's machine; after them every host is as it was."""
    before = [places(host) for host in site.hosts]
    someone = StagingPerson(site, conftest.account(request.param))
    yield someone
    someone.close()
    for host, files in zip(site.hosts, before):
        harness.wait_until(lambda host=host: (not host.processes(), host.processes()), f"{host.name} to be empty")
        assert places(host) == files


def copies(cluster):
    """Of each copy that was made: to where, from where, how many files and bytes moved."""
    text = (cluster.directory / "coxd.log").read_text()
    return [(to, source, int(files), int(size)) for to, source, files, size in
            re.findall(r"staged in \S+ on (\S+) from (.+): (\d+) files, (\d+) bytes", text)]


def test_inputs_go_to_every_node_and_results_come_back(typist, site):
    cluster = typist.create("sea", typist.staged_file())
    typist.put("in/deep/words.txt", "lighthouse\n" * 1000)
    typist.put("in/with blank", "blank\n")
    typist.put("not-named", "stays here\n")
    # mpirun ends when it has ended everywhere: what it leaves on each host is there then.
    each = f"""cd {typist.data} && cat "in/with blank" && wc -l < in/deep/words.txt && ls -A . &&
mkdir -p out && hostname > out/$(hostname)"""
    typist.put("each.sh", each)
    script = f"""[ "$AWS_BATCH_JOB_NODE_INDEX" = 0 ] || exec sleep 1000
mpirun.openmpi --allow-run-as-root --machinefile "$HOME/hostfile" --npernode 1 sh {typist.data}/each.sh &&
echo main > {typist.data}/out/main"""
    job = cluster.submit("-n", "3", "--input", typist.data / "in", "--input", "work/each.sh", "--output", "work/out",
                         stdin=script, cwd=typist.place_here)
    done = cluster.finish(job, 90)
    assert done["status"] == "SUCCEEDED", done[""]
    lines = cluster.output(f"{job}#0")
    assert lines.count("blank") == 3 and lines.count("1000") == 3, lines
    assert "not-named" not in lines
    assert sorted(path.name for path in (typist.data / "out").iterdir()) == ["desk1", "desk2", "desk3", "main"]
    assert (typist.data / "out/main").read_text() == "main\n"
    assert sorted(copy[0] for copy in copies(cluster)) == ["desk1", "desk2", "desk3"]
    assert all(copy[2:] == (3, 11006 + len(each)) for copy in copies(cluster)), copies(cluster)


def test_only_what_differs_moves(typist):
    cluster = typist.create("sea", typist.staged_file(hosts=typist.site.hosts[:1]))
    typist.put("in/a", "a" * 100_000)
    typist.put("in/b", "b" * 1000)
    for text, moved in (("b" * 1000, (2, 101_000)), (None, (0, 0)), ("c" * 1001, (1, 1001))):
        if text:
            typist.put("in/b", text)
        job = cluster.script(f"tail -c 1 {typist.data}/in/b", "--input", typist.data / "in")
        done = cluster.finish(job)
        assert done["status"] == "SUCCEEDED", done[""]
        assert cluster.output(job) == [(typist.data / "in/b").read_text()[-1]]
        assert copies(cluster)[-1][2:] == moved, copies(cluster)


def test_results_of_a_job_that_failed_come_back(typist):
    cluster = typist.create("sea", typist.staged_file(hosts=typist.site.hosts[:1]))
    script = f"cd {typist.data}; echo so far > log; exit 3"
    job = cluster.script(script, "--output", typist.data / "log", "--output", typist.data / "never/made")
    done = cluster.finish(job)
    assert done["status"] == "FAILED" and done["exitCode"] == "3", done[""]
    assert (typist.data / "log").read_text() == "so far\n"


def test_a_result_that_was_not_made_fails_the_job(typist):
    cluster = typist.create("sea", typist.staged_file(hosts=typist.site.hosts[:1]))
    job = cluster.script("true", "--output", typist.data / "out.txt")
    done = cluster.finish(job)
    assert done["status"] == "FAILED", done[""]
    assert f"the job has not made its output {typist.data}/out.txt" in done[""], done[""]


def test_what_cannot_be_staged_is_told(typist):
    cluster = typist.create("sea", typist.staged_file(hosts=typist.site.hosts[:1]))
    outside = typist.run("awsbsub", "-c", "sea", "--input", "/etc/hostname", "true")
    assert outside.code != 0 and "/etc/hostname is in no shared directory of the cluster" in outside.err, outside.story()

    missing = cluster.script("true", "--input", typist.data / "nowhere")
    done = cluster.finish(missing)
    assert done["status"] == "FAILED" and f"the input {typist.data}/nowhere is not on this machine" in done[""], done[""]

    (typist.data / "way").symlink_to("/etc")
    linked = cluster.script("true", "--input", typist.data / "way/hostname")
    done = cluster.finish(linked)
    assert done["status"] == "FAILED" and "is a link, or lies behind one" in done[""], done[""]
    assert copies(cluster) == []


def test_preflight_tells_of_directories_that_cannot_be_staged_to(typist, site):
    path = typist.write("sea.yaml", typist.staged_file())
    used, good = site.hosts[0], site.hosts[1]
    used.run("mkdir", "-p", typist.data)
    used.run("touch", f"{typist.data}/somebody's")
    said = typist.run("cox", "preflight", path)
    assert said.code == 1 and f"{typist.data} there is not empty" in said.out, said.story()
    refused = typist.run("pcluster", "create-cluster", "-n", "sea", "-c", path, "--wait")
    assert refused.code != 0 and "is not empty" in refused.story(), refused.story()
    assert used.run("ls", typist.data).split() == ["somebody's"]
    used.run("rm", "-r", typist.place_here)
    assert str(typist.place_here) not in places(good)
    assert "[staged]" not in typist.run("cox", "preflight", path).ok().out


def test_jobs_with_the_same_inputs_do_not_copy_them_twice(typist):
    cluster = typist.create("sea", typist.staged_file(hosts=typist.site.hosts[:1]))
    typist.put("in/much", "m" * 20_000_000)
    jobs = [cluster.script(f"wc -c < {typist.data}/in/much", "--input", typist.data / "in") for _ in range(4)]
    for job in jobs:
        done = cluster.finish(job)
        assert done["status"] == "SUCCEEDED", done[""]
        assert cluster.output(job) == ["20000000"]
    assert sum(copy[3] for copy in copies(cluster)) == 20_000_000, copies(cluster)


def test_the_working_directory_goes_along(typist):
    cluster = typist.create("sea", typist.staged_file(hosts=typist.site.hosts[:1]))
    typist.put("run/parameters", "depth 7\n")
    job = cluster.script("cat parameters; pwd", "-w", typist.data / "run")
    done = cluster.finish(job)
    assert done["status"] == "SUCCEEDED", done[""]
    assert cluster.output(job) == ["depth 7", f"{typist.data}/run"]


def test_a_head_that_is_killed_stages_what_is_owed(typist):
    cluster = typist.create("sea", typist.staged_file(hosts=typist.site.hosts[:1]))
    typist.put("in/much", "m" * 60_000_000)
    job = cluster.script(f"wc -c < {typist.data}/in/much; echo made > {typist.data}/out", "--input", typist.data / "in",
                         "--output", typist.data / "out")
    cluster.wait_for(job, "STARTING", "RUNNING", "SUCCEEDED")
    for pid in cluster.daemons():
        os.kill(pid, signal.SIGKILL)
    done = cluster.finish(job)
    assert done["status"] == "SUCCEEDED", done[""]
    assert cluster.output(job) == ["60000000"] and (typist.data / "out").read_text() == "made\n"


def test_a_host_without_rsync_is_found_beforehand(typist, site):
    host = site.hosts[2]
    host.run("mount", "--bind", "/dev/null", "/usr/bin/rsync")
    try:
        said = typist.run("cox", "preflight", typist.write("sea.yaml", typist.staged_file()))
    finally:
        host.run("umount", "/usr/bin/rsync")
    assert said.code == 1 and "rsync is not there" in said.out and "apt-get install rsync" in said.out, said.story()


def test_a_host_whose_disk_is_full_is_told_of(typist, site):
    host = site.hosts[0]
    host.run("mkdir", "-p", typist.data)
    host.run("mount", "-t", "tmpfs", "-o", "size=400m,mode=1777", "tmpfs", typist.data)
    try:
        cluster = typist.create("sea", typist.staged_file(hosts=[host]))
        host.run("mount", "-o", "remount,size=1m", typist.data)
        typist.put("in/much", "m" * 4_000_000)
        job = cluster.script("true", "--input", typist.data / "in")
        done = cluster.finish(job)
        assert done["status"] == "FAILED", done[""]
        assert f"there is no room left in {typist.data}" in done["statusReason"], done[""]
        typist.run("pcluster", "delete-cluster", "-n", "sea", "--wait").ok()
        assert host.run("ls", "-A", typist.data) == ""
    finally:
        host.run("umount", typist.data)
        host.run("rm", "-r", typist.place_here)


def test_how_far_it_is_stands_in_the_jobs_reason_and_a_kill_ends_it(typist, site):
    host = site.hosts[0]
    cluster = typist.create("sea", typist.staged_file(hosts=[host]))
    typist.put("in/much", "m" * 40_000_000)
    slow = ["tc", "qdisc", "add", "dev", host.port, "root", "tbf", "rate", "16mbit", "burst", "64kb", "latency", "400ms"]
    ssh_site.run_inside(site.switch, *slow)
    try:
        job = cluster.script("true", "--input", typist.data / "in")

        def look():
            seen = cluster.details(job)
            told = re.search(r"staging: 0 of 1 nodes have the inputs; desk1 [1-9]\d?%", seen.get("statusReason", ""))
            return seen["status"] == "STARTING" and told, seen[""]
        harness.wait_until(look, "progress in the reason")
        typist.run("awsbkill", "-c", "sea", "-r", "enough", job).ok()
        done = cluster.finish(job)
        assert done["status"] == "FAILED" and done["statusReason"] == "enough", done[""]
    finally:
        ssh_site.run_inside(site.switch, "tc", "qdisc", "del", "dev", host.port, "root")
    harness.wait_until(lambda: (not any("rsync" in line for line in host.processes()), host.processes()), "rsync's end")


@pytest.fixture(scope="module")
def wide():
    yield from made(lambda: ssh_site.Site(10))


@pytest.mark.parametrize("keys", [True, False], ids=["hosts_reach_each_other", "hosts_do_not"])
def test_beyond_eight_hosts_those_that_have_it_serve_the_next(wide, keys):
    for host in wide.hosts:
        host.run("rm", "-rf", "/root/.ssh")
        if keys:
            host.run("mkdir", "-m", "700", "/root/.ssh")
            host.run("cp", wide.directory / "key", "/root/.ssh/id_ed25519")
            host.run("cp", wide.known_hosts, "/root/.ssh/known_hosts")
    typist = StagingPerson(wide)
    try:
        cluster = typist.create("sea", typist.hosts_file(
            shared=str(typist.data), minimum=20, maximum=20,
            extra=f"  SharedStorage:\n    - {{MountDir: {typist.data}, Source: staged}}\n"))
        typist.put("in/words", "lighthouse\n" * 10_000)
        each = typist.put("each.sh", f"wc -c < {typist.data}/in/words")
        script = f"""[ "$AWS_BATCH_JOB_NODE_INDEX" = 0 ] || exec sleep 1000
mpirun.openmpi --allow-run-as-root --machinefile "$HOME/hostfile" --npernode 1 sh {each}"""
        job = cluster.script(script, "--input", typist.data / "in", "--input", each, nodes=10)
        done = cluster.finish(job, 120)
        assert done["status"] == "SUCCEEDED", done[""]
        assert cluster.output(f"{job}#0") == ["110000"] * 10
        made = copies(cluster)
        assert sorted(copy[0] for copy in made) == sorted(host.name for host in wide.hosts), made
        from_here = [copy for copy in made if copy[1] == "the head"]
        assert len(from_here) == (8 if keys else 10), made
        said = (cluster.directory / "coxd.log").read_text()
        assert ("not staged in" in said) == (not keys), said
    finally:
        typist.close()
