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


def test_an_update_runs_its_script_on_the_head_node_and_a_failure_takes_it_back(person):
    say = script(person, "say.sh", 'echo "$COX_ACTION $1"; mkdir -p /shared/more; echo "$1" >> /shared/updates\n')
    bad = script(person, "bad.sh", "echo the licence has ended >&2; exit 3\n")
    create(person, "live", actions_file(head=[f"OnNodeUpdated: {{Script: {say}, Args: [none]}}"])).ok()
    cluster = harness.Cluster(person, "live")
    updates = cluster.directory / "shared/data/updates"
    assert not updates.exists()  # it is of updates, not of the node's coming up

    def update(head, maximum):
        path = person.write("live.yaml", actions_file(head=[head], maximum=maximum))
        return person.run("pcluster", "update-cluster", "-n", "live", "-c", path, "--wait", seconds=90)
    for number, word in enumerate(("one", "two"), 1):
        done = update(f"OnNodeUpdated: {{Sequence: [{{Script: {say}, Args: [{word}]}}, {{Script: {say}, Args: [more]}}]}}", 4 + number)
        assert done.ok().json()["cloudFormationStackStatus"] == "UPDATE_COMPLETE", done.story()
    assert updates.read_text().split() == ["one", "more", "two", "more"]
    # What each run wrote can be read.
    said = [lines_of(cluster, name) for name in sorted(name for name in streams(cluster, "") if "OnNodeUpdated" in name)]
    assert said == [["OnNodeUpdated one"], ["OnNodeUpdated more"], ["OnNodeUpdated two"], ["OnNodeUpdated more"]], said
    failed = update(f"OnNodeUpdated: {{Script: {bad}}}", 8)
    described = person.run("pcluster", "describe-cluster", "-n", "live").ok().json()
    assert described["cloudFormationStackStatus"] == "UPDATE_ROLLBACK_COMPLETE", (failed.story(), described)
    assert described["clusterStatus"] == "UPDATE_FAILED" and described["headNode"]["state"] == "running", described
    events = person.run("pcluster", "get-cluster-stack-events", "-n", "live").ok().json()["events"]
    assert any("exited with code 3" in (why := e.get("resourceStatusReason", "")) and "the licence has ended" in why
               for e in events), events
    # The old file is in force, and the cluster takes jobs.
    assert cluster.finish(cluster.submit("true"))["status"] == "SUCCEEDED"
    again = update(f"OnNodeUpdated: {{Script: {say}, Args: [three]}}", 8).ok().json()
    assert again["cloudFormationStackStatus"] == "UPDATE_COMPLETE", again
    assert updates.read_text().split()[-1] == "three"


HELD = 'echo "begun $1"; echo "run $1" >> /shared/runs; until [ -e /shared/go ]; do sleep 0.05; done; echo "end $1" >> /shared/runs\n'


def held_update(person, name):
    """A cluster whose update runs two scripts, the first of which waits; and what they have done."""
    held = script(person, "held.sh", HELD)
    create(person, name, actions_file()).ok()
    cluster = harness.Cluster(person, name)
    runs = cluster.directory / "shared/data/runs"
    sequence = f"OnNodeUpdated: {{Sequence: [{{Script: {held}, Args: [a]}}, {{Script: {held}, Args: [b]}}]}}"
    path = person.write("more.yaml", actions_file(head=[sequence], maximum=6))
    person.run("pcluster", "update-cluster", "-n", name, "-c", path).ok()
    harness.wait_until(lambda: (streams(cluster, ".OnNodeUpdated") != [] and runs.exists(), runs.exists()), "the script to run", 20)
    return cluster, runs


def end_of_update(cluster):
    def look():
        described = cluster.person.run("pcluster", "describe-cluster", "-n", cluster.name).ok().json()
        return not described["cloudFormationStackStatus"].endswith("_IN_PROGRESS"), described
    return harness.wait_until(look, "the update to end", 30)["cloudFormationStackStatus"]


@pytest.mark.parametrize("who", ["worker", "all"])
def test_a_head_that_comes_back_goes_on_with_an_updates_scripts(person, who):
    cluster, runs = held_update(person, "goeson")
    daemons = sorted(cluster.daemons())
    for pid in daemons if who == "all" else daemons[-1:]:
        os.kill(pid, signal.SIGKILL)
    harness.wait_until(lambda: (not set(daemons[-1:]) & set(cluster.daemons()), cluster.daemons()), "the head to end", 10)
    cluster.hosts()  # asks the next one, and does not wait for the script
    described = person.run("pcluster", "describe-cluster", "-n", "goeson").ok().json()
    assert described["clusterStatus"] == "UPDATE_IN_PROGRESS", described
    assert runs.read_text() == "run a\n"
    (cluster.directory / "shared/data/go").write_text("")
    assert end_of_update(cluster) == "UPDATE_COMPLETE"
    assert runs.read_text() == "run a\nend a\nrun b\nend b\n"
    names = sorted(name for name in streams(cluster, "") if "OnNodeUpdated" in name)
    assert [lines_of(cluster, name) for name in names] == [["begun a"], ["begun b"]], names
    # The next one runs them again, under numbers of their own.
    path = person.write("again.yaml", (person.home / "more.yaml").read_text().replace("MaxCount: 6", "MaxCount: 7"))
    person.run("pcluster", "update-cluster", "-n", "goeson", "-c", path, "--wait").ok()
    assert runs.read_text().count("end b\n") == 2
    assert len([name for name in streams(cluster, "") if "OnNodeUpdated" in name]) == 4


def test_a_head_that_ends_after_an_updates_script_does_not_run_it_again(person):
    cluster, runs = held_update(person, "over")
    for pid in cluster.daemons():
        os.kill(pid, signal.SIGKILL)
    (cluster.directory / "shared/data/go").write_text("")
    harness.wait_until(lambda: (runs.read_text().endswith("end a\n"), runs.read_text()), "the end of the script", 10)
    assert not cluster.daemons()
    cluster.hosts()
    assert end_of_update(cluster) == "UPDATE_COMPLETE"
    assert runs.read_text() == "run a\nend a\nrun b\nend b\n"


def test_an_update_whose_head_node_ends_is_taken_back(person):
    cluster, runs = held_update(person, "lost")
    head = person.run("pcluster", "describe-cluster", "-n", "lost").ok().json()["headNode"]["instanceId"]
    os.kill(cluster.node_pids()[head], signal.SIGKILL)
    assert end_of_update(cluster) == "UPDATE_ROLLBACK_COMPLETE"
    events = person.run("pcluster", "get-cluster-stack-events", "-n", "lost").ok().json()["events"]
    why = next(e["resourceStatusReason"] for e in events if e["resourceStatus"] == "UPDATE_ROLLBACK_IN_PROGRESS")
    assert why == f"OnNodeUpdated of the head node: {person.home}/held.sh was lost with its node: \"begun a\"", why
    # What was not applied is not in force, and the cluster gets a head node and takes jobs.
    assert cluster.finish(cluster.submit("true"))["status"] == "SUCCEEDED"
    assert runs.read_text() == "run a\n"


def test_a_cluster_is_deleted_in_the_midst_of_an_updates_script(person):
    cluster, runs = held_update(person, "gone")
    person.run("pcluster", "delete-cluster", "-n", "gone", "--wait").ok()
    assert not cluster.directory.exists() and person.processes() == []


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


@pytest.mark.parametrize("kind", conftest.people())
def test_an_updates_script_is_run_anew_where_its_agent_was_killed(site, kind):
    typist = ssh_site.SitePerson(site, conftest.account(kind))
    try:
        held = script(typist, "held.sh", f'echo run >> {typist.home}/runs; until [ -e {typist.home}/go ]; do sleep 0.05; done\n')
        hosts = typist.hosts_file(hosts=site.hosts[:1], minimum=0, maximum=2)
        hosts = hosts[hosts.index("Coxswain:"):]
        text = actions_file(minimum=0, maximum=1).replace("/shared", "/mnt/data") + hosts
        cluster = typist.create("harbour", text)
        changed = actions_file(head=[f"OnNodeUpdated: {{Script: {held}}}"], minimum=0, maximum=1, idle=50)
        path = typist.write("more.yaml", changed.replace("/shared", "/mnt/data") + hosts)
        typist.run("pcluster", "update-cluster", "-n", "harbour", "-c", path).ok()
        runs = typist.home / "runs"

        def ran(times):
            return harness.wait_until(lambda: (runs.exists() and runs.read_text().split() == ["run"] * times,
                                               runs.exists() and runs.read_text()), f"{times} runs", 30)
        ran(1)
        (guard,) = cluster.node_pids().values()  # of the agent that stands for the head node
        agent = int(pathlib.Path(f"/proc/{guard}/task/{guard}/children").read_text().split()[0])
        os.kill(agent, signal.SIGKILL)
        ran(2)
        (typist.home / "go").write_text("")
        assert end_of_update(cluster) == "UPDATE_COMPLETE"
        ran(2)
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
