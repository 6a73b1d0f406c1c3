"""Drives the real programs as a person would: as root and as an ordinary user, in a directory of
their own, with bounded waits that print the last state seen."""

import contextlib
import dataclasses
import fnmatch
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("COX_BIN", SOURCE / "build/release/bin")).resolve()
JOB_LINE = re.compile(r"^Job ([a-z0-9\-]{36}) \((.+)\) has been submitted\.$", re.M)
# Slower machines and sanitizers stretch every bound alike.
PATIENCE = float(os.environ.get("COX_TEST_PATIENCE", "1"))
TEST_USER = "coxtest"


def ordinary_user():
    """The name of the ordinary user that root tests as; made if absent."""
    try:
        pwd.getpwnam(TEST_USER)
    except KeyError:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", TEST_USER], check=True)
    return TEST_USER


@dataclasses.dataclass
class Done:
    """A command that ended: its exit status and what it printed."""

    argv: list
    code: int
    out: str
    err: str

    def ok(self):
        assert self.code == 0, self.story()
        return self

    def fails(self, code):
        assert self.code == code, f"wanted exit status {code}\n{self.story()}"
        return self

    def story(self):
        return f"{self.argv} ended with {self.code}\nstdout:\n{self.out}\nstderr:\n{self.err}"

    def json(self):
        return json.loads(self.out)


def wait_until(look, what, seconds=30):
    """Calls look() until it returns something true; shows the last thing seen otherwise.

    look returns (done, seen)."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        done, seen = look()
        if done:
            return seen
        assert time.monotonic() < end, f"waited {seconds * PATIENCE} s for {what}; last seen:\n{seen}"
        time.sleep(0.02)


class Person:
    """Someone at a shell: who they are, their home, and where their clusters' state is."""

    def __init__(self, user=None):
        entry = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
        self.uid, self.gid, self.name = entry.pw_uid, entry.pw_gid, entry.pw_name
        self.is_root = self.uid == 0
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cox-test-"))
        self.home = self.directory / "home"
        self.state = self.directory / "state"
        self.home.mkdir()
        for path in (self.directory, self.home):
            os.chown(path, self.uid, self.gid)
            path.chmod(0o755)
        self.clusters = []
        self.environment_more = {}  # of every command

    def environment(self, **more):
        kept = {k: os.environ[k] for k in ("LANG", "LC_ALL", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")
                if k in os.environ}
        return {**kept, "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(self.home),
                "USER": self.name, "TERM": "dumb", "TZ": "UTC", "COX_STATE_DIR": str(self.state),
                **self.environment_more, **more}

    def start(self, *argv, cwd=None, env=None, **popen):
        who = {} if self.uid == os.geteuid() else dict(user=self.uid, group=self.gid, extra_groups=[])
        words = [str(word) for word in argv]
        return subprocess.Popen(words, cwd=cwd or self.home, env=self.environment(**(env or {})),
                                **{**dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                          stderr=subprocess.PIPE), **popen}, **who)

    def run(self, *argv, stdin=None, seconds=60, cwd=None, env=None):
        """Runs a command to its end. stdin: a text; None: /dev/null."""
        process = self.start(*argv, cwd=cwd, env=env,
                             stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL)
        try:
            out, err = process.communicate(stdin.encode() if stdin is not None else None,
                                           timeout=seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{argv} ran over {seconds * PATIENCE} s\nstdout:\n{out.decode(errors='replace')}"
                                 f"\nstderr:\n{err.decode(errors='replace')}") from None
        return Done(list(argv), process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    def write(self, name, text, mode=0o644):
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        os.chown(path, self.uid, self.gid)
        return path

    def create(self, name, text=None, *, config=None, **ready):
        """A v3 cluster from a file's text, up and ready."""
        path = config or self.write(f"{name}.yaml", text or cluster_file(**ready))
        self.clusters.append(name)
        self.run("pcluster", "create-cluster", "-n", name, "-c", path, "--wait", seconds=60).ok()
        return Cluster(self, name)

    def processes(self):
        """Processes that belong to any cluster of this person: by command line or by mounts."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                mounts = (entry / "mountinfo").read_text()
                stat = (entry / "stat").read_text()
            except (OSError, PermissionError):
                continue
            ours = str(self.state) in line or str(self.state) in mounts
            if ours and stat.rsplit(")", 1)[1].split()[0] != "Z":
                found.append((int(entry.name), line or stat.split()[1]))
        return found

    def close(self):
        left = []
        for name in self.clusters:
            if (self.state / name).exists():
                done = self.run("pcluster", "delete-cluster", "-n", name, "--wait")
                if done.code != 0:
                    left.append(done.story())
        try:
            wait_until(lambda: (not self.processes(), self.processes()), "all processes to end", 10)
        except AssertionError as error:
            left.append(str(error))
        mounts = [l for l in pathlib.Path("/proc/self/mountinfo").read_text().splitlines() if str(self.state) in l]
        left += mounts
        left += [str(p) for p in self.state.glob("*")] if self.state.exists() else []
        if not left:
            shutil.rmtree(self.directory)
        assert not left, "left behind:\n" + "\n".join(left)


FILE_HEAD = """Region: us-west-2
Image:
  Os: alinux2
HeadNode:
  InstanceType: t3.micro
  Networking:
    SubnetId: subnet-0123456789abcdef0
"""


def find(directory, pattern):
    """Paths of these names anywhere below a directory where things come and go meanwhile."""
    return [pathlib.Path(at) / name for at, directories, files in os.walk(directory)
            for name in fnmatch.filter(directories + files, pattern)]


def cluster_file(minimum=2, desired=None, maximum=6, types=("c4.large",), shared="/shared", extra=""):
    """A v3 file of a local cluster."""
    listed = "".join(f"\n            - {t}" for t in types)
    storage = f"""SharedStorage:
  - Name: data
    StorageType: Ebs
    MountDir: {shared}
""" if shared else ""
    return f"""{FILE_HEAD}  Imds:
    Secured: false
{storage}Scheduling:
  Scheduler: awsbatch
  AwsBatchQueues:
    - Name: queue1
      Networking:
        SubnetIds:
          - subnet-0123456789abcdef1
      ComputeResources:
        - Name: small
          InstanceTypes:{listed}
          MinvCpus: {minimum}
          DesiredvCpus: {desired if desired is not None else minimum}
          MaxvCpus: {maximum}
{extra}"""


class Cluster:
    """A cluster that is up, through the awsb* commands with -c."""

    def __init__(self, person, name):
        self.person, self.name = person, name
        self.directory = person.state / name

    def submit(self, *words, stdin=None, cwd=None, env=None):
        done = self.person.run("awsbsub", "-c", self.name, *words, stdin=stdin, cwd=cwd, env=env).ok()
        match = JOB_LINE.search(done.out)
        assert match, done.story()
        return match.group(1)

    def script(self, text, *words, nodes=None):
        """Submits a script's text by stdin."""
        more = ["-n", str(nodes)] if nodes else []
        return self.submit(*more, *words, stdin=text)

    def details(self, job):
        """awsbstat -d of one item as a map; the whole text, with the children's, under ""."""
        done = self.person.run("awsbstat", "-c", self.name, "-d", job).ok()
        item = done.out.split("-" * 25 + "\n")[0]
        return dict(re.findall(r"^(\S+)\s*: (.*)$", item, re.M)) | {"": done.out}

    def status(self, job):
        return self.details(job).get("status", "")

    def wait_for(self, job, *statuses, seconds=60):
        def look():
            seen = self.details(job)
            return seen.get("status") in statuses, seen[""]
        wait_until(look, f"{job} to be {' or '.join(statuses)}", seconds)
        return self.details(job)

    def finish(self, job, seconds=60):
        return self.wait_for(job, "SUCCEEDED", "FAILED", seconds=seconds)

    def output(self, job, *options):
        """awsbout's lines without their dates.

        Open MPI's launcher warns now and then that the program it launches with was quicker than itself; that it does so
        with ssh too, and by chance, so the line is no part of what a job prints.
        """
        done = self.person.run("awsbout", "-c", self.name, *options, job).ok()
        lines = [re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d: ", "", line) for line in done.out.splitlines()]
        return [line for line in lines if not re.search(r"plm:rsh: Warning: setpgid\(\d+,\d+\) failed in parent", line)]

    def hosts(self):
        done = self.person.run("awsbhosts", "-c", self.name, "--json").ok()
        return done.json()

    def ssh(self, *words, stdin=None, seconds=60):
        return self.person.run("pcluster", "ssh", self.name, "-i", "key.pem", *words, stdin=stdin, seconds=seconds)

    def daemons(self):
        """Process ids of coxd: keeper and worker."""
        return [pid for pid, line in self.person.processes()
                if re.match(r"\S*coxd ", line) and str(self.directory) in line]

    def node_pids(self):
        """Node id → process id of the node's first process."""
        pids = {}
        for path in sorted((self.directory / "nodes").glob("*/pid")):
            with contextlib.suppress(FileNotFoundError):  # the node has just gone
                pids[path.parent.name] = int(path.read_text().split()[0])
        return pids
