"""Custom actions: scripts that nodes run when they come up."""

import contextlib
import functools
import http.server
import os
import pathlib
import signal
import socket
import subprocess
import threading

import boto3
import botocore.config
import pytest

import conftest
import harness
import slurm_site
import ssh_site
from ssh_fixtures import made


def actions_file(head=None, queue=None, minimum=0, maximum=4, idle=60, extra=""):
    """A file of Slurm's kind, whose queues have custom actions too. head, queue: lines of YAML."""
    def listed(lines, indent):
        return "".join(f"{' ' * indent}{line}\n" for line in ["CustomActions:"] + ["  " + line for line in lines]) if lines else ""
    return f"""{harness.FILE_HEAD}{listed(head, 2)}SharedStorage:
  - Name: data
    StorageType: Ebs
    MountDir: /shared
Scheduling:
  Scheduler: slurm
  SlurmSettings: {{ScaledownIdletime: {idle}}}
  SlurmQueues:
    - Name: queue1
{listed(queue, 6)}      Networking:
        SubnetIds:
          - subnet-0123456789abcdef1
      ComputeResources:
        - Name: small
          InstanceType: c4.large
          MinCount: {minimum}
          MaxCount: {maximum}
{extra}"""


def script(person, name, text):
    return person.write(name, "#!/bin/bash\n" + text, mode=0o755)


def create(person, name, text, *words):
    path = person.write(f"{name}.yaml", text)
    person.clusters.append(name)
    return person.run("pcluster", "create-cluster", "-n", name, "-c", path, "--wait", *words, seconds=90)


def streams(cluster, ending):
    names = [s["logStreamName"] for s in
             cluster.person.run("pcluster", "list-cluster-log-streams", "-n", cluster.name).ok().json()["logStreams"]]
    return [name for name in names if name.endswith(ending)]


def lines_of(cluster, stream):
    done = cluster.person.run("pcluster", "get-cluster-log-events", "-n", cluster.name, "--log-stream-name", stream,
                              "--start-from-head", "true").ok()
    return [event["message"] for event in done.json()["events"]]


def test_they_run_in_order_with_their_arguments_before_the_node_takes_jobs(person):
    say = script(person, "say.sh", 'echo "$COX_ACTION $COX_NODE_TYPE $# [$1] [$2] $(id -un)" | tee -a /shared/$COX_NODE_TYPE\n')
    slow = script(person, "slow.sh", "sleep 0.5; echo configured >> /shared/$COX_NODE_TYPE; (sleep 600 &)\n")
    cluster_file = actions_file(
        head=[f"OnNodeConfigured: {{Script: {say}, Args: [end]}}", f"OnNodeStart: {{Script: file://{say}, Args: [a, 'b c']}}"],
        queue=["OnNodeStart:", "  Sequence:", f"    - {{Script: {say}}}", f"    - {{Script: {slow}}}"])
    create(person, "acts", cluster_file).ok()
    cluster = harness.Cluster(person, "acts")
    shared = cluster.directory / "shared/data"
    assert (shared / "HeadNode").read_text().splitlines() == \
        [f"OnNodeStart HeadNode 2 [a] [b c] {person.name}", f"OnNodeConfigured HeadNode 1 [end] [] {person.name}"]
    job = cluster.submit("cat", "/shared/ComputeNode")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert cluster.output(job) == [f"OnNodeStart ComputeNode 0 [] [] {person.name}", "configured"]
    # What they wrote can be read, by node and action; what they left running is gone.
    starts = streams(cluster, ".OnNodeStart")
    assert len(starts) == 2, starts
    said = sorted(line for name in starts for line in lines_of(cluster, name))
    assert said == [f"OnNodeStart ComputeNode 0 [] [] {person.name}", f"OnNodeStart HeadNode 2 [a] [b c] {person.name}"]
    assert not [line for _, line in person.processes() if "sleep 600" in line]


def test_a_script_that_fails_takes_the_creation_back_and_says_why(person):
    bad = script(person, "bad.sh", "echo first; echo the disk is missing >&2; exit 3\n")
    text = actions_file(head=[f"OnNodeConfigured: {{Script: {bad}}}"])
    failed = create(person, "bad", text).fails(1).json()
    (failure,) = failed["failures"]
    assert failure["failureCode"] == "OnNodeConfiguredExecutionFailure", failed
    assert f"OnNodeConfigured of the head node: {bad} exited with code 3" in failure["failureReason"], failed
    assert "the disk is missing" in failure["failureReason"], failed
    assert not (person.state / "bad").exists()
    harness.wait_until(lambda: (not person.processes(), person.processes()), "all processes to end", 15)


def test_without_rollback_what_it_wrote_stays_to_be_read(person):
    bad = script(person, "bad.sh", "echo first; echo the disk is missing >&2; exit 3\n")
    create(person, "kept", actions_file(queue=[f"OnNodeStart: {{Script: {bad}}}"], minimum=1),
           "--rollback-on-failure", "false").fails(1)
    cluster = harness.Cluster(person, "kept")
    harness.wait_until(lambda: (not person.processes(), person.processes()), "the failed cluster's daemon to end", 40)
    described = person.run("pcluster", "describe-cluster", "-n", "kept").ok().json()
    assert described["failures"][0]["failureCode"] == "StaticNodeBootstrapFailure", described
    events = person.run("pcluster", "get-cluster-stack-events", "-n", "kept").ok().json()["events"]
    assert any("the disk is missing" in e.get("resourceStatusReason", "") and e["resourceStatus"] == "CREATE_FAILED"
               for e in events), events
    (stream,) = streams(cluster, ".OnNodeStart")
    assert lines_of(cluster, stream) == ["first", "the disk is missing"]


@pytest.mark.parametrize("what, limit, code", [("missing", 1800, "OnNodeStartExecutionFailure"),
                                               ("url", 1800, "OnNodeStartDownloadFailure"),
                                               ("endless", 1, "OnNodeStartFailure")])
def test_whatever_is_wrong_is_told(person, what, limit, code):
    endless = script(person, "endless.sh", "echo begun; sleep 1000\n")
    named = {"missing": "/nowhere/x.sh", "url": "http://127.0.0.1:9/x.sh", "endless": endless}[what]
    text = actions_file(head=[f"OnNodeStart: {{Script: {named}}}"],
                        extra=f"DevSettings:\n  Timeouts: {{HeadNodeBootstrapTimeout: {limit}}}\n")
    failed = create(person, "wrong", text).fails(1).json()
    assert failed["failures"][0]["failureCode"] == code, failed
    reason = failed["failures"][0]["failureReason"]
    assert str(named) in reason, failed
    words = {"missing": "there is no such file", "url": "could not be fetched: curl: ",
             "endless": 'did not end within 1 s: "begun"'}[what]
    assert words in reason, failed
    harness.wait_until(lambda: (not person.processes(), person.processes()), "all processes to end", 15)


@contextlib.contextmanager
def served(directory):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(directory))
    handler.log_message = lambda *words: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_url_is_fetched_by_this_machine(person):
    script(person, "web/hello.sh", "echo from the web: $1\n")
    with served(person.home / "web") as url:
        create(person, "web", actions_file(head=[f"OnNodeConfigured: {{Script: '{url}/hello.sh?x=1', Args: [you]}}"])).ok()
    cluster = harness.Cluster(person, "web")
    (stream,) = streams(cluster, ".OnNodeConfigured")
    assert lines_of(cluster, stream) == ["from the web: you"]


S3_SERVER = next((directory for directory in (pathlib.Path("/var/cache/coxswain-tests/s3rver"),
                                              pathlib.Path.home() / ".cache/coxswain-tests/s3rver")
                  if (directory / "node_modules/s3rver/bin/s3rver.js").exists()), None)


@contextlib.contextmanager
def s3_server(person):
    """A real S3 server on this machine with a bucket: the environment by which AWS's programs reach it, and a client."""
    assert S3_SERVER, "scripts/install-deps --test installs s3rver"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = person.start("node", S3_SERVER / "node_modules/s3rver/bin/s3rver.js", "--address", "127.0.0.1", "--port", port,
                          "--directory", person.home / "s3", "--configure-bucket", "scripts", stderr=subprocess.STDOUT)
    keys = {"AWS_ACCESS_KEY_ID": "S3RVER", "AWS_SECRET_ACCESS_KEY": "S3RVER"}
    client = boto3.client("s3", endpoint_url=url, region_name="us-west-2", aws_access_key_id="S3RVER",
                          aws_secret_access_key="S3RVER", config=botocore.config.Config(s3={"addressing_style": "path"}))

    def answers():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True, ""
        return False, server.poll()
    try:
        harness.wait_until(answers, "the S3 server to listen", 60)
        yield {**keys, "AWS_ENDPOINT_URL": url}, client
    finally:
        server.terminate()
        server.communicate(timeout=30 * harness.PATIENCE)


def test_a_script_in_a_bucket_is_fetched_with_the_users_keys(person):
    with s3_server(person) as (environment, s3):
        s3.put_object(Bucket="scripts", Key="site/hello.sh", Body=b"#!/bin/bash\necho from the bucket: $1\n")
        person.environment_more = environment
        create(person, "far", actions_file(head=["OnNodeConfigured: {Script: 's3://scripts/site/hello.sh', Args: [you]}"])).ok()
        cluster = harness.Cluster(person, "far")
        (stream,) = streams(cluster, ".OnNodeConfigured")
        assert lines_of(cluster, stream) == ["from the bucket: you"]
        # One that is not there is told of in the words of who looked for it.
        failed = create(person, "off", actions_file(head=["OnNodeStart: {Script: 's3://scripts/none.sh'}"])).fails(1).json()
        assert failed["failures"][0]["failureCode"] == "OnNodeStartDownloadFailure", failed
        reason = failed["failures"][0]["failureReason"]
        assert "s3://scripts/none.sh could not be fetched: " in reason and "404" in reason, failed
        person.environment_more = {**environment, "AWS_ACCESS_KEY_ID": "nobody"}
        refused = create(person, "out", actions_file(head=["OnNodeStart: {Script: 's3://scripts/site/hello.sh'}"])).fails(1).json()
        assert "403" in refused["failures"][0]["failureReason"], refused


def test_a_node_that_grows_in_and_fails_is_told_of_and_tried_again(person):
    """The first node's script fails, the second's does not: the job waits, with the reason, and then runs."""
    once = script(person, "once.sh", "echo no luck; mkdir /shared/once && exit 5; exit 0\n")
    create(person, "again", actions_file(queue=[f"OnNodeConfigured: {{Script: {once}}}"])).ok()
    cluster = harness.Cluster(person, "again")
    job = cluster.submit("true")
    seen = harness.wait_until(lambda: ("exited with code 5" in (text := cluster.details(job)[""]), text), "the reason", 20)
    assert "no luck" in seen and "next try" in seen, seen
    assert cluster.finish(job)["status"] == "SUCCEEDED"


def test_the_heads_end_leaves_no_script_and_runs_none_twice(person):
    held = script(person, "held.sh", "echo run >> /shared/runs; until [ -e /shared/go ]; do sleep 0.05; done; echo done\n")
    after = script(person, "after.sh", "echo after >> /shared/runs\n")
    create(person, "headless", actions_file(queue=["OnNodeConfigured:", "  Sequence:", f"    - {{Script: {after}}}",
                                                   f"    - {{Script: {held}}}", f"    - {{Script: {after}}}"],
                                            maximum=1)).ok()
    cluster = harness.Cluster(person, "headless")
    runs = cluster.directory / "shared/data/runs"
    job = cluster.submit("true")
    harness.wait_until(lambda: (runs.exists() and "run" in runs.read_text(), "no run"), "the script to run", 20)
    for pid in cluster.daemons():
        os.kill(pid, signal.SIGKILL)
    harness.wait_until(lambda: (not cluster.daemons(), cluster.daemons()), "the daemons to end", 10)
    cluster.hosts()  # starts the daemon anew
    (cluster.directory / "shared/data/go").write_text("")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert runs.read_text().split() == ["after", "run", "after"]


def test_version_2s_scripts_get_their_own_name_first(person):
    say = script(person, "say.sh", 'echo "$@"\n')
    path = person.write("v2.config", f"""[global]
cluster_template = default
[cluster default]
base_os = alinux2
key_name = mine
scheduler = awsbatch
vpc_settings = v
min_vcpus = 0
desired_vcpus = 0
post_install = {say}
post_install_args = "one two"
[vpc v]
vpc_id = vpc-0123456789abcdef0
master_subnet_id = subnet-0123456789abcdef0
""")
    person.clusters.append("old")
    person.run("pcluster", "create", "-c", path, "-r", "us-west-2", "old").ok()
    cluster = harness.Cluster(person, "old")
    (stream,) = streams(cluster, ".OnNodeConfigured")
    assert lines_of(cluster, stream) == [f"{say} one two"]


def test_a_new_instance_runs_them_again(person):
    say = script(person, "say.sh", 'echo "$COX_NODE_ID" >> /shared/ids\n')
    create(person, "anew", actions_file(queue=[f"OnNodeStart: {{Script: {say}}}"], idle=0)).ok()
    cluster = harness.Cluster(person, "anew")
    ids = cluster.directory / "shared/data/ids"
    for count in (1, 2):
        assert cluster.finish(cluster.submit("true"))["status"] == "SUCCEEDED"
        person.run("pcluster", "stop", "anew").ok()
        harness.wait_until(lambda: (cluster.hosts() == [], cluster.hosts()), "the nodes to go", 20)
        person.run("pcluster", "start", "anew").ok()
        assert len(set(ids.read_text().split())) == count


@pytest.fixture(scope="module")
def site():
    yield from made(lambda: ssh_site.Site(count=2))


@pytest.mark.parametrize("kind", conftest.people())
def test_hosts_by_ssh_run_them_too(site, kind):
    typist = ssh_site.SitePerson(site, conftest.account(kind))
    try:
        say = script(typist, "say.sh", 'echo "on $(hostname): $1"\n')
        text = actions_file(queue=[f"OnNodeConfigured: {{Script: {say}, Args: [hello]}}"], minimum=1, maximum=1)
        hosts = typist.hosts_file(hosts=site.hosts[:1], minimum=2, maximum=2)
        cluster = typist.create("sea", text.replace("/shared", "/mnt/data") + hosts[hosts.index("Coxswain:"):])
        (stream,) = streams(cluster, ".OnNodeConfigured")
        (line,) = lines_of(cluster, stream)
        assert line.startswith("on ") and line.endswith(": hello"), line
    finally:
        typist.close()


@pytest.fixture(scope="module")
def slurm():
    yield from made(lambda: slurm_site.SlurmSite(hosts=2))


@pytest.mark.parametrize("kind", conftest.people())
def test_nodes_of_a_slurm_site_run_them_too(slurm, kind):
    typist = slurm_site.SlurmPerson(slurm, conftest.account(kind))
    try:
        say = script(typist, "say.sh", 'echo "on $(hostname): $1"\n')
        bad = script(typist, "bad.sh", "echo no licence; exit 4\n")
        own = "Coxswain:\n  Provider: slurm\n  Slurm: {Partition: day}\n"
        text = actions_file(queue=["OnNodeStart:", f"  Script: {say}", "  Args: [hello]"], extra=own)
        cluster = typist.create("sea", text.replace("/shared", str(slurm.shared)))
        job = cluster.submit("hostname")
        assert cluster.finish(job, 90)["status"] == "SUCCEEDED"
        (stream,) = streams(cluster, ".OnNodeStart")
        assert lines_of(cluster, stream) == [f"on {cluster.output(job)[0]}: hello"]
        # One that fails gives its allocation back, and is told of.
        text = actions_file(queue=[f"OnNodeConfigured: {{Script: {bad}}}"], extra=own)
        worse = typist.create("lake", text.replace("/shared", str(slurm.shared)))
        waits = worse.submit("true")
        harness.wait_until(lambda: ("no licence" in (seen := worse.details(waits)[""]), seen), "the reason", 60)
        typist.run("awsbkill", "-c", "lake", waits).ok()
    finally:
        typist.close()
    harness.wait_until(lambda: (not slurm.jobs(), slurm.jobs()), "Slurm to have no job", 30)
