"""A cluster follows its file: what can change at once does, the rest is refused with the reason, and a crash at any step
leaves the old or the new configuration whole."""

import harness
import pytest


def update(cluster, text, *words, name="next.yaml"):
    path = cluster.person.write(name, text)
    return cluster.person.run("pcluster", "update-cluster", "-n", cluster.name, "-c", path, *words, seconds=60)


def described(cluster):
    return cluster.person.run("pcluster", "describe-cluster", "-n", cluster.name).ok().json()


def changes(answer):
    return {c["parameter"]: (c["currentValue"], c["requestedValue"]) for c in answer["changeSet"]}


RESOURCE = "Scheduling.AwsBatchQueues[queue1].ComputeResources[small]"


def test_grows_and_shrinks_with_its_file_while_a_job_runs(person):
    cluster = person.create("up", minimum=2, maximum=4)
    job = cluster.script("until test -e $PCLUSTER_SHARED_DIRS/go; do sleep 0.1; done\n")
    cluster.wait_for(job, "RUNNING")
    wider = harness.cluster_file(minimum=4, maximum=8, extra="Coxswain:\n  ScaledownIdletime: 1\n")
    tried = update(cluster, wider, "--dryrun", "true").fails(1).json()
    assert tried["message"] == "Request would have succeeded, but DryRun flag is set."
    assert changes(tried) == {f"{RESOURCE}.MinvCpus": ("2", "4"), f"{RESOURCE}.MaxvCpus": ("4", "8"),
                              "Coxswain.ScaledownIdletime": ("-", "1")}
    assert (cluster.directory / "config").read_text() == harness.cluster_file(minimum=2, maximum=4)

    done = update(cluster, wider, "--wait").ok().json()
    assert done["clusterStatus"] == "UPDATE_COMPLETE" and changes(done) == changes(tried)
    assert (cluster.directory / "config").read_text() == wider
    harness.wait_until(lambda: (len(cluster.hosts()) == 2, cluster.hosts()), "the new minimum's node", 30)
    assert cluster.status(job) == "RUNNING"
    (cluster.directory / "shared/data/go").touch()
    assert cluster.finish(job)["status"] == "SUCCEEDED"

    same = update(cluster, wider).fails(1).json()
    assert same["message"] == "Bad Request: No changes found in your cluster configuration."
    events = person.run("pcluster", "get-cluster-stack-events", "-n", "up").ok().json()["events"]
    of_stack = [e["resourceStatus"] for e in reversed(events) if e["logicalResourceId"] == "up"]
    assert of_stack == ["CREATE_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"]


def test_refuses_what_cannot_change_and_changes_nothing(person):
    cluster = person.create("no", minimum=4, maximum=6)
    before = harness.cluster_file(minimum=4, maximum=6)
    lower = before.replace("MinvCpus: 4", "MinvCpus: 0").replace("DesiredvCpus: 4", "DesiredvCpus: 0")
    lower = lower.replace("MaxvCpus: 6", "MaxvCpus: 2").replace("t3.micro", "t3.medium").replace("/shared", "/other")
    done = update(cluster, lower).fails(1).json()
    assert done["message"] == "Update failure"
    errors = {e["parameter"]: e["message"] for e in done["updateValidationErrors"]}
    assert set(errors) == {"HeadNode.InstanceType", "SharedStorage[data].MountDir", f"{RESOURCE}.MaxvCpus"}, errors
    assert "4 vCPUs are running" in errors[f"{RESOURCE}.MaxvCpus"]
    assert "Restore t3.micro, or make a new cluster" in errors["HeadNode.InstanceType"]
    assert "MinvCpus" in str(done["changeSet"])
    assert (cluster.directory / "config").read_text() == before
    assert described(cluster)["clusterStatus"] == "CREATE_COMPLETE"


def test_gets_more_queues_and_storage_and_gives_an_empty_queue_back(person):
    cluster = person.create("more", minimum=2, maximum=4)
    old = harness.cluster_file(minimum=2, maximum=4)
    queue = """    - Name: second
      Networking:
        SubnetIds:
          - subnet-0123456789abcdef1
      ComputeResources:
        - Name: other
          InstanceTypes:
            - c4.xlarge
          MinvCpus: 0
          MaxvCpus: 8
"""
    storage = "  - Name: extra\n    StorageType: Ebs\n    MountDir: /extra\nScheduling:"
    text = old.replace("Scheduling:", storage) + queue
    done = update(cluster, text, "--wait").ok().json()
    assert set(changes(done)) == {"SharedStorage", "Scheduling.AwsBatchQueues"}, done
    job = cluster.script("hostname > /extra/second\n", "-jq", "second")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    here = cluster.script("test -e /extra/second && echo seen\n")  # on the node that was there before
    assert cluster.finish(here)["status"] == "SUCCEEDED" and "seen" in cluster.output(here)

    busy = update(cluster, old, "--wait").fails(1).json()
    assert {e["parameter"] for e in busy["updateValidationErrors"]} == {"SharedStorage", "Scheduling.AwsBatchQueues"}
    quick = text + "Coxswain:\n  ScaledownIdletime: 0\n"
    assert update(cluster, quick, "--wait").ok().json()["clusterStatus"] == "UPDATE_COMPLETE"
    harness.wait_until(lambda: (all("second" not in h["computeEnvironment"] for h in cluster.hosts()), cluster.hosts()),
                       "the second queue's nodes to go", 30)
    fewer = quick.replace(queue, "")
    assert update(cluster, fewer, "--wait").ok().json()["clusterStatus"] == "UPDATE_COMPLETE"
    assert "second" not in person.run("awsbqueues", "-c", "more").ok().out


STEPS = ["staged", "begun", "shared", "applied", "kept"]


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_leaves_the_old_or_the_new(person, step):
    point = person.directory / "fail"
    person.environment_more = {"COX_FAIL_FILE": str(point)}
    cluster = person.create("crash", minimum=2, maximum=4)
    old = harness.cluster_file(minimum=2, maximum=4)
    new = harness.cluster_file(minimum=2, maximum=8).replace(
        "Scheduling:", "  - Name: extra\n    StorageType: Ebs\n    MountDir: /extra\nScheduling:")
    point.write_text(f"kill:update/{step}\n")
    point.chmod(0o666)
    point.parent.chmod(0o777)
    begun = update(cluster, new, "--wait")
    assert not point.exists(), begun.story()  # it was there that the daemon died

    def settled():
        seen = described(cluster)
        return not seen["clusterStatus"].endswith("IN_PROGRESS"), seen
    seen = harness.wait_until(settled, "the update to end", 30)
    text = (cluster.directory / "config").read_text()
    assert not (cluster.directory / "config.next").exists()
    if step == "staged":
        assert begun.code == 1 and text == old and seen["clusterStatus"] == "CREATE_COMPLETE", begun.story()
    else:
        assert begun.code == 0 and text == new and seen["clusterStatus"] == "UPDATE_COMPLETE", begun.story()
    job = cluster.script("if test -d /extra; then echo new; else echo old; fi\n")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert cluster.output(job) == ["old" if step == "staged" else "new"]


@pytest.mark.parametrize("step", ["begun", "shared"])
def test_what_cannot_be_carried_out_is_taken_back(person, step):
    point = person.directory / "fail"
    person.environment_more = {"COX_FAIL_FILE": str(point)}
    cluster = person.create("back", minimum=2, maximum=4)
    new = harness.cluster_file(minimum=2, maximum=8).replace(
        "Scheduling:", "  - Name: extra\n    StorageType: Ebs\n    MountDir: /extra\nScheduling:")
    point.write_text(f"fail:update/{step}\n")
    point.chmod(0o666)
    point.parent.chmod(0o777)
    done = update(cluster, new, "--wait").fails(1).json()
    assert done["clusterStatus"] == "UPDATE_FAILED" and "taken back" in done["message"], done
    assert done["cloudFormationStackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert (cluster.directory / "config").read_text() == harness.cluster_file(minimum=2, maximum=4)
    job = cluster.script("test -d /extra && ls /extra/x; true\n")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert update(cluster, new, "--wait").ok().json()["clusterStatus"] == "UPDATE_COMPLETE"


def ini(minimum=2, maximum=4, head="t3.micro"):
    return f"""[aws]
aws_region_name = us-west-2
[global]
cluster_template = small
[cluster small]
scheduler = awsbatch
base_os = alinux2
master_instance_type = {head}
compute_instance_type = c4.large
vpc_settings = here
min_vcpus = {minimum}
desired_vcpus = 2
max_vcpus = {maximum}
[vpc here]
vpc_id = vpc-12345678
master_subnet_id = subnet-12345678
"""


def test_version_2_shows_a_table_and_asks(person):
    path = person.write("v2.config", ini())
    person.clusters.append("old")
    person.run("pcluster", "create", "-c", path, "old", seconds=60).ok()
    wider = person.write("wider.config", ini(maximum=8))
    no = person.run("pcluster", "update", "-c", wider, "old", stdin="n\n").fails(1)
    assert "[cluster] max_vcpus" in no.out and "Do you want to proceed with the update? - Y/N:" in no.out, no.story()
    assert no.out.endswith("Update aborted.\n"), no.story()
    yes = person.run("pcluster", "update", "-c", wider, "-y", "old").ok()
    assert yes.out.endswith("Status: UPDATE_COMPLETE\n"), yes.story()
    status = person.run("pcluster", "status", "old").ok()
    assert "Status: UPDATE_COMPLETE" in status.out and "MasterServer: RUNNING" in status.out, status.story()
    other = person.write("other.config", ini(maximum=8, head="t3.medium"))
    refused = person.run("pcluster", "update", "-c", other, "-y", "old").fails(1)
    assert "[cluster] master_instance_type cannot be changed" in refused.out, refused.story()


def test_a_kind_of_nodes_that_the_cluster_was_made_without_is_refused(person):
    """What hosts and Slurm offer is looked at when a cluster is made; nothing else steps in for them."""
    cluster = person.create("kind", minimum=0, maximum=4)
    before = (cluster.directory / "config").read_text()
    for provider, own in (("slurm", "  Slurm: {Partition: day}\n"), ("ssh", "  Ssh: {Hosts: [10.0.0.11]}\n")):
        other = before + f"Coxswain:\n  Provider: {provider}\n{own}"
        assert update(cluster, other).fails(1).json()["message"] == "Update failure"
        said = update(cluster, other, "--force-update", "true").fails(1).json()["message"]
        assert f"compute environment kind-small has the provider {provider}, and the cluster was made without" in said, said
    assert described(cluster)["clusterStatus"] == "CREATE_COMPLETE"
    assert (cluster.directory / "config").read_text() == before
