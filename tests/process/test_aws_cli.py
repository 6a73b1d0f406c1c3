"""Debian's AWS CLI against a running cluster: every operation of AWS Batch and of CloudWatch Logs' reading that it knows."""

import json
import os

import pytest

import harness
from test_batch_api import Aws, managed


@pytest.fixture(scope="module")
def aws(cluster):
    return Aws(cluster)


@pytest.fixture(scope="module")
def cluster(shared_person):
    """Its images are names only: commands run on the nodes."""
    text = harness.cluster_file(minimum=2, maximum=6, extra="Coxswain:\n  Containers: host\n")
    return shared_person.create("shared", text)


def test_every_operation(cluster, aws):
    if cluster.person.is_root and os.geteuid() == 0:
        return  # the ordinary user does it: some thirty programs of Python take their time
    called = set()

    def run(service, operation, **given):
        """As `aws batch submit-job --job-name x`."""
        called.add((service, operation))
        words = []
        for name, value in given.items():
            words.append("--" + name.replace("_", "-"))
            words += [] if value is None else [value if isinstance(value, str) else json.dumps(value)]
        return cluster.person.run("aws", "--endpoint-url", aws.endpoint, "--output", "json", service, operation, *words, env=aws.variables)

    def ask(service, operation, **given):
        done = run(service, operation, **given).ok()
        return json.loads(done.out or "{}")

    def batch(operation, **given):
        return ask("batch", operation, **given)

    policy = batch("create-scheduling-policy", name="cli", fairshare_policy={"shareDecaySeconds": 60})["arn"]
    batch("update-scheduling-policy", arn=policy, fairshare_policy={"shareDistribution": [{"shareIdentifier": "a"}]})
    [shown] = batch("describe-scheduling-policies", arns=policy)["schedulingPolicies"]
    assert shown["fairsharePolicy"]["shareDistribution"] == [{"shareIdentifier": "a", "weightFactor": 1.0}]
    assert batch("list-scheduling-policies") == {"schedulingPolicies": [{"arn": policy}]}

    made = batch("create-compute-environment", compute_environment_name="cli", type="MANAGED", compute_resources=managed())
    assert made["computeEnvironmentArn"] == aws.arn("compute-environment", "cli")
    batch("update-compute-environment", compute_environment="cli", compute_resources={"maxvCpus": 2})
    [shown] = batch("describe-compute-environments", compute_environments="cli")["computeEnvironments"]
    assert shown["computeResources"]["maxvCpus"] == 2
    batch("create-job-queue", job_queue_name="cli", priority="1", compute_environment_order="order=3,computeEnvironment=cli",
          scheduling_policy_arn=policy)
    batch("update-job-queue", job_queue="cli", priority="7")
    [shown] = batch("describe-job-queues", job_queues="cli")["jobQueues"]
    assert (shown["priority"], shown["computeEnvironmentOrder"][0]["order"]) == (7, 3)

    first = batch("register-job-definition", job_definition_name="cli", type="container", container_properties={
        "image": "busybox", "vcpus": 1, "memory": 64, "command": ["echo", "Ref::word"]})
    assert first["revision"] == 1
    # The CLI itself goes from page to page.
    batch("register-job-definition", job_definition_name="cli", type="container", container_properties={
        "image": "busybox", "vcpus": 1, "memory": 64, "command": ["true"]})
    both = batch("describe-job-definitions", job_definition_name="cli", page_size="1")["jobDefinitions"]
    assert [each["revision"] for each in both] == [1, 2]
    batch("deregister-job-definition", job_definition="cli:2")
    active = batch("describe-job-definitions", job_definition_name="cli", status="ACTIVE")["jobDefinitions"]
    assert [each["revision"] for each in active] == [1]

    job = batch("submit-job", job_name="cli", job_queue="cli", job_definition="cli", share_identifier="a", parameters="word=hello")["jobId"]
    end = aws.wait(job, "SUCCEEDED")
    # The CLI has a model of its own, which knows more members.
    [shown] = batch("describe-jobs", jobs=job)["jobs"]
    assert {name: shown[name] for name in end} == end
    [listed] = batch("list-jobs", job_queue="cli", job_status="SUCCEEDED")["jobSummaryList"]
    assert listed["jobId"] == job
    arn = aws.arn("job", job)
    batch("tag-resource", resource_arn=arn, tags="one=1,two=2")
    batch("untag-resource", resource_arn=arn, tag_keys="one")
    assert batch("list-tags-for-resource", resource_arn=arn) == {"tags": {"two": "2"}}
    running = aws.submit(command=["sleep", "600"])
    waiting = aws.submit(dependsOn=[{"jobId": running}])
    aws.wait(running, "RUNNING")
    batch("cancel-job", job_id=waiting, reason="not needed")
    batch("terminate-job", job_id=running, reason="enough")
    assert [aws.wait(each, "FAILED")["statusReason"] for each in (waiting, running)] == ["not needed", "enough"]

    group, stream = "/aws/batch/job", end["container"]["logStreamName"]
    assert [e["message"] for e in ask("logs", "get-log-events", log_group_name=group, log_stream_name=stream)["events"]] == ["hello"]
    [shown] = ask("logs", "describe-log-streams", log_group_name=group, log_stream_name_prefix=stream)["logStreams"]
    assert shown["logStreamName"] == stream
    assert [g["logGroupName"] for g in ask("logs", "describe-log-groups")["logGroups"]] == [group]
    found = ask("logs", "filter-log-events", log_group_name=group, log_stream_names=stream, filter_pattern="hello")["events"]
    assert [e["message"] for e in found] == ["hello"]

    refusals = {
        "delete-scheduling-policy": (dict(arn=policy), "Cannot delete, found existing JobQueue relationship"),
        "delete-compute-environment": (dict(compute_environment="cli"), "Cannot delete, found existing JobQueue relationship"),
        "submit-job": (dict(job_name="-", job_queue="cli", job_definition="cli"), "Job name should match valid pattern"),
    }
    for operation, (given, said) in refusals.items():
        failed = run("batch", operation, **given).fails(254)
        assert f"An error occurred (ClientException) when calling the {operation.title().replace('-', '')} operation: {said}" in failed.err
    batch("update-job-queue", job_queue="cli", state="DISABLED")
    batch("delete-job-queue", job_queue="cli")
    batch("update-compute-environment", compute_environment="cli", state="DISABLED")
    batch("delete-compute-environment", compute_environment="cli")
    batch("delete-scheduling-policy", arn=policy)
    batch("deregister-job-definition", job_definition="cli:1")

    model = aws.batch.meta.service_model
    known = {name for name in model.operation_names}
    assert {operation.title().replace("-", "") for service, operation in called if service == "batch"} == known and len(known) == 24
    assert len([1 for service, _ in called if service == "logs"]) == 4
