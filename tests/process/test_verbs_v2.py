"""What the verbs of version 2 say, where, and with which exit status; and words that no verb has."""

import re

import pytest

import harness
from test_actions import actions_file, script

SLURM = """[global]
cluster_template = two
[aliases]
ssh = ssh -A {CFN_USER}@{MASTER_IP} {ARGS}
[cluster two]
base_os = ubuntu2004
scheduler = slurm
compute_instance_type = c4.large
initial_queue_size = 1
max_queue_size = 2
maintain_initial_size = true
vpc_settings = net
[vpc net]
vpc_id = vpc-01234567
master_subnet_id = subnet-01234567
"""

BATCH = """[aws]
aws_region_name = us-west-2
[global]
cluster_template = one
sanity_check = true
[cluster one]
base_os = alinux2
scheduler = awsbatch
compute_instance_type = c4.large
min_vcpus = 0
desired_vcpus = 0
max_vcpus = 64
vpc_settings = net
[vpc net]
vpc_id = vpc-01234567
master_subnet_id = subnet-01234567
"""


def said(done):
    return done.code, done.out, done.err


# What was typed; what argparse says of it on stderr, with status 2 and usage.
MISUSED = [
    (["create"], "pcluster create: error: the following arguments are required: cluster_name"),
    (["status"], "pcluster status: error: the following arguments are required: cluster_name"),
    (["create", "-c"], "pcluster create: error: argument -c/--config: expected one argument"),
    (["create-cluster"], "pcluster create-cluster: error: the following arguments are required: "
                         "-n/--cluster-name, -c/--cluster-configuration"),
    (["update-compute-fleet", "-n", "xx", "--status", "ON"],
     "pcluster update-compute-fleet: error: argument --status: invalid choice: 'ON' (choose from 'START_REQUESTED', "
     "'STOP_REQUESTED', 'ENABLED', 'DISABLED')"),
    (["ssh", "-n"], "pcluster ssh: error: argument -n: expected one argument"),
    (["ssh", "-n", "xx", "--dryrun=maybe"], "pcluster ssh: error: argument --dryrun: 'maybe' is neither true nor false"),
    (["crate", "xx"], "pcluster: error: there is no verb crate; did you mean create?"),
]

# What was typed; the words that nobody knows, on stdout with usage and status 1; what is said on stderr.
UNKNOWN = [
    (["create", "-c", "x.config", "aa", "bb"], "['bb']...", ""),
    (["create", "--bogus", "aa", "-c", "x.config", "--nowiat", "bb", "-xz"], "['--bogus', '--nowiat', 'bb', '-xz']...",
     "pcluster create: there is no option --nowiat; did you mean --nowait?\n"),
    (["list", "-x"], "['-x']...", ""),
    (["stop", "--regon=us-west-2", "aa"], "['--regon=us-west-2']...",
     "pcluster stop: there is no option --regon=us-west-2; did you mean --region?\n"),
    (["list-clusters", "--stats", "x"], "['--stats', 'x']", ""),
]


def test_words_that_are_missing_or_wrong_give_usage_and_two(person):
    for words, message in MISUSED:
        done = person.run("pcluster", *words).fails(2)
        assert done.out == "" and done.err.startswith("usage: pcluster "), done.story()
        assert done.err.splitlines()[-1] == message, done.story()


def test_words_that_no_verb_has_are_all_told(person):
    for words, unknown, err in UNKNOWN:
        done = person.run("pcluster", *words).fails(1)
        usage, last = done.out.splitlines()
        assert usage.startswith(f"usage: pcluster {words[0]} [-h] "), done.story()
        assert last == f"Invalid arguments {unknown}" and done.err == err, done.story()


def test_what_is_not_there_is_told_on_the_stream_of_errors(person):
    for verb in ("status", "start", "stop", "instances", "update", "ssh"):
        assert said(person.run("pcluster", verb, "none")) == (1, "", "ERROR: cluster none does not exist\n"), verb
    assert said(person.run("pcluster", "delete", "-nw", "none")) == (
        0, "Deleting: none\nWARNING: Cluster none does not exist: it is deleted already.\n", "")
    begun = "Beginning cluster creation for cluster: aa\n"
    assert said(person.run("pcluster", "create", "-c", "none.config", "aa")) == (
        1, begun, "ERROR: the configuration file none.config does not exist\n")
    home = person.home / ".parallelcluster/config"
    assert said(person.run("pcluster", "create", "aa")) == (
        1, begun, f"ERROR: the configuration file {home} does not exist\n")
    person.write("one.config", BATCH)
    assert said(person.run("pcluster", "create", "-c", "one.config", "-t", "two", "aa")) == (
        1, begun, "ERROR: The section [cluster two] is not in the file: it has [cluster one]; name one with -t\n")
    log = (person.home / ".parallelcluster/pcluster-cli.log").read_text()
    assert re.search(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO \[pcluster:main\] status none$", log, re.M), log
    assert "ERROR [pcluster:v2] cluster none does not exist\n" in log, log
    named = person.run("pcluster", "status", "none", env={"PCLUSTER_LOG_FILE": str(person.home / "my.log")})
    assert named.code == 1 and "status none" in (person.home / "my.log").read_text()


def test_sanity_check_false_tells_and_goes_on(person):
    broken = BATCH.replace("base_os = alinux2", "base_os = ubuntu2004")
    person.write("strict.config", broken)
    person.clusters.append("odd")
    refused = person.run("pcluster", "create", "-c", "strict.config", "odd").fails(1)
    assert refused.err.startswith("ERROR: ") and "ERROR" not in refused.out, refused.story()
    person.write("lax.config", broken.replace("sanity_check = true", "sanity_check = false"))
    made = person.run("pcluster", "create", "-c", "lax.config", "-nr", "-nw", "odd").ok()
    assert made.err == refused.err.replace("strict.config", "lax.config"), (made.story(), refused.story())
    assert made.out.endswith("Creating stack named: parallelcluster-odd\nStatus: CREATE_IN_PROGRESS\n"), made.story()
    status = person.run("pcluster", "status", "odd").ok()
    assert "Status: CREATE_COMPLETE\nMasterServer: RUNNING\nClusterUser: ubuntu\n" in status.out, status.story()


def test_warnings_are_on_stdout_and_the_region_is_the_lines(person):
    path = person.write("one.config", BATCH)
    person.clusters.append("west")
    made = person.run("pcluster", "create", "-r", "eu-west-1", "-u", "https://x/y.json", "-p", '{"A": "b"}', "west",
                      env={"AWS_PCLUSTER_CONFIG_FILE": str(path), "AWS_DEFAULT_REGION": "eu-north-1"})
    # A region that the file contradicts is no error in version 2: the line wins.
    made.ok()
    assert made.err == "" and "WARNING: --extra-parameters are of a CloudFormation template" in made.out, made.story()
    assert "\nWARNING: the cluster may grow to 64 vCPUs and this machine has " in made.out, made.story()
    described = person.run("pcluster", "describe-cluster", "-n", "west").ok().json()
    assert described["region"] == "eu-west-1", described
    assert "west" in person.run("pcluster", "list", "-r", "eu-west-1").ok().out
    assert "west" not in person.run("pcluster", "list", "-r", "us-west-2").ok().out
    assert said(person.run("pcluster", "instances", "west")) == (
        0, f"MasterServer         {described['headNode']['instanceId']}\n"
           "Run 'awsbhosts --cluster west' to list the compute instances\n", "")
    assert said(person.run("pcluster", "stop", "west")) == (0, "Disabling AWS Batch compute environment : west\n", "")
    assert said(person.run("pcluster", "start", "west")) == (0, "Enabling AWS Batch compute environment : west\n", "")


def test_a_slurm_file_of_version_2_is_told_of_in_slurms_words(person):
    person.write(".parallelcluster/config", SLURM)
    (person.home / ".parallelcluster").chmod(0o755)
    person.clusters.append("old")
    person.run("pcluster", "create", "old").ok()
    shown = person.run("pcluster", "describe-cluster-instances", "-n", "old").ok().json()["instances"]
    head, node = [instance["instanceId"] for instance in shown]
    assert said(person.run("pcluster", "instances", "old")) == (
        0, f"MasterServer         {head}\nComputeFleet         {node}\n", "")
    assert said(person.run("pcluster", "stop", "old")) == (0, "Stopping compute fleet : old\n", "")
    assert said(person.run("pcluster", "start", "old")) == (0, "Starting compute fleet : old\n", "")
    address = shown[0]["privateIpAddress"]
    assert said(person.run("pcluster", "ssh", "-d", "old", "ls", "a b")) == (
        0, f"SSH command: ssh -A ubuntu@{address} ls 'a b'\n", "")
    person.write(".parallelcluster/config", SLURM.replace("max_queue_size = 2", "max_queue_size = 3"))
    begun = person.run("pcluster", "update", "-nw", "-y", "old").ok()
    assert begun.out.endswith("Updating: old\nStatus: UPDATE_IN_PROGRESS\n"), begun.story()
    status = person.run("pcluster", "status", "old").ok()
    assert "Status: UPDATE_COMPLETE\nMasterServer: RUNNING\n" in status.out, status.story()


@pytest.mark.parametrize("words", [["-n", "shared", "--dryrun"], ["-n", "shared", "--dryrun", "true"], ["--dryrun", "-n", "shared"],
                                   ["--cluster-name=shared", "--dryrun=True"], ["--dryrun", "TRUE", "-n", "shared"]])
def test_a_dry_run_of_ssh_takes_a_value_or_none(cluster, words):
    address = cluster.person.run("pcluster", "describe-cluster", "-n", "shared").ok().json()["headNode"]["privateIpAddress"]
    done = cluster.person.run("pcluster", "ssh", *words).ok()
    assert done.json() == {"command": f"ssh ec2-user@{address}"} and done.err == "", done.story()


def test_ssh_that_is_no_dry_run_runs(cluster):
    for words in (["-n", "shared", "--dryrun", "false"], ["-n", "shared", "--dryrun=false"], ["shared"]):
        assert said(cluster.person.run("pcluster", "ssh", *words, "echo", "there")) == (0, "there\n", ""), words
    for words in (["--dryrun", "shared"], ["shared", "--dryrun"], ["-d", "shared"], ["shared", "-d"]):
        assert cluster.person.run("pcluster", "ssh", *words).ok().out.startswith("SSH command: ssh ec2-user@10."), words


def test_a_cluster_that_comes_up_tells_its_head_nodes_address(person):
    wait = script(person, "wait.sh", "until [ -e /shared/go ]; do sleep 0.05; done\n")
    path = person.write("slow.yaml", actions_file(head=[f"OnNodeStart: {{Script: {wait}}}"]))
    person.clusters.append("slow")
    person.run("pcluster", "create-cluster", "-n", "slow", "-c", path).ok()

    def look():
        described = person.run("pcluster", "describe-cluster", "-n", "slow").ok().json()
        head = described.get("headNode", {})
        assert head.get("privateIpAddress") != "", described
        return "privateIpAddress" in head, described
    described = harness.wait_until(look, "the head node's address", 20)
    assert described["clusterStatus"] == "CREATE_IN_PROGRESS" and described["headNode"]["state"] == "pending", described
    assert re.fullmatch(r"10\.0\.\d+\.\d+", described["headNode"]["privateIpAddress"]), described
    status = person.run("pcluster", "status", "-nw", "slow").ok()
    assert status.out == "Status: CREATE_IN_PROGRESS\n" and status.err == "", status.story()
    entered = person.run("pcluster", "ssh", "slow").fails(1)
    assert entered.err == "ERROR: cluster slow is CREATE_IN_PROGRESS: its head node cannot be entered\n", entered.story()
    waiting = person.start("pcluster", "status", "slow")
    told = waiting.stdout.readline().decode()  # it waits: what has happened so far comes at once
    assert re.fullmatch(r"Status: \S+ - \w+\n", told), told
    (person.state / "slow/shared/data/go").write_text("")
    out, err = (text.decode() for text in waiting.communicate(timeout=60 * harness.PATIENCE))
    assert waiting.returncode == 0 and "Status: slow - CREATE_COMPLETE\n" in out and "MasterServer: RUNNING" in out, told + out + err
