"""Limits and shapes of AWS Batch that its clients do not check: each is refused by the service, by its name."""

import json
import re
import time
import urllib.error
import urllib.request

import pytest

import harness
from test_batch_api import Aws, container, managed, refused, signed


@pytest.fixture(scope="module")
def cluster(shared_person):
    """Its images are names only: commands run on the nodes."""
    text = harness.cluster_file(minimum=2, maximum=6, extra="Coxswain:\n  Containers: host\n")
    return shared_person.create("shared", text)


@pytest.fixture(scope="module")
def aws(cluster):
    return Aws(cluster)


def call(aws, operation, body, **headers):
    """Status and answer of a signed request that botocore would not send."""
    given = signed(aws, body, path=f"/v1/{operation}")
    request = urllib.request.Request(f"{aws.endpoint}/v1/{operation}", data=body, headers={**given, **headers})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, {"type": error.headers["x-amzn-ErrorType"], **json.loads(error.read())}


RULE = {"onExitCode": "1", "action": "EXIT"}


@pytest.mark.parametrize("given, said", [
    (dict(name=""), "ame"),
    (dict(name="x" * 129), "Job name should match valid pattern"),
    (dict(retryStrategy={"attempts": 2, "evaluateOnExit": [RULE] * 6}), "evaluateOnExit"),
    (dict(retryStrategy={"attempts": 2, "evaluateOnExit": [{"onReason": "x" * 513, "action": "EXIT"}]}), "onReason"),
    (dict(retryStrategy={"attempts": 2, "evaluateOnExit": [{"onStatusReason": "x" * 513, "action": "EXIT"}]}), "onStatusReason"),
    (dict(retryStrategy={"evaluateOnExit": [RULE]}), "attempts"),
    (dict(retryStrategy={"attempts": 11}), "attempts"),
    (dict(tags={str(i): "" for i in range(51)}), "tag"),
    (dict(command=["x" * (31 << 10)]), "larger"),
    (dict(shareIdentifier="a"), "shareIdentifier"),
    (dict(containerOverrides={"environment": [{"name": "AWS_BATCH_X", "value": "1"}]}), "AWS_BATCH"),
    (dict(containerOverrides={"resourceRequirements": [{"type": "VCPU", "value": "0"}]}), "VCPU"),
    (dict(containerOverrides={"resourceRequirements": [{"type": "MEMORY", "value": "3"}]}), "MEMORY"),
    (dict(containerOverrides={"vcpus": 0, "command": ["true"]}), "vcpus"),
    (dict(containerOverrides={"memory": 3, "command": ["true"]}), "memory"),
    (dict(jobDefinition="arn:aws:batch:us-west-2:123456789012:job-queue/queue1"), "does not exist"),
])
def test_what_a_submission_may_not_have(aws, given, said):
    assert said in refused(aws.submit, **given)


@pytest.mark.parametrize("given, said", [
    (dict(containerProperties=container(image="x" * 256)), "image"),
    (dict(containerProperties=container(linuxParameters={"swappiness": 101})), "swappiness"),
    (dict(containerProperties=container(), nodeProperties={"numNodes": 1, "mainNode": 0, "nodeRangeProperties": [
        {"targetNodes": "0:", "container": container()}]}), "nodeProperties"),
    (dict(schedulingPriority=-1), "schedulingPriority"),
    (dict(platformCapabilities=["MAINFRAME"]), "platformCapabilities"),
    (dict(tags={str(i): "" for i in range(51)}), "tag"),
    (dict(containerProperties=container(resourceRequirements=[{"type": "GPU", "value": "none"}])), "GPU"),
])
def test_what_a_definition_may_not_have(aws, given, said):
    base = dict(jobDefinitionName="never", type="container", containerProperties=container())
    assert said in refused(aws.batch.register_job_definition, **{**base, **given})


def test_a_definition_may_not_have_too_many_nodes(aws):
    assert "numNodes" in refused(aws.batch.register_job_definition, jobDefinitionName="never", type="multinode", nodeProperties={
        "numNodes": 1001, "mainNode": 0, "nodeRangeProperties": [{"targetNodes": "0:", "container": container()}]})


@pytest.mark.parametrize("operation, given, said", [
    ("describe_job_queues", dict(jobQueues=["q"] * 101), "jobQueues"),
    ("describe_compute_environments", dict(computeEnvironments=["e"] * 101), "computeEnvironments"),
    ("describe_job_definitions", dict(jobDefinitions=["d:1"] * 101), "jobDefinitions"),
    ("describe_scheduling_policies", dict(arns=["arn:aws:batch:us-west-2:123456789012:scheduling-policy/x"] * 101), "arns"),
    ("describe_job_queues", dict(maxResults=101), "maxResults"),
    ("describe_compute_environments", dict(maxResults=0), "maxResults"),
    ("list_scheduling_policies", dict(maxResults=101), "maxResults"),
    ("list_scheduling_policies", dict(nextToken="never given"), "nextToken"),
    ("list_jobs", dict(jobQueue="queue1", filters=[{"name": "JOB_NAME", "values": ["a"]}] * 2), "filter"),
    ("cancel_job", dict(jobId="x", reason="r" * 1025), "reason"),
    ("terminate_job", dict(jobId="x", reason="r" * 1025), "reason"),
    ("deregister_job_definition", dict(jobDefinition="no-revision"), "jobDefinition"),
    ("update_job_queue", dict(jobQueue="none", priority=1), "none"),
    ("update_compute_environment", dict(computeEnvironment="none", state="ENABLED"), "none"),
    ("update_scheduling_policy", dict(arn="none"), "none"),
    ("create_job_queue", dict(jobQueueName="never", priority=1, computeEnvironmentOrder=[
        {"order": i, "computeEnvironment": "e"} for i in range(4)]), "computeEnvironmentOrder"),
    ("create_scheduling_policy", dict(name="a b"), "not supported pattern"),
    ("create_scheduling_policy", dict(name="never", fairsharePolicy={
        "shareDistribution": [{"shareIdentifier": "a", "weightFactor": 0.00001}]}), "weightFactor"),
    ("create_scheduling_policy", dict(name="never", fairsharePolicy={
        "shareDistribution": [{"shareIdentifier": "a" * 256}]}), "shareIdentifier"),
])
def test_what_else_is_refused(aws, operation, given, said):
    assert said in refused(getattr(aws.batch, operation), **given)


def test_a_scheduling_policy_is_named_by_its_arn(aws):
    arn = aws.batch.create_scheduling_policy(name="named")["arn"]
    first = f"{aws.cluster.name}-small"
    assert "does not exist" in refused(aws.batch.create_job_queue, jobQueueName="never", priority=1, schedulingPolicyArn="named",
                                            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": first}])
    assert aws.batch.describe_scheduling_policies(arns=["named"])["schedulingPolicies"] == []
    aws.batch.delete_scheduling_policy(arn=arn)


def test_an_update_policy_has_limits(aws):
    aws.batch.create_compute_environment(computeEnvironmentName="limits", type="MANAGED", computeResources=managed(), state="DISABLED")
    try:
        assert "jobExecutionTimeoutMinutes" in refused(aws.batch.update_compute_environment, computeEnvironment="limits",
                                                       updatePolicy={"jobExecutionTimeoutMinutes": 361})
        # What could not be made cannot be had by an update either.
        for member, value in (("bidPercentage", 50), ("allocationStrategy", "SPOT_CAPACITY_OPTIMIZED")):
            assert member in refused(aws.batch.update_compute_environment, computeEnvironment="limits", computeResources={member: value})
        aws.batch.update_compute_environment(computeEnvironment="limits", computeResources={"type": "SPOT", "bidPercentage": 50,
                                                                                            "allocationStrategy": "SPOT_CAPACITY_OPTIMIZED"})
    finally:
        aws.batch.delete_compute_environment(computeEnvironment="limits")


def test_bodies_that_botocore_would_not_send(aws):
    assert call(aws, "describejobqueues", b"")[0] == 200
    assert call(aws, "describejobqueues", b'{"jobQueues": null, "colour": 1, "nextToken": ""}')[0] == 200
    for body in (b"[]", b"{"):
        status, answer = call(aws, "describejobqueues", body)
        assert (status, answer["type"]) == (400, "SerializationException") and answer["message"], (body, answer)
    for body in (b'{"jobQueues": "queue1"}', b'{"maxResults": "1"}', b'{"maxResults": 1.5}'):
        status, answer = call(aws, "describejobqueues", body)
        assert (status, answer["type"]) == (400, "ClientException") and answer["message"], (body, answer)
    status, answer = call(aws, "submitjob", b"{}")
    assert (status, answer["type"]) == (400, "ClientException") and answer["message"]
    status, answer = call(aws, "nosuchoperation", b"{}")
    assert status in (400, 403, 404) and answer["message"], answer
    name = f"caf\\u00e9-{time.time_ns()}".encode()
    status, answer = call(aws, "submitjob", b'{"jobName": "' + name + b'", "jobQueue": "queue1", "jobDefinition": "x"}')
    assert status == 400 and "Job name should match valid pattern" in answer["message"]


def test_pages_of_lists_end(aws):
    for i in range(3):
        aws.batch.create_scheduling_policy(name=f"page-{i}")
    token, found = "", []
    while token is not None:
        page = aws.batch.list_scheduling_policies(maxResults=2, nextToken=token)
        found += [each["arn"].rsplit("/")[-1] for each in page["schedulingPolicies"]]
        assert page.get("nextToken") != token
        token = page.get("nextToken")
    assert found == ["page-0", "page-1", "page-2"]
    for i in range(3):
        aws.batch.delete_scheduling_policy(arn=aws.arn("scheduling-policy", f"page-{i}"))


# What AWS would refuse although its clients send it.

@pytest.mark.parametrize("arn", [
    "arn:aws:batch:us-west-2:999999999999:{}", "arn:aws:batch:eu-central-1:123456789012:{}", "arn:aws-cn:batch:us-west-2:123456789012:{}",
    "arn:aws:ecs:us-west-2:123456789012:{}"])
def test_an_arn_of_elsewhere_names_nothing_here(aws, arn):
    """Of another account, another region than the request's, another partition or another service."""
    queue, definition = arn.format("job-queue/queue1"), arn.format(f"job-definition/{aws.definition}:1")
    assert refused(aws.submit, jobQueue=queue) == f"JobQueue {queue} not found."
    assert "does not exist" in refused(aws.submit, jobDefinition=definition)
    assert "not found" in refused(aws.batch.list_jobs, jobQueue=queue)
    refused(aws.batch.list_tags_for_resource, resourceArn=queue)
    refused(aws.batch.update_job_queue, jobQueue=queue, priority=1)
    environment = arn.format(f"compute-environment/{aws.cluster.name}-small")
    refused(aws.batch.update_compute_environment, computeEnvironment=environment, state="ENABLED")
    refused(aws.batch.create_job_queue, jobQueueName="never", priority=1,
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}])
    assert aws.batch.describe_job_queues(jobQueues=[queue])["jobQueues"] == []
    assert aws.batch.describe_compute_environments(computeEnvironments=[environment])["computeEnvironments"] == []
    assert aws.batch.describe_job_definitions(jobDefinitions=[definition])["jobDefinitions"] == []
    there = Aws(aws.cluster, "eu-central-1")
    [shown] = there.batch.describe_job_queues(jobQueues=[there.arn("job-queue", "queue1")])["jobQueues"]
    assert shown["jobQueueName"] == "queue1"


def test_what_this_cluster_has_none_of_is_not_ignored(aws):
    """Members that clients have had since 2024, and this boto3 has not."""
    definition = dict(jobDefinitionName="never", type="container", containerProperties=container())
    submission = dict(jobName="never", jobQueue="queue1", jobDefinition=aws.definition, containerOverrides={"command": ["true"]})
    resources = {"consumableResourceList": [{"consumableResource": "licence", "quantity": 1}]}
    for operation, body, member, value in (
            ("registerjobdefinition", definition, "consumableResourceProperties", resources),
            ("registerjobdefinition", definition, "ecsProperties", {"taskProperties": []}),
            ("registerjobdefinition", definition, "eksProperties", {"podProperties": {}}),
            ("submitjob", submission, "consumableResourcePropertiesOverride", resources),
            ("submitjob", submission, "ecsPropertiesOverride", {"taskProperties": []}),
            ("submitjob", submission, "eksPropertiesOverride", {"podProperties": {}})):
        status, answer = call(aws, operation, json.dumps({**body, member: value}).encode())
        assert (status, answer["type"]) == (400, "ClientException") and member in answer["message"], (operation, answer)
    status, _ = call(aws, "submitjob", json.dumps({**submission, "ecsPropertiesOverride": None}).encode())
    assert status == 200


def test_characters_are_counted_not_bytes(aws):
    for end in (aws.batch.cancel_job, aws.batch.terminate_job):
        end(jobId="none", reason="é" * 1024)
        assert "1024" in refused(end, jobId="none", reason="é" * 1025)


def test_memory_is_a_whole_number_of_32_bits(aws):
    assert "memory" in refused(aws.batch.register_job_definition, jobDefinitionName="never", type="container",
                               containerProperties=container(memory=1 << 31))


def test_an_environment_tells_its_uuid_and_the_defaults_of_its_update_policy(aws):
    [own] = aws.batch.describe_compute_environments(computeEnvironments=[f"{aws.cluster.name}-small"])["computeEnvironments"]
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", own["uuid"])
    aws.batch.create_compute_environment(computeEnvironmentName="policy", type="MANAGED", computeResources=managed(), state="DISABLED")
    try:
        aws.batch.update_compute_environment(computeEnvironment="policy", updatePolicy={"terminateJobsOnUpdate": True})
        [shown] = aws.batch.describe_compute_environments(computeEnvironments=["policy"])["computeEnvironments"]
        assert shown["updatePolicy"] == {"terminateJobsOnUpdate": True, "jobExecutionTimeoutMinutes": 30}
        assert shown["uuid"] != own["uuid"]
    finally:
        aws.batch.delete_compute_environment(computeEnvironment="policy")


def test_a_job_for_an_environment_without_nodes_is_told_so(aws):
    aws.batch.create_compute_environment(computeEnvironmentName="bare", type="UNMANAGED", unmanagedvCpus=4)
    aws.batch.create_job_queue(jobQueueName="bare", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "bare"}])
    try:
        job = aws.submit(jobQueue="bare")
        assert aws.job(job)["status"] == "RUNNABLE"
        assert "compute environment bare has no nodes and can get none" in aws.job(job)["statusReason"]
        assert "--job-queue queue1 starts at once" in aws.job(job)["statusReason"]
    finally:
        aws.batch.update_job_queue(jobQueue="bare", state="DISABLED")
        aws.batch.delete_job_queue(jobQueue="bare")
        aws.batch.update_compute_environment(computeEnvironment="bare", state="DISABLED")
        aws.batch.delete_compute_environment(computeEnvironment="bare")


# Logs.

def test_log_events_come_by_the_megabyte(aws):
    """Without a limit; pages join to the whole, from both ends."""
    lines, width = 60, 50_000
    job = aws.submit(command=["/usr/bin/awk", f"BEGIN {{ for (i = 0; i < {lines}; i++) {{ printf \"%02d \", i; for (j = 0; j < {width}; j++) "
                                              "printf \"x\"; print \"\" } }"])
    stream = aws.wait(job, "SUCCEEDED")["container"]["logStreamName"]

    def read(**more):
        answer = aws.logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream, **more)
        assert "limit" in more or sum(len(e["message"]) for e in answer["events"]) <= 1 << 20
        return [int(e["message"][:2]) for e in answer["events"]], answer
    found, answer = read(startFromHead=True)
    while answer["events"]:
        more, answer = read(nextToken=answer["nextForwardToken"])
        found += more
    assert found == list(range(lines))
    found, answer = read()
    assert len(found) > 10 and found[-1] == lines - 1
    while answer["events"]:
        more, answer = read(nextToken=answer["nextBackwardToken"])
        found = more + found
    assert found == list(range(lines))
    # Where one direction has ended, the token of the other one leads back.
    assert read(nextToken=answer["nextForwardToken"])[0][0] == 0
    assert read(limit=10_000)[0] == list(range(lines))


@pytest.mark.parametrize("operation, given, said", [
    ("get_log_events", dict(logStreamName="a:b"), "log stream"),
    ("get_log_events", dict(logStreamName="a*"), "log stream"),
    ("get_log_events", dict(logStreamName="x" * 513), "logStreamName"),
    ("get_log_events", dict(logStreamName="a", nextToken="never given"), "nextToken"),
    ("get_log_events", dict(logStreamName="a", logGroupName="a b"), "logGroupName"),
    ("describe_log_streams", dict(logStreamNamePrefix="a:"), "log stream"),
    ("describe_log_streams", dict(nextToken="never given"), "nextToken"),
    ("describe_log_streams", dict(orderBy="LastEventTime", logStreamNamePrefix="a"), "LastEventTime"),
    ("filter_log_events", dict(logStreamNames=["a:b"]), "log stream"),
    ("filter_log_events", dict(logStreamNames=["a"], logStreamNamePrefix="a"), "exclude"),
    ("filter_log_events", dict(nextToken="never given"), "nextToken"),
])
def test_what_logs_are_not_asked(aws, operation, given, said):
    base = dict(logGroupName="/aws/batch/job")
    assert said in refused(getattr(aws.logs, operation), "InvalidParameterException", **{**base, **given})


def test_log_groups_have_names_of_few_characters(aws):
    assert "logGroupName" in refused(aws.logs.describe_log_groups, "InvalidParameterException", logGroupNamePrefix="a b")


def test_nodes_are_overridden_only_where_a_range_is_open(aws):
    """Even by the number that the definition has."""
    name = f"closed-{time.time_ns()}"
    aws.batch.register_job_definition(jobDefinitionName=name, type="multinode", nodeProperties={
        "numNodes": 2, "mainNode": 0, "nodeRangeProperties": [{"targetNodes": "0:1", "container": container()}]})
    for nodes in (2, 3):
        assert "numNodes can be given only where" in refused(aws.submit, jobDefinition=name, nodeOverrides={"numNodes": nodes})


def test_numbers_in_names_are_as_they_are_shown(aws):
    assert "does not exist" in refused(aws.submit, jobDefinition=f"{aws.definition}:01")
    job = aws.submit(jobDefinition=f"{aws.definition}MNP", nodeOverrides={"numNodes": 2, "nodePropertyOverrides": [
        {"targetNodes": "0:", "containerOverrides": {"command": ["true"]}}]})
    assert [each["jobId"] for each in aws.batch.describe_jobs(jobs=[f"{job}#1", f"{job}#01", f"{job}#2"])["jobs"]] == [f"{job}#1"]


def test_a_command_has_no_nul(aws):
    """No program could be given it: the word would end there."""
    assert "NUL" in refused(aws.submit, command=["echo", "a\0b"])
    name = f"nul-{time.time_ns()}"
    aws.batch.register_job_definition(jobDefinitionName=name, type="container", containerProperties=container(command=["echo", "Ref::word"]))
    assert "NUL" in refused(aws.submit, jobDefinition=name, command=None, parameters={"word": "a\0b"})
