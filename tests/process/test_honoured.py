"""What a file says of the cluster beside its nodes: tags, the user's name of the image, shared directories."""

import re
import shutil
import tarfile

import harness

INI = """[aws]
aws_region_name = us-west-2
[global]
cluster_template = mine
[aliases]
ssh = ssh -t {CFN_USER}@{MASTER_IP} {ARGS}
[cluster mine]
scheduler = awsbatch
base_os = alinux2
compute_instance_type = c4.large
min_vcpus = 0
desired_vcpus = 0
max_vcpus = 4
vpc_settings = net
tags = {"project": "file", "owner": "file"}
[vpc net]
vpc_id = vpc-01234567
master_subnet_id = subnet-01234567
"""

TWO_SHARED = """SharedStorage:
  - Name: data
    StorageType: Ebs
    MountDir: /data
  - Name: results
    StorageType: Efs
    MountDir: results
Tags:
  - Key: project
    Value: turbines
"""


def tags_of(cluster):
    shown = cluster.person.run("pcluster", "describe-cluster", "-n", cluster.name).ok().json()["tags"]
    return {tag["key"]: tag["value"] for tag in shown}


def aws(cluster, *words):
    keys = cluster.person.run("cox", "credentials", cluster.name, "--json").ok().json()
    env = {name: str(value) for name, value in keys.items() if name.startswith("AWS_")}
    return cluster.person.run("/usr/bin/aws", "--endpoint-url", env["AWS_ENDPOINT_URL"], *words, env=env).ok().json()


def test_version_2_takes_tags_parameters_and_an_alias(person):
    path = person.write("old.config", INI)
    person.run("pcluster", "create", "-c", path, "-g", "[1]", "old").fails(1)
    refused = person.run("pcluster", "create", "-c", path, "-p", "x=y", "old").fails(1)
    assert "--extra-parameters takes a JSON map" in refused.err, refused.story()
    assert not (person.state / "old").exists()

    person.clusters.append("old")
    made = person.run("pcluster", "create", "-c", path, "-g", '{"owner": "line"}', "-p", '{"AccessFrom": "0.0.0.0/0"}', "old").ok()
    assert "WARNING: --extra-parameters" in made.out, made.story()
    cluster = harness.Cluster(person, "old")
    tags = tags_of(cluster)
    assert tags["project"] == "file" and tags["owner"] == "line", tags
    environment = aws(cluster, "batch", "describe-compute-environments")["computeEnvironments"][0]
    assert environment["tags"] == {"project": "file", "owner": "line", "parallelcluster:cluster-name": "old"}

    env = {"AWS_PCLUSTER_CONFIG_FILE": str(path)}
    address = person.run("pcluster", "describe-cluster", "-n", "old").ok().json()["headNode"]["privateIpAddress"]
    dry = person.run("pcluster", "ssh", "old", "-d", "uptime", "-p", env=env).ok()
    assert dry.out == f"SSH command: ssh -t ec2-user@{address} uptime -p\n", dry.story()
    plain = person.run("pcluster", "ssh", "old", "-d").ok()
    assert plain.out == f"SSH command: ssh ec2-user@{address}\n", plain.story()
    person.write("odd.config", INI.replace("{CFN_USER}", "{USER}"))
    odd = person.run("pcluster", "ssh", "old", "-d", env={"AWS_PCLUSTER_CONFIG_FILE": str(person.home / "odd.config")})
    odd.fails(1)
    assert "{USER} is none of {CFN_USER}, {MASTER_IP} and {ARGS}" in odd.err and "odd.config" in odd.err, odd.story()

    assert "\x1b[32mCREATE_COMPLETE" in person.run("pcluster", "list", "--color").ok().out
    assert "\x1b" not in person.run("pcluster", "list").ok().out
    same = person.run("pcluster", "update", "-c", path, "-rd", "-y", "old").ok()
    assert same.out.startswith("reset_desired flag does not work with awsbatch scheduler\n"), same.story()
    person.write("more.config", INI.replace("max_vcpus = 4", "max_vcpus = 6"))
    person.run("pcluster", "update", "-c", person.home / "more.config", "-y", "old").ok()
    assert tags_of(cluster) == tags  # those of the line are the cluster's, whatever file comes next


def test_each_shared_directory_is_every_nodes_and_outlives_a_stop(person):
    text = harness.cluster_file(minimum=4, maximum=4, shared="") + TWO_SHARED
    cluster = person.create("two", text)
    # Each file is there at once with what is in it: who waits for its name never reads half of it.
    job = cluster.script("if [ $AWS_BATCH_JOB_NODE_INDEX -eq 0 ]; then\n"
                         "  echo a > /data/a; echo b > /results/new; mv /results/new /results/b; fi\n"
                         "for i in $(seq 400); do [ -f /results/b ] && break; sleep 0.05; done\n"
                         "seen=/data/seen.$AWS_BATCH_JOB_NODE_INDEX\n"
                         "cat /data/a /results/b > $seen.new; mv $seen.new $seen\n"
                         "if [ $AWS_BATCH_JOB_NODE_INDEX -eq 0 ]; then\n"
                         "  for i in $(seq 400); do [ -f /data/seen.1 ] && break; sleep 0.05; done; fi\n",
                         nodes=2)
    cluster.finish(job)
    assert cluster.details(job)["status"] == "SUCCEEDED", cluster.output(job)
    seen = cluster.ssh("cat /data/seen.0 /data/seen.1; echo $HOME").ok().out.split()
    assert seen == ["a", "b", "a", "b", "/home/ec2-user"], seen
    assert tags_of(cluster)["project"] == "turbines"
    queue = aws(cluster, "batch", "describe-job-queues")["jobQueues"][0]
    assert queue["tags"]["project"] == "turbines" and queue["tags"]["parallelcluster:cluster-name"] == "two"
    person.run("pcluster", "stop", "two").ok()
    person.run("pcluster", "start", "two").ok()
    assert cluster.ssh("cat /results/b").ok().out == "b\n"


def test_the_image_names_the_user(person):
    text = harness.cluster_file(minimum=0, maximum=2).replace("Os: alinux2", "Os: ubuntu2204")
    # The original has awsbatch on Amazon Linux alone: said, and passed over when asked.
    path = person.write("image.yaml", text)
    person.clusters.append("image")
    done = person.run("pcluster", "create-cluster", "-n", "image", "-c", path, "--wait")
    if done.code != 0:
        assert "alinux2" in done.out, done.story()
        done = person.run("pcluster", "create-cluster", "-n", "image", "-c", path, "--wait", "--suppress-validators", "ALL")
    done.ok()
    cluster = harness.Cluster(person, "image")
    command = person.run("pcluster", "ssh", "-n", "image", "--dryrun", "true").ok().json()["command"]
    assert command.startswith("ssh ubuntu@10.0."), command
    assert cluster.ssh("echo $HOME").ok().out == "/home/ubuntu\n"


def test_logs_are_kept_where_that_is_asked_for(person):
    person.create("kept", minimum=0, maximum=2)
    done = person.run("pcluster", "delete", "--keep-logs", "kept").ok()
    path = re.search(r"Logs are kept in (\S+/\.parallelcluster/kept-logs-\d+\.tar\.gz)\n", done.out).group(1)
    with tarfile.open(path) as packed:
        assert any(name.endswith("coxd.log") or "coxd" in name for name in packed.getnames()), packed.getnames()
    assert not (person.state / "kept").exists()


def test_storage_that_is_to_stay_outlives_the_cluster(person):
    storage = ("SharedStorage:\n"
               "  - {Name: results, StorageType: Ebs, MountDir: /results, EbsSettings: {DeletionPolicy: Retain}}\n"
               "  - {Name: empty, StorageType: Efs, MountDir: /empty, EfsSettings: {DeletionPolicy: Retain}}\n"
               "  - {Name: scrap, StorageType: Ebs, MountDir: /scrap, EbsSettings: {DeletionPolicy: Delete}}\n")
    cluster = person.create("stays", harness.cluster_file(minimum=0, maximum=2, shared="") + storage)
    cluster.ssh("echo precious > /results/figures; echo waste > /scrap/rest").ok()
    done = person.run("pcluster", "delete-cluster", "-n", "stays", "--wait").ok()
    path = re.search(r"what was in /results is kept in (\S+)\n", done.err)
    assert path and "/scrap" not in done.err and "/empty" not in done.err, done.story()
    assert re.match(r".*/kept_storage/stays-results-\d{14}$", path[1]), done.story()
    with open(f"{path[1]}/figures") as kept:
        assert kept.read() == "precious\n"
    assert [entry.name for entry in person.state.iterdir()] == ["kept_storage"]
    assert person.run("pcluster", "list-clusters").ok().json() == {"clusters": []}
    shutil.rmtree(person.state)
