"""Six hosts and a machine to type on, as network namespaces of this machine, with a real sshd on each host.

Every host has its own network, processes, host name, /tmp, /var/tmp, /dev/shm, /run, /etc and homes; /mnt/data is one
directory that all hosts share. Needs root to make them; who types may be anybody."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import harness

RING = (harness.SOURCE / "mpi_examples/ring_reduce.c").read_text()
# The tutorial's job: the main node compiles in the shared directory and calls mpirun itself.
TUTORIAL = """#!/bin/bash
shared=${PCLUSTER_SHARED_DIRS%%,*}
place=$shared/$AWS_BATCH_JOB_ID
place=${place%#*}-$AWS_BATCH_JOB_ATTEMPT
if [ "$AWS_BATCH_JOB_NODE_INDEX" -eq "$AWS_BATCH_JOB_MAIN_NODE_INDEX" ]; then
  mkdir -p "$place"
  mpicc.openmpi -o "$place/ring" "$shared/ring.c"
  mpirun.openmpi --allow-run-as-root --machinefile "$HOME/hostfile" "$place/ring"
  echo $? > "$place/end"; mv "$place/end" "$place/exit-code"
else
  until [ -f "$place/exit-code" ]; do read -t 0.2 < <(:) || :; done
fi
exit "$(cat "$place/exit-code")"
"""
SUM = "sum of all ranks: 15"

INIT = r"""
set -e
mount --make-rprivate /
mount -t proc proc /proc
hostname "$NAME"
for place in /tmp /dev/shm /run /root /home; do mount -t tmpfs -o mode=1777 tmpfs $place; done
chmod 700 /root
for user in $USERS; do mkdir -m 700 -p "/home/$user"; chown "$user:" "/home/$user"; done
mount --bind "$OWN/vartmp" /var/tmp
mount -t tmpfs tmpfs /mnt
mkdir /mnt/data
mount --bind "$SHARED" /mnt/data
mkdir -p "$OWN/etc" "$OWN/etc.work"
mount -t overlay -o "lowerdir=/etc,upperdir=$OWN/etc,workdir=$OWN/etc.work" overlay /etc
mount --bind "$OWN/shadow" /etc/shadow
mount --bind "$OWN/hosts" /etc/hosts
mount --bind "$OWN/machine-id" /etc/machine-id
[ ! -e "$OWN/mount.nfs" ] || mount --bind "$OWN/mount.nfs" /usr/sbin/mount.nfs
mkdir -m 755 /run/sshd
# The network comes from outside; until then there is nothing to listen on.
read -r go
# Tests kill sshd: it comes back, however it ended, and not in a tight loop.
while :; do /usr/sbin/sshd -D -e -f "$OWN/sshd_config" || true; sleep 0.1; done
"""


def inside(pid, *words):
    return ["nsenter", "-t", str(pid), "-n", *[str(word) for word in words]]


def run_inside(pid, *words):
    """Runs a command in a process's network."""
    done = subprocess.run(inside(pid, *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


class Host:
    """One host: it can be switched off and on again."""

    init = INIT
    daemons = ()  # command lines of its own begin so

    def __init__(self, site, number):
        self.site, self.number = site, number
        self.name = f"desk{number}"
        self.address = f"10.77.0.{10 + number}"
        self.own = site.directory / self.name
        self.process = None
        (self.own / "vartmp").mkdir(parents=True)
        (self.own / "vartmp").chmod(0o1777)
        self.own.chmod(0o755)
        shadow = pathlib.Path("/etc/shadow").read_text()
        # A user without a password is no locked one.
        lines = [":".join([f[0], "*", *f[2:]]) for f in (line.split(":") for line in shadow.splitlines())]
        (self.own / "shadow").write_text("\n".join(lines) + "\n")
        (self.own / "machine-id").write_text(f"{number:032x}\n")
        (self.own / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.own / "host_key"], check=True)
        (self.own / "sshd_config").write_text(
            f"Port 22\nHostKey {self.own}/host_key\nPidFile none\nUsePAM no\n"
            f"StrictModes no\nPermitRootLogin yes\nAuthorizedKeysFile {site.directory}/key.pub\nLogLevel INFO\n"
            "MaxStartups 100\nAllowTcpForwarding yes\n")

    def start(self):
        self.pid = None
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "NAME": self.name, "OWN": str(self.own),
                       "SHARED": str(self.site.shared), "USERS": harness.ordinary_user(), **self.site.environment()}
        log = open(self.own / "log", "ab")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--fork", "--kill-child", "/bin/sh", "-c", self.init],
            stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True)
        log.close()
        self.pid = harness.wait_until(self.look_for_init, f"the first process of {self.name}", 20)
        self.port = self.site.plug(self.pid, "eth0", self.address, f"02:00:0a:4d:00:{10 + self.number:02x}")
        self.process.stdin.write(b"go\n")
        self.process.stdin.flush()
        harness.wait_until(self.look_for_sshd, f"sshd of {self.name}", 30)

    def cut(self):
        """Takes the wire out; the machines at its ends do not notice."""
        self.site.wire(self.site.switch, "link", "set", self.port, "down")

    def mend(self):
        self.site.wire(self.site.switch, "link", "set", self.port, "up")

    def look_for_init(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        text = children.read_text().split() if children.exists() else []
        # Its network is its own once it is not ours.
        own = text and os.stat(f"/proc/{text[0]}/ns/net").st_ino != os.stat("/proc/self/ns/net").st_ino
        return bool(own), int(text[0]) if own else text

    def look_for_sshd(self):
        seen = subprocess.run(inside(self.site.head, "bash", "-c", f"exec 3<>/dev/tcp/{self.address}/22 && head -c 4 <&3"),
                              capture_output=True, text=True, timeout=20, check=False)
        return seen.stdout == "SSH-", (self.own / "log").read_text()[-2000:] + seen.stderr

    def stop(self):
        """As a power cut: no process gets a word."""
        if self.process is None:
            return
        if self.pid is None:
            self.process.kill()  # its first process goes with it
        else:
            os.kill(self.pid, signal.SIGKILL)
        self.process.stdin.close()
        self.process.wait()
        self.process = None

    def set_clock(self, seconds):
        """What starts on the host from now on finds a clock that is off by so much, and by what is set later.

        The machine has one clock for all its hosts, so that programs are told another by a library."""
        new = self.own / "clock.new"
        new.write_text(f"{seconds}\n")
        new.rename(self.own / "clock")
        library = self.own / "clock.so"
        if not library.exists():
            subprocess.run(["gcc", "-Wall", "-Wextra", "-O1", "-shared", "-fPIC", f'-DOFFSET_FILE="{self.own}/clock"', "-o", library,
                            harness.SOURCE / "tests/process/clock.c"], check=True)
            self.run("sh", "-c", f"echo {library} > /etc/ld.so.preload")

    def run(self, *words, check=True):
        """Runs a command on the host, as root."""
        argv = ["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-u", "-i", *[str(word) for word in words]]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=check).stdout

    def net(self, *words):
        subprocess.run(inside(self.pid, *words), check=True, capture_output=True)

    def processes(self):
        """Command lines of what runs there, without the host's own."""
        own = ("/bin/sh -c \nset -e", "sshd: /usr/sbin/sshd", "sleep 0.1", "ps ", *self.daemons)
        lines = self.run("ps", "-eo", "args", "--no-headers").splitlines()
        return [line for line in lines if line.strip() and not line.startswith(own)
                and line.split()[0] not in ("ps", "nsenter") and "/etc/shadow" not in line]

    def files(self):
        """All that the places have which somebody could leave something in."""
        found = self.run("find", "/var/tmp", "/dev/shm", "/tmp", "/root", "/home", "/run", "-mindepth", "1")
        return sorted(line for line in found.splitlines() if line not in (f"/home/{harness.TEST_USER}", "/run/sshd", "/run/mount"))


class Site:
    """The hosts, the wires between them, and the machine of who types."""

    kind = Host

    def __init__(self, count=6):
        self.holders, self.hosts = [], []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="cox-site-", dir="/srv"))
        try:
            self.make(count)
        except BaseException:
            self.close()  # of a site that cannot be had nothing is left
            raise

    def make(self, count):
        self.directory.chmod(0o755)
        self.shared = self.directory / "shared"
        self.shared.mkdir()
        self.shared.chmod(0o1777)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.directory / "key"], check=True)
        self.switch = self.hold()
        self.wire(self.switch, "link", "add", "br0", "type", "bridge")
        self.wire(self.switch, "link", "set", "br0", "up")
        self.head = self.hold()
        self.ports = 0
        self.plug(self.head, "eth0", "10.77.0.2")
        self.far = None
        for number in range(1, count + 1):
            host = self.kind(self, number)
            self.hosts.append(host)
            host.start()
        self.known_hosts = self.directory / "known_hosts"
        self.known_hosts.write_text("".join(self.known_line(host) for host in self.hosts))
        self.known_hosts.chmod(0o644)

    def environment(self):
        """What the hosts' first processes find set."""
        return {}

    @staticmethod
    def known_line(host):
        kind, key = (host.own / "host_key.pub").read_text().split()[:2]
        return f"{host.address} {kind} {key}\n"

    def hold(self):
        """A process that keeps a network of its own."""
        process = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], start_new_session=True)
        self.holders.append(process)

        def look():
            here = os.stat("/proc/self/ns/net").st_ino
            return os.stat(f"/proc/{process.pid}/ns/net").st_ino != here, process.pid
        return harness.wait_until(look, "a network namespace", 20)

    @staticmethod
    def wire(pid, *words):
        subprocess.run(inside(pid, "ip", *words), check=True, capture_output=True)

    def plug(self, pid, name, address, mac="02:00:0a:4d:00:02"):
        """A wire from the switch to there. A machine that comes back has the card it had."""
        self.ports += 1
        port = f"port{self.ports}"
        self.wire(self.switch, "link", "add", port, "type", "veth", "peer", "name", name, "address", mac,
                  "netns", str(pid))
        self.wire(self.switch, "link", "set", port, "master", "br0", "up")
        self.wire(pid, "link", "set", "lo", "up")
        self.wire(pid, "addr", "add", f"{address}/24", "dev", name)
        self.wire(pid, "link", "set", name, "up")
        return port

    @staticmethod
    def silence(pid, address):
        """A firewall in this process's network drops what comes from there, without a word, until hear()."""
        run_inside(pid, "nft", "add table inet cut; add chain inet cut in { type filter hook input priority 0; }; "
                               f"add rule inet cut in ip saddr {address} drop")

    @staticmethod
    def hear(pid):
        run_inside(pid, "nft", "delete table inet cut")

    def open_far(self, gate):
        """A machine to type on in another network, from where only ssh through this host leads here."""
        if self.far is None:
            self.far = self.hold()
            self.wire(self.far, "link", "set", "lo", "up")
        self.wire(gate.pid, "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", str(self.far))
        self.wire(gate.pid, "addr", "add", "10.78.0.1/24", "dev", "eth1")
        self.wire(gate.pid, "link", "set", "eth1", "up")
        self.wire(self.far, "addr", "add", "10.78.0.2/24", "dev", "eth0")
        self.wire(self.far, "link", "set", "eth0", "up")
        kind, key = (gate.own / "host_key.pub").read_text().split()[:2]
        known = self.directory / "known_hosts_far"
        known.write_text(self.known_hosts.read_text() + f"10.78.0.1 {kind} {key}\n")
        known.chmod(0o644)
        return known

    def close_far(self, gate):
        self.wire(gate.pid, "link", "del", "eth1")

    @staticmethod
    def processes_of(place):
        """Number → command line of what runs in the network of this process."""
        network = os.stat(f"/proc/{place}/ns/net").st_ino
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.stat(entry / "ns/net").st_ino == network:
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
        return found

    def close(self):
        for host in self.hosts:
            host.stop()
        for process in self.holders:
            process.kill()
            process.wait()
        shutil.rmtree(self.directory)


class SitePerson(harness.Person):
    """Someone who types on the site's machine."""

    def __init__(self, site, user=None):
        super().__init__(user)
        self.site = site
        self.place = site.head
        key = self.write("key", (site.directory / "key").read_text(), 0o600)
        self.key = key

    def start(self, *argv, cwd=None, env=None, **popen):
        words = [str(word) for word in argv]
        if not self.is_root:
            words = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups", *words]
        return subprocess.Popen(inside(self.place, *words), cwd=cwd or self.home,
                                env=self.environment(**(env or {})),
                                **{**dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                          stderr=subprocess.PIPE), **popen})

    def hosts_file(self, hosts=None, minimum=12, maximum=12, shared="/mnt/data", known_hosts=None, user=None, jump=None, extra=""):
        """A v3 file whose compute environment is the site's hosts, two vCPUs each."""
        through = f", ProxyJump: {jump}" if jump else ""
        listed = "".join(f"    - {{Host: {host.address}, vCpus: 2, Memory: 3500{through}}}\n" for host in hosts or self.site.hosts)
        own = f"""Coxswain:
  Provider: ssh
  Ssh:
    User: {user or self.name}
    IdentityFile: ./key
    KnownHostsFile: {known_hosts or self.site.known_hosts}
    Hosts:
{listed}{extra}"""
        return harness.cluster_file(minimum=minimum, maximum=maximum, shared=shared, extra=own)
