"""A Slurm site in namespaces: Debian's slurmctld beside the machine to type on, a slurmd and a munged on each host.

Each host is one of ssh_site's, so that sshd runs there too. Needs root; who types may be anybody. All daemons are
children of the tests, or end with their host."""

import os
import pathlib
import re
import shutil
import socket
import subprocess

import harness
import ssh_site

COUNT = 4
VCPUS = 2
INIT = ssh_site.INIT.replace("# The network comes", r"""mkdir -m 755 "$MUNGE"
: # The network comes""").replace("while :; do /usr/sbin/sshd", r"""munged --foreground --force --num-threads=2 --key-file="$KEY" --socket="$MUNGE/socket" --pid-file="$MUNGE/pid" \
  --log-file="$OWN/munge.log" --seed-file="$MUNGE/seed" &
until [ -S "$MUNGE/socket" ]; do sleep 0.1; done
while :; do
  [ -e "$OWN/no-slurmd" ] || env -i PATH="$PATH" SLURM_CONF="$SLURM_CONF" slurmd -D -N "$NAME" -f "$SLURM_CONF" || true
  sleep 0.1
done &
while :; do /usr/sbin/sshd""")
CONF = """ClusterName=test
SlurmctldHost={host}(10.77.0.2)
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={munge}/socket
StateSaveLocation={directory}/state
SlurmctldPidFile={directory}/slurmctld.pid
SlurmctldLogFile={directory}/slurmctld.log
SlurmdPidFile=/run/slurmd.pid
SlurmdSpoolDir=/run/slurmd
SlurmdLogFile={directory}/%n/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0
Epilog=/bin/true
ReturnToService=2
EnforcePartLimits=ALL
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MpiDefault=none
SlurmdTimeout=10
KillWait=10
MinJobAge=300
AccountingStorageType=accounting_storage/none
NodeName=desk[1-{count}] NodeAddr=10.77.0.[11-{last}] CPUs={cpus} RealMemory=8000 State=UNKNOWN
PartitionName=day Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=dusk Nodes=ALL MaxTime=INFINITE State=UP PreemptMode=CANCEL
PartitionName=night Nodes=ALL MaxTime=INFINITE State=DOWN
PartitionName=short Nodes=ALL MaxTime=10 State=UP
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""
PARTITIONS = "day, dusk, night, short, urgent"


class SlurmHost(ssh_site.Host):
    """A host of the site; its slurmd is started again when it ends, unless it is held."""

    init = INIT
    daemons = ("munged ", "slurmd ", "/bin/sh -c set", "slurmstepd")

    def files(self):
        """Without what Slurm's own daemons keep."""
        own = ("/run/slurmd", str(self.site.munge))
        return [path for path in super().files() if not path.startswith(own)]

    def hold_slurmd(self):
        """Ends slurmd and lets none start: as a node that has failed."""
        (self.own / "no-slurmd").write_text("")
        self.run("sh", "-c", "kill -9 $(cat /run/slurmd.pid)")

    def let_slurmd(self):
        (self.own / "no-slurmd").unlink(missing_ok=True)


class SlurmSite(ssh_site.Site):
    """The hosts and the controller."""

    kind = SlurmHost

    def __init__(self, hosts=COUNT, vcpus=VCPUS):
        self.count, self.vcpus = hosts, vcpus
        self.munge = pathlib.Path(f"/run/cox-munge-{os.getpid()}")
        self.controller = self.munged = None
        super().__init__(hosts)

    def make(self, count):
        super().make(count)
        self.munge.mkdir(mode=0o755)
        self.munged = subprocess.Popen(
            ["munged", "--foreground", "--force", "--num-threads=2", f"--key-file={self.key}", f"--socket={self.munge}/socket",
             f"--pid-file={self.munge}/pid", f"--log-file={self.directory}/munge.log", f"--seed-file={self.munge}/seed"],
            start_new_session=True)
        harness.wait_until(lambda: ((self.munge / "socket").exists(), "no socket"), "munged's socket", 20)
        self.start_controller()
        self.wait_for_idle()

    @property
    def key(self):
        return self.directory / "munge.key"

    @property
    def conf(self):
        return self.directory / "slurm.conf"

    def environment(self):
        if not self.conf.exists():
            self.key.write_bytes(os.urandom(1024))
            self.key.chmod(0o400)
            (self.directory / "state").mkdir()
            self.conf.write_text(CONF.format(host=socket.gethostname().split(".")[0], munge=self.munge, count=self.count,
                                             directory=self.directory, last=10 + self.count, cpus=self.vcpus))
            (self.directory / "cgroup.conf").write_text(
                "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\nConstrainCores=no\nConstrainRAMSpace=no\n")
        return {"MUNGE": str(self.munge), "KEY": str(self.key), "SLURM_CONF": str(self.conf)}

    def start_controller(self):
        log = open(self.directory / "slurmctld.out", "ab")
        self.controller = subprocess.Popen(
            ssh_site.inside(self.head, "slurmctld", "-D", "-f", self.conf), stdout=log, stderr=log, start_new_session=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SLURM_CONF": str(self.conf)})
        log.close()

    def stop_controller(self):
        if self.controller is not None:
            self.controller.kill()
            self.controller.wait()
            self.controller = None

    def slurm(self, *words, check=True):
        """One of Slurm's commands, as root."""
        return subprocess.run(ssh_site.inside(self.head, *words), capture_output=True, text=True, timeout=60, check=check,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SLURM_CONF": str(self.conf)}).stdout

    def jobs(self):
        """Job → (state, name, nodes) of those that are not over."""
        lines = self.slurm("squeue", "--noheader", "--format=%A|%T|%j|%D").splitlines()
        return {fields[0]: tuple(fields[1:]) for fields in (line.strip().split("|") for line in lines)}

    def wait_for_idle(self):
        def look():
            seen = self.slurm("sinfo", "--noheader", "--Node", "--partition=day", "--format=%N %T", check=False)
            return seen.count(" idle\n") == self.count, seen + (self.directory / "slurmctld.log").read_text()[-3000:]
        harness.wait_until(look, "idle nodes", 60)

    def wait_for_up(self):
        """Until Slurm gives out every host again; what it has drained itself is taken back as an administrator would."""
        def look():
            seen = self.slurm("sinfo", "--noheader", "--Node", "--partition=day", "--format=%N %T %E", check=False)
            for name in re.findall(r"^(\S+) drained", seen, re.M):
                self.slurm("scontrol", "update", f"NodeName={name}", "State=RESUME", check=False)
            ill = [line.split()[0] for line in seen.splitlines() if re.search(r"down|drain|comp|fail|unk|\*", line.split()[1])]
            logs = [self.directory / "slurmctld.log"] + [self.directory / name / "slurmd.log" for name in ill]
            return not ill, seen + "".join(f"{log}:\n{log.read_text()[-3000:]}" for log in logs)
        harness.wait_until(look, "all hosts to be up", 60)

    def close(self):
        self.stop_controller()
        for host in self.hosts:
            host.stop()
        if self.munged is not None:
            self.munged.kill()
            self.munged.wait()
        shutil.rmtree(self.munge, ignore_errors=True)
        super().close()


class SlurmPerson(ssh_site.SitePerson):
    """Someone on the site's login machine."""

    def environment(self, **more):
        return super().environment(SLURM_CONF=str(self.site.conf), **more)

    def site_file(self, minimum=0, maximum=8, partition="day", more="", extra=""):
        """A v3 file whose compute environment comes from the site, two vCPUs a node."""
        own = f"""Coxswain:
  Provider: slurm
  ScaledownIdletime: 10
  Slurm:
    Partition: {partition}
{more}{extra}"""
        return harness.cluster_file(minimum=minimum, maximum=maximum, shared=self.site.shared, extra=own)

    def why(self, cluster, job):
        return self.run("awsbstat", "-c", cluster.name, "--why", job).ok().out
