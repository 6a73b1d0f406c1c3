"""The API as AWS's own clients speak it: Debian's boto3 and AWS CLI against a running cluster."""

import datetime
import json
import os
import re
import signal
import time
import urllib.error
import urllib.request

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions
import pytest

import harness

ACCOUNT = "123456789012"
COMMAND = ["/bin/sh", "-c", "echo hello"]


class Aws:
    """Clients of one user for one region."""

    def __init__(self, cluster, region=None):
        done = cluster.person.run("cox", "credentials", cluster.name, "--json").ok()
        self.variables = done.json()
        self.cluster = cluster
        self.region = region or self.variables["AWS_DEFAULT_REGION"]
        self.endpoint = self.variables["AWS_ENDPOINT_URL"]
        self.batch, self.logs = self.client("batch"), self.client("logs")
        self.definition = f"{cluster.name}-JobDefinition"

    def client(self, service, **changed):
        given = dict(region_name=self.region, endpoint_url=self.endpoint,
                     aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
                     aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
                     config=botocore.config.Config(retries={"total_max_attempts": 1}))
        return boto3.client(service, **{**given, **changed})

    def arn(self, kind, name):
        return f"arn:aws:batch:{self.region}:{ACCOUNT}:{kind}/{name}"

    def submit(self, name="job", command=COMMAND, **more):
        given = dict(jobName=name, jobQueue="queue1", jobDefinition=self.definition)
        if "nodeOverrides" not in more and command is not None:
            given["containerOverrides"] = {"command": command}
        return self.batch.submit_job(**{**given, **more})["jobId"]

    def job(self, id):
        [job] = self.batch.describe_jobs(jobs=[id])["jobs"]
        return job

    def wait(self, id, *statuses, seconds=60):
        statuses = statuses or ("SUCCEEDED", "FAILED")

        def look():
            job = self.job(id)
            return job["status"] in statuses, job
        return harness.wait_until(look, f"{id} to be {statuses}", seconds)

    def lines(self, job):
        events = self.logs.get_log_events(logGroupName="/aws/batch/job", startFromHead=True,
                                          logStreamName=job["container"]["logStreamName"])["events"]
        return [event["message"] for event in events]


@pytest.fixture(scope="module")
def cluster(shared_person):
    """Its images are names only: commands run on the nodes."""
    text = harness.cluster_file(minimum=2, maximum=6, extra="Coxswain:\n  Containers: host\n")
    return shared_person.create("shared", text)


@pytest.fixture(scope="module")
def aws(cluster):
    return Aws(cluster)


def refused(call, code="ClientException", **given):
    """The message of a call that the service must refuse."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**given)
    answer = caught.value.response
    assert answer["Error"]["Code"] == code, answer
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == (403 if code not in ("ClientException",) and
                                                            "Parameter" not in code and
                                                            "NotFound" not in code else 400), answer
    assert re.match(r"[0-9a-f-]{36}$", answer["ResponseMetadata"]["RequestId"])
    return answer["Error"]["Message"]


def container(**more):
    return {"image": "busybox", "vcpus": 1, "memory": 128, "command": COMMAND, **more}


# Keys and signatures.

def test_credentials_are_lines_for_a_shell_and_the_same_each_time(cluster, aws):
    text = cluster.person.run("cox", "credentials", cluster.name).ok().out
    shown = dict(re.fullmatch(r"export (\w+)=(\S+)", line).groups() for line in text.splitlines())
    assert shown == aws.variables
    assert re.fullmatch(r"AKIA[A-Z2-7]{16}", shown["AWS_ACCESS_KEY_ID"])
    assert len(shown["AWS_SECRET_ACCESS_KEY"]) == 40
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", shown["AWS_ENDPOINT_URL"])
    keys = cluster.directory / "head/keys"
    assert keys.stat().st_mode & 0o777 == 0o600


def test_requests_that_are_not_signed_well_are_refused(aws):
    wrong = aws.client("batch", aws_secret_access_key="x" * 40)
    refused(wrong.describe_job_queues, "InvalidSignatureException")
    unknown = aws.client("batch", aws_access_key_id="AKIAAAAAAAAAAAAAAAAA")
    refused(unknown.describe_job_queues, "UnrecognizedClientException")
    session = aws.client("batch", aws_session_token="token")
    refused(session.describe_job_queues, "UnrecognizedClientException")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(aws.endpoint + "/v1/describejobqueues", data=b"{}")
    assert caught.value.code == 403
    assert caught.value.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(aws.endpoint + "/cox/v1/cluster")
    assert caught.value.code == 403


def signed(aws, body, monkeypatch=None, at=None, path="/v1/describejobqueues"):
    """Headers of a signed SubmitJob or the like; `at`: signed as if it were then."""
    request = botocore.awsrequest.AWSRequest(method="POST", url=aws.endpoint + path, data=body,
                                             headers={"Content-Type": "application/json"})
    if at:
        class Then(datetime.datetime):
            @classmethod
            def utcnow(cls):
                return at

        class Module:
            datetime = Then
        monkeypatch.setattr(botocore.auth, "datetime", Module)
    keys = botocore.credentials.Credentials(aws.variables["AWS_ACCESS_KEY_ID"], aws.variables["AWS_SECRET_ACCESS_KEY"])
    botocore.auth.SigV4Auth(keys, "batch", aws.region).add_auth(request)
    return dict(request.headers)


def post(aws, headers, body):
    request = urllib.request.Request(aws.endpoint + "/v1/describejobqueues", data=body, headers=headers)
    try:
        return urllib.request.urlopen(request).status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.headers["x-amzn-ErrorType"]


def test_a_changed_body_an_old_date_and_a_replay_are_refused(aws, monkeypatch):
    headers = signed(aws, b"{}", monkeypatch)
    assert post(aws, headers, b"{}") == (200, "")
    assert post(aws, headers, b'{"maxResults": 1}') == (403, "InvalidSignatureException")
    # The same again at once may be a like request of the same second; later it is a replay.
    assert post(aws, headers, b"{}") == (200, "")
    seen = time.monotonic()
    harness.wait_until(lambda: (time.monotonic() - seen > 2.2, ""), "the replay window")
    assert post(aws, headers, b"{}") == (403, "InvalidSignatureException")
    now = datetime.datetime.utcnow()
    for minutes in (-6, 6):
        headers = signed(aws, b"{}", monkeypatch, at=now + datetime.timedelta(minutes=minutes))
        assert post(aws, headers, b"{}") == (403, "InvalidSignatureException"), minutes


def test_a_key_is_a_user(cluster, aws):
    """Jobs run as the key's user and are hidden from others; the cluster is its owner's to change."""
    if os.geteuid() != 0:
        return  # there is nobody else to be
    other = harness.Person(harness.TEST_USER if cluster.person.is_root else None)
    own_state, other.state = other.state, cluster.person.state
    if not cluster.person.is_root:
        # Such a head can start jobs as its own user only.
        for words in (["cox", "credentials", cluster.name], ["awsbsub", "-c", cluster.name, "id"], ["awsbstat", "-c", cluster.name]):
            assert f"is for user {cluster.person.name} alone" in other.run(*words).fails(1).err
    else:
        theirs = Aws(harness.Cluster(other, cluster.name))
        assert theirs.variables["AWS_ACCESS_KEY_ID"] != aws.variables["AWS_ACCESS_KEY_ID"]
        job = theirs.submit(command=["id", "-u"])
        assert theirs.lines(theirs.wait(job, "SUCCEEDED")) == [str(other.uid)]
        mine = aws.submit(command=["sleep", "600"])
        aws.wait(mine, "RUNNING")
        assert theirs.batch.describe_jobs(jobs=[mine])["jobs"] == []
        assert mine not in str(theirs.batch.list_jobs(jobQueue="queue1", jobStatus="RUNNING"))
        assert "does not exist" in refused(theirs.submit, dependsOn=[{"jobId": mine}])
        refused(theirs.batch.tag_resource, resourceArn=aws.arn("job", mine), tags={"a": "b"})
        theirs.batch.terminate_job(jobId=mine, reason="not mine")
        assert aws.job(mine)["status"] == "RUNNING"
        stream = aws.job(mine)["container"]["logStreamName"]
        refused(theirs.logs.get_log_events, "ResourceNotFoundException", logGroupName="/aws/batch/job", logStreamName=stream)
        assert theirs.logs.describe_log_streams(logGroupName="/aws/batch/job", logStreamNamePrefix=stream)["logStreams"] == []
        denied = "AccessDeniedException"
        refused(theirs.batch.update_job_queue, denied, jobQueue="queue1", state="DISABLED")
        refused(theirs.batch.create_scheduling_policy, denied, name="mine")
        made = aws.batch.register_job_definition(jobDefinitionName="roots", type="container", containerProperties=container())
        refused(theirs.batch.deregister_job_definition, denied, jobDefinition=made["jobDefinitionArn"])
        aws.batch.terminate_job(jobId=mine, reason="done")
    other.state = own_state
    other.close()


# Job definitions.

def test_job_definitions_have_revisions(aws):
    name = f"steps-{time.time_ns()}"
    first = aws.batch.register_job_definition(jobDefinitionName=name, type="container", tags={"team": "ocean"},
                                              containerProperties=container())
    assert (first["jobDefinitionName"], first["revision"]) == (name, 1)
    assert first["jobDefinitionArn"] == aws.arn("job-definition", f"{name}:1")
    second = aws.batch.register_job_definition(
        jobDefinitionName=name, type="container", parameters={"what": "world"}, schedulingPriority=7,
        retryStrategy={"attempts": 3, "evaluateOnExit": [{"onExitCode": "4*", "action": "EXIT"}]},
        timeout={"attemptDurationSeconds": 60}, propagateTags=True,
        containerProperties={"image": "busybox", "command": ["echo", "Ref::what"],
                             "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
                             "environment": [{"name": "A", "value": "1"}]})
    assert second["revision"] == 2
    both = aws.batch.describe_job_definitions(jobDefinitionName=name)["jobDefinitions"]
    assert [d["revision"] for d in both] == [1, 2]
    shown = both[1]
    assert shown["retryStrategy"] == {"attempts": 3, "evaluateOnExit": [{"onExitCode": "4*", "action": "exit"}]}
    assert shown["timeout"] == {"attemptDurationSeconds": 60}
    assert (shown["status"], shown["type"], shown["schedulingPriority"]) == ("ACTIVE", "container", 7)
    assert shown["containerProperties"]["mountPoints"] == [] and shown["containerProperties"]["ulimits"] == []
    assert "propagateTags" not in both[0] and "timeout" not in both[0] and both[0]["tags"] == {"team": "ocean"}

    job = aws.submit(jobDefinition=name, command=None)
    end = aws.wait(job)
    assert end["status"] == "SUCCEEDED", end
    assert end["jobDefinition"] == aws.arn("job-definition", f"{name}:2")
    assert end["container"]["command"] == ["echo", "world"] and aws.lines(end) == ["world"]
    assert end["container"]["image"] == "busybox" and end["parameters"] == {"what": "world"}
    assert end["timeout"] == {"attemptDurationSeconds": 60} and end["schedulingPriority"] == 7
    job = aws.submit(jobDefinition=f"{name}:2", command=None, parameters={"what": "you"},
                     containerOverrides={"environment": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]})
    end = aws.wait(job)
    assert aws.lines(end) == ["you"]
    assert end["container"]["environment"] == [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]

    aws.batch.deregister_job_definition(jobDefinition=f"{name}:2")
    active = aws.batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")["jobDefinitions"]
    assert [d["revision"] for d in active] == [1]
    assert "does not exist or is not in ACTIVE status" in refused(aws.submit, jobDefinition=f"{name}:2", command=None)
    assert aws.job(aws.submit(jobDefinition=name, command=None))["jobDefinition"].endswith(f"{name}:1")
    aws.batch.deregister_job_definition(jobDefinition=first["jobDefinitionArn"])
    refused(aws.submit, jobDefinition=name, command=None)
    third = aws.batch.register_job_definition(jobDefinitionName=name, type="container", containerProperties=container())
    assert third["revision"] == 3


@pytest.mark.parametrize("given, said", [
    (dict(jobDefinitionName="-x"), "not supported pattern"),
    (dict(jobDefinitionName="x" * 129), "not supported pattern"),
    (dict(type="script"), "type must be one of"),
    (dict(containerProperties=container(image="")), "image"),
    (dict(containerProperties={"image": "a", "command": ["a"]}), "VCPU"),
    (dict(containerProperties=container(memory=3)), "memory"),
    (dict(containerProperties=container(resourceRequirements=[{"type": "CORES", "value": "1"}])), "VCPU"),
    (dict(containerProperties=container(resourceRequirements=[{"type": "VCPU", "value": "0.25"}])), "VCPU"),
    (dict(containerProperties=container(environment=[{"name": "AWS_BATCH_X", "value": ""}])), "reserved"),
    (dict(containerProperties=container(ulimits=[{"name": "speed", "softLimit": 1, "hardLimit": 1}])), "ulimits"),
    (dict(containerProperties=container(mountPoints=[{"sourceVolume": "none", "containerPath": "/x"}])), "volume"),
    (dict(containerProperties=container(logConfiguration={"logDriver": "paper"})), "logDriver"),
    (dict(retryStrategy={"attempts": 11}), "attempts"),
    (dict(retryStrategy={"evaluateOnExit": [{"onExitCode": "1", "action": "EXIT"}]}), "attempts"),
    (dict(retryStrategy={"attempts": 2, "evaluateOnExit": [{"onExitCode": "x", "action": "EXIT"}]}), "onExitCode"),
    (dict(retryStrategy={"attempts": 2, "evaluateOnExit": [{"onExitCode": "1", "action": "STAY"}]}), "action"),
    (dict(timeout={"attemptDurationSeconds": 59}), "attemptDurationSeconds"),
    (dict(schedulingPriority=10000), "schedulingPriority"),
    (dict(platformCapabilities=["FARGATE"]), "FARGATE"),
    (dict(tags={"k" * 129: "v"}), "Tag keys"),
    (dict(tags={"k": "v" * 257}), "tag"),
    (dict(containerProperties=container(command=["x" * 30000])), "larger"),
    (dict(type="multinode"), "containerProperties"),
])
def test_what_makes_no_job_definition(aws, given, said):
    base = dict(jobDefinitionName="never", type="container", containerProperties=container())
    assert said in refused(aws.batch.register_job_definition, **{**base, **given})


@pytest.mark.parametrize("nodes, said", [
    (dict(numNodes=2, mainNode=2, ranges=["0:"]), "mainNode"),
    (dict(numNodes=3, mainNode=0, ranges=["0:1"]), "cover"),
    (dict(numNodes=3, mainNode=0, ranges=["0:3"]), "range"),
    (dict(numNodes=3, mainNode=0, ranges=["0:", "1", "2", "0", "0:1", "1:2"]), "nodeRangeProperties"),
])
def test_what_makes_no_multi_node_definition(aws, nodes, said):
    properties = {"numNodes": nodes["numNodes"], "mainNode": nodes["mainNode"],
                  "nodeRangeProperties": [{"targetNodes": t, "container": container()} for t in nodes["ranges"]]}
    assert said in refused(aws.batch.register_job_definition, jobDefinitionName="never", type="multinode",
                           nodeProperties=properties)


def test_a_multi_node_job_with_ranges_and_overrides(aws):
    name = f"ranges-{time.time_ns()}"
    say = ["/bin/sh", "-c", "echo $WHO $AWS_BATCH_JOB_NODE_INDEX of $AWS_BATCH_JOB_NUM_NODES main $AWS_BATCH_JOB_MAIN_NODE_INDEX"]
    aws.batch.register_job_definition(jobDefinitionName=name, type="multinode", nodeProperties={
        "numNodes": 2, "mainNode": 1, "nodeRangeProperties": [
            {"targetNodes": "0:", "container": container(command=["sleep", "600"], environment=[{"name": "WHO", "value": "worker"}])},
            {"targetNodes": "1", "container": container(command=say, environment=[{"name": "WHO", "value": "main"}])}]})
    job = aws.submit(jobDefinition=name, nodeOverrides={
        "numNodes": 3, "nodePropertyOverrides": [
            {"targetNodes": "2:", "containerOverrides": {"environment": [{"name": "WHO", "value": "last"}]}}]})
    end = aws.wait(job)
    assert end["status"] == "SUCCEEDED", end
    shown = end["nodeProperties"]
    assert (shown["numNodes"], shown["mainNode"]) == (3, 1)
    assert [(r["targetNodes"], r["container"]["command"][0]) for r in shown["nodeRangeProperties"]] == [
        ("0:0", "sleep"), ("1:1", "/bin/sh"), ("2:2", "sleep")]
    assert shown["nodeRangeProperties"][2]["container"]["environment"] == [{"name": "WHO", "value": "last"}]
    main = aws.job(f"{job}#1")
    assert main["nodeDetails"] == {"nodeIndex": 1, "isMainNode": True}
    assert aws.lines(main) == ["main 1 of 3 main 1"]
    nodes = aws.batch.list_jobs(multiNodeJobId=job)["jobSummaryList"]
    assert [n["nodeProperties"] for n in nodes] == [{"isMainNode": i == 1, "nodeIndex": i} for i in range(3)]
    assert "no place in 1 nodes" in refused(aws.submit, jobDefinition=name, nodeOverrides={"numNodes": 1})
    assert "targetNodes" in refused(aws.submit, jobDefinition=name, nodeOverrides={
        "nodePropertyOverrides": [{"targetNodes": "1:5"}]})


# Queues, environments, policies.

def managed(**more):
    return {"type": "EC2", "minvCpus": 0, "maxvCpus": 4, "instanceTypes": ["c4.large"], "instanceRole": "ecsInstanceRole",
            "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"], **more}


def test_an_environment_and_a_queue_made_by_api_run_jobs_and_outlive_the_head(aws):
    made = aws.batch.create_compute_environment(computeEnvironmentName="extra", type="MANAGED", computeResources=managed(),
                                                tags={"a": "b"}, serviceRole="role")
    assert made == {**made, "computeEnvironmentName": "extra", "computeEnvironmentArn": aws.arn("compute-environment", "extra")}
    assert refused(aws.batch.create_compute_environment, computeEnvironmentName="extra", type="MANAGED",
                   computeResources=managed()) == "Object already exists"
    queue = aws.batch.create_job_queue(jobQueueName="fast", priority=10, computeEnvironmentOrder=[
        {"order": 2, "computeEnvironment": "extra"},
        {"order": 5, "computeEnvironment": aws.arn("compute-environment", f"{aws.cluster.name}-small")}])
    assert queue["jobQueueArn"] == aws.arn("job-queue", "fast")
    [shown] = aws.batch.describe_job_queues(jobQueues=["fast"])["jobQueues"]
    assert shown["computeEnvironmentOrder"] == [
        {"order": 2, "computeEnvironment": aws.arn("compute-environment", "extra")},
        {"order": 5, "computeEnvironment": aws.arn("compute-environment", f"{aws.cluster.name}-small")}]
    assert (shown["state"], shown["status"], shown["priority"]) == ("ENABLED", "VALID", 10)
    assert shown["statusReason"]
    aws.batch.update_job_queue(jobQueue="fast", computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "extra"}])
    [shown] = aws.batch.describe_job_queues(jobQueues=["fast"])["jobQueues"]
    assert [e["computeEnvironment"] for e in shown["computeEnvironmentOrder"]] == [aws.arn("compute-environment", "extra")]
    job = aws.submit(jobQueue=queue["jobQueueArn"], command=["/bin/sh", "-c", "echo $AWS_BATCH_CE_NAME $AWS_BATCH_JQ_NAME"])
    end = aws.wait(job)
    assert end["status"] == "SUCCEEDED" and aws.lines(end) == ["extra fast"], end

    restart(aws)
    [environment] = aws.batch.describe_compute_environments(computeEnvironments=["extra"])["computeEnvironments"]
    assert environment["computeResources"]["instanceTypes"] == ["c4.large"]
    assert environment["computeResources"]["subnets"] == ["subnet-1"]
    assert (environment["tags"], environment["serviceRole"], environment["type"]) == ({"a": "b"}, "role", "MANAGED")
    assert aws.batch.describe_job_queues(jobQueues=["fast"])["jobQueues"] == [shown]

    aws.batch.update_compute_environment(computeEnvironment="extra", computeResources={"maxvCpus": 2})
    aws.batch.update_job_queue(jobQueue="fast", priority=3)
    assert refused(aws.batch.delete_compute_environment, computeEnvironment="extra") == "Cannot delete, found existing JobQueue relationship"
    assert "DISABLED" in refused(aws.batch.delete_job_queue, jobQueue="fast")
    waiting = aws.submit(jobQueue="fast", command=["sleep", "600"])
    aws.wait(waiting, "RUNNING")
    aws.batch.update_job_queue(jobQueue="fast", state="DISABLED")
    assert "not ENABLED" in refused(aws.submit, jobQueue="fast")
    aws.batch.delete_job_queue(jobQueue="fast")
    assert aws.batch.describe_job_queues(jobQueues=["fast"])["jobQueues"] == []
    end = aws.wait(waiting, "FAILED")
    assert end["statusReason"] == "Job queue was deleted"
    assert "DISABLED" in refused(aws.batch.delete_compute_environment, computeEnvironment="extra")
    aws.batch.update_compute_environment(computeEnvironment="extra", state="DISABLED")
    aws.batch.delete_compute_environment(computeEnvironment=made["computeEnvironmentArn"])
    harness.wait_until(lambda: (all("extra" not in str(h) for h in aws.cluster.hosts()), aws.cluster.hosts()), "its nodes to go")
    assert aws.batch.describe_compute_environments(computeEnvironments=["extra"])["computeEnvironments"] == []


def test_queues_of_newer_clients(aws):
    """What this boto3's model does not have: sent as newer ones do."""
    def call(operation, **body):
        headers = signed(aws, json.dumps(body).encode(), None, path=f"/v1/{operation}")
        request = urllib.request.Request(f"{aws.endpoint}/v1/{operation}", data=json.dumps(body).encode(), headers=headers)
        return json.load(urllib.request.urlopen(request))
    action = {"reason": "too long", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
    call("createjobqueue", jobQueueName="timed", priority=1, jobStateTimeLimitActions=[action],
         computeEnvironmentOrder=[{"order": 1, "computeEnvironment": f"{aws.cluster.name}-small"}])
    [shown] = call("describejobqueues", jobQueues=["timed"])["jobQueues"]
    assert shown["jobStateTimeLimitActions"] == [action]
    for wrong in (dict(maxTimeSeconds=599), dict(state="RUNNING"), dict(action="WAIT"), dict(reason="")):
        with pytest.raises(urllib.error.HTTPError) as caught:
            call("updatejobqueue", jobQueue="timed", jobStateTimeLimitActions=[{**action, **wrong}])
        assert caught.value.code == 400 and list(wrong)[0] in caught.value.read().decode()
    waiting = [aws.submit(jobQueue="timed", containerOverrides={"command": ["true"], "vcpus": 64}) for _ in range(2)]
    front = call("getjobqueuesnapshot", jobQueue="timed")["frontOfQueue"]
    assert [j["jobArn"] for j in front["jobs"]] == [aws.arn("job", j) for j in waiting]
    assert front["jobs"][0]["earliestTimeAtPosition"] <= front["lastUpdatedAt"]
    call("updatejobqueue", jobQueue="timed", state="DISABLED")
    call("deletejobqueue", jobQueue="timed")
    assert [aws.job(j)["statusReason"] for j in waiting] == ["Job queue was deleted"] * 2


def restart(aws):
    """Kills the head; its keeper starts it again."""
    os.kill(max(aws.cluster.daemons()), signal.SIGKILL)

    def back():
        try:
            aws.batch.describe_job_queues()
            return True, ""
        except (botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectionClosedError) as error:
            return False, str(error)
    harness.wait_until(back, "the head to be back")


@pytest.mark.parametrize("given, said", [
    (dict(computeEnvironmentName="a b"), "not supported pattern"),
    (dict(type="OTHER"), "type"),
    (dict(computeResources=None), "computeResources"),
    (dict(type="UNMANAGED"), "UNMANAGED"),
    (dict(unmanagedvCpus=4), "UNMANAGED"),
    (dict(state="ON"), "state"),
    (dict(computeResources=managed(type="FARGATE")), "FARGATE"),
    (dict(computeResources=managed(maxvCpus=0)), "maxvCpus"),
    (dict(computeResources=managed(minvCpus=5)), "minvCpus"),
    (dict(computeResources=managed(desiredvCpus=5)), "desiredvCpus"),
    (dict(computeResources=managed(instanceTypes=["z9.nano"])), "z9.nano"),
    (dict(computeResources=managed(instanceTypes=[])), "instanceTypes"),
    (dict(computeResources=managed(subnets=[])), "subnets"),
    (dict(computeResources=managed(allocationStrategy="WORST_FIT")), "allocationStrategy"),
    (dict(computeResources=managed(bidPercentage=50)), "bidPercentage"),
    (dict(computeResources={k: v for k, v in managed().items() if k != "instanceRole"}), "instanceRole"),
])
def test_what_makes_no_compute_environment(aws, given, said):
    base = dict(computeEnvironmentName="never", type="MANAGED", computeResources=managed())
    given = {k: v for k, v in {**base, **given}.items() if v is not None}
    assert said in refused(aws.batch.create_compute_environment, **given)


@pytest.mark.parametrize("given, said", [
    (dict(jobQueueName="x/y"), "not supported pattern"),
    (dict(jobQueueName="queue1"), "Object already exists"),
    (dict(computeEnvironmentOrder=[]), "computeEnvironmentOrder"),
    (dict(computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "none"}]), "does not exist"),
    (dict(priority=-1), "priority"),
    (dict(schedulingPolicyArn="arn:aws:batch:us-west-2:123456789012:scheduling-policy/none"), "does not exist"),
])
def test_what_makes_no_job_queue(aws, given, said):
    base = dict(jobQueueName="never", priority=1,
                computeEnvironmentOrder=[{"order": 1, "computeEnvironment": f"{aws.cluster.name}-small"}])
    assert said in refused(aws.batch.create_job_queue, **{**base, **given})


def test_an_unmanaged_environment_is_a_record(aws):
    aws.batch.create_compute_environment(computeEnvironmentName="own", type="UNMANAGED", unmanagedvCpus=8, state="DISABLED")
    [shown] = aws.batch.describe_compute_environments(computeEnvironments=["own"])["computeEnvironments"]
    assert (shown["type"], shown["unmanagedvCpus"], shown["state"]) == ("UNMANAGED", 8, "DISABLED")
    assert "computeResources" not in shown
    aws.batch.delete_compute_environment(computeEnvironment="own")


def test_scheduling_policies(aws):
    fair = {"shareDecaySeconds": 60, "computeReservation": 5,
            "shareDistribution": [{"shareIdentifier": "a*", "weightFactor": 0.5}, {"shareIdentifier": "b"}]}
    arn = aws.batch.create_scheduling_policy(name="fair", fairsharePolicy=fair, tags={"x": "y"})["arn"]
    assert arn == aws.arn("scheduling-policy", "fair")
    plain = aws.batch.create_scheduling_policy(name="plain")["arn"]
    shown = aws.batch.describe_scheduling_policies(arns=[arn, plain])["schedulingPolicies"]
    fair["shareDistribution"][1]["weightFactor"] = 1.0
    assert shown[0] == {"name": "fair", "arn": arn, "fairsharePolicy": fair, "tags": {"x": "y"}}
    assert shown[1]["fairsharePolicy"] == {"shareDecaySeconds": 0, "computeReservation": 0, "shareDistribution": []}
    pages = aws.batch.get_paginator("list_scheduling_policies").paginate(PaginationConfig={"PageSize": 1})
    assert [[p["arn"] for p in page["schedulingPolicies"]] for page in pages] == [[arn], [plain]]
    assert "overlap" in refused(aws.batch.update_scheduling_policy, arn=arn, fairsharePolicy={
        "shareDistribution": [{"shareIdentifier": "a*"}, {"shareIdentifier": "ab"}]})
    for bad in ({"shareDecaySeconds": 604801}, {"computeReservation": 100},
                {"shareDistribution": [{"shareIdentifier": "a", "weightFactor": 1000}]},
                {"shareDistribution": [{"shareIdentifier": "a-b"}]}):
        refused(aws.batch.update_scheduling_policy, arn=arn, fairsharePolicy=bad)
    aws.batch.update_scheduling_policy(arn=arn, fairsharePolicy={"computeReservation": 1})
    aws.batch.create_job_queue(jobQueueName="shared", priority=1, schedulingPolicyArn=arn,
                               computeEnvironmentOrder=[{"order": 1, "computeEnvironment": f"{aws.cluster.name}-small"}])
    assert "JobQueue" in refused(aws.batch.delete_scheduling_policy, arn=arn)
    assert "shareIdentifier" in refused(aws.submit, jobQueue="shared")
    assert "shareIdentifier" in refused(aws.submit, shareIdentifier="a1")
    end = aws.wait(aws.submit(jobQueue="shared", shareIdentifier="a1", schedulingPriorityOverride=3))
    assert (end["status"], end["shareIdentifier"], end["schedulingPriority"]) == ("SUCCEEDED", "a1", 3)
    aws.batch.update_job_queue(jobQueue="shared", schedulingPolicyArn=plain, state="DISABLED")
    aws.batch.delete_job_queue(jobQueue="shared")
    for each in (arn, plain):
        aws.batch.delete_scheduling_policy(arn=each)
    assert aws.batch.list_scheduling_policies()["schedulingPolicies"] == []


def test_tags(aws):
    job = aws.submit(tags={"one": "1"})
    for arn in (aws.arn("job", job), aws.arn("job-queue", "queue1")):
        before = aws.batch.list_tags_for_resource(resourceArn=arn)["tags"]
        aws.batch.tag_resource(resourceArn=arn, tags={"two words": "é", "three": "3"})
        assert aws.batch.list_tags_for_resource(resourceArn=arn)["tags"] == {**before, "two words": "é", "three": "3"}
        aws.batch.untag_resource(resourceArn=arn, tagKeys=["two words", "three"])
        assert aws.batch.list_tags_for_resource(resourceArn=arn)["tags"] == before
    assert before == {"parallelcluster:cluster-name": "shared"} and aws.job(job)["tags"] == {"one": "1"}
    refused(aws.batch.list_tags_for_resource, resourceArn=aws.arn("job-queue", "none"))
    refused(aws.batch.tag_resource, resourceArn=arn, tags={str(i): "" for i in range(51)})


# Jobs.

@pytest.mark.parametrize("given, said", [
    (dict(name="-job"), "Job name should match valid pattern"),
    (dict(name="a b"), "Job name should match valid pattern"),
    (dict(jobQueue="none"), "JobQueue none not found."),
    (dict(jobDefinition="none"), "JobDefinition name none does not exist or is not in ACTIVE status"),
    (dict(arrayProperties={"size": 1}), "size"),
    (dict(arrayProperties={"size": 10001}), "size"),
    (dict(retryStrategy={"attempts": 0}), "attempts"),
    (dict(timeout={"attemptDurationSeconds": 10}), "attemptDurationSeconds"),
    (dict(dependsOn=[{"jobId": "none"}]), "does not exist"),
    (dict(dependsOn=[{"type": "SEQUENTIAL"}]), "array"),
    (dict(dependsOn=[{"jobId": "x", "type": "AFTER"}]), "type"),
    (dict(schedulingPriorityOverride=10000), "schedulingPriorityOverride"),
    (dict(nodeOverrides={"numNodes": 2}), "nodeOverrides"),
    (dict(tags={"aws:x": "1"}), "aws:"),
    (dict(command=["echo", ""]), "empty string"),
])
def test_what_makes_no_job(aws, given, said):
    assert said in refused(aws.submit, **given)


def test_a_job_and_its_record(aws):
    begun = int(time.time() * 1000)
    answer = aws.batch.submit_job(jobName="one", jobQueue=aws.arn("job-queue", "queue1"),
                                  jobDefinition=aws.arn("job-definition", aws.definition),
                                  containerOverrides={"command": ["/bin/sh", "-c", "echo out; exit 3"], "vcpus": 1, "memory": 64})
    job = answer["jobId"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", job)
    assert (answer["jobName"], answer["jobArn"]) == ("one", aws.arn("job", job))
    end = aws.wait(job)
    assert (end["status"], end["statusReason"]) == ("FAILED", "Essential container in task exited")
    assert (end["container"]["exitCode"], end["container"]["vcpus"], end["container"]["memory"]) == (3, 1, 64)
    # The id begins with the time, so that the store's index of ids grows at its end.
    assert begun <= int(job[:8] + job[9:13], 16) <= end["createdAt"] <= end["startedAt"] <= end["stoppedAt"]
    [attempt] = end["attempts"]
    assert attempt["container"]["exitCode"] == 3 and attempt["statusReason"] == end["statusReason"]
    assert attempt["container"]["logStreamName"] == end["container"]["logStreamName"]
    assert end["container"]["taskArn"].startswith(f"arn:aws:ecs:us-west-2:{ACCOUNT}:task/")
    assert end["retryStrategy"] == {"attempts": 1, "evaluateOnExit": []}
    assert aws.batch.describe_jobs(jobs=["none", job])["jobs"] == [end]
    refused(aws.batch.describe_jobs, jobs=["x"] * 101)


def test_the_region_of_the_request_is_in_its_arns(aws):
    china = Aws(aws.cluster, "cn-northwest-1")
    [queue] = china.batch.describe_job_queues(jobQueues=["queue1"])["jobQueues"]
    assert queue["jobQueueArn"] == f"arn:aws-cn:batch:cn-northwest-1:{ACCOUNT}:job-queue/queue1"
    answer = china.batch.submit_job(jobName="far", jobQueue="queue1", jobDefinition=china.definition,
                                    containerOverrides={"command": ["true"]})
    assert answer["jobArn"] == f"arn:aws-cn:batch:cn-northwest-1:{ACCOUNT}:job/{answer['jobId']}"


def test_retries_by_the_way_an_attempt_ended(aws):
    rules = [{"onExitCode": "7", "action": "RETRY"}, {"onReason": "*", "onStatusReason": "Essential*", "action": "EXIT"}]
    job = aws.submit(command=["/bin/sh", "-c", "[ $AWS_BATCH_JOB_ATTEMPT = 1 ] && exit 7; exit 8"],
                     retryStrategy={"attempts": 5, "evaluateOnExit": rules})
    end = aws.wait(job)
    assert [a["container"]["exitCode"] for a in end["attempts"]] == [7, 8], end
    assert end["retryStrategy"]["evaluateOnExit"][1] == {**rules[1], "action": "exit"}


def test_an_array_and_its_summary(aws):
    job = aws.submit("many", ["/bin/sh", "-c", "exit $AWS_BATCH_JOB_ARRAY_INDEX"], arrayProperties={"size": 3})
    end = aws.wait(job)
    assert (end["status"], end["statusReason"]) == ("FAILED", "Array Child Job failed")
    assert end["arrayProperties"]["size"] == 3
    assert end["arrayProperties"]["statusSummary"] == {
        "SUBMITTED": 0, "PENDING": 0, "RUNNABLE": 0, "STARTING": 0, "RUNNING": 0, "SUCCEEDED": 1, "FAILED": 2}
    child = aws.job(f"{job}:1")
    assert child["arrayProperties"] == {"index": 1, "statusSummary": {}} and child["container"]["exitCode"] == 1
    failed = aws.batch.list_jobs(arrayJobId=job, jobStatus="FAILED")["jobSummaryList"]
    assert [(j["jobId"], j["arrayProperties"], j["container"]["exitCode"]) for j in failed] == [
        (f"{job}:1", {"index": 1}, 1), (f"{job}:2", {"index": 2}, 2)]


def test_lists_filters_and_pages(aws):
    name = f"listed{time.time_ns()}"
    jobs = [aws.submit(f"{name}-{i}") for i in range(5)]
    for job in jobs:
        aws.wait(job, "SUCCEEDED")

    def ids(**given):
        pages = aws.batch.get_paginator("list_jobs").paginate(jobQueue="queue1", **given, PaginationConfig={"PageSize": 2})
        found = [[j["jobId"] for j in page["jobSummaryList"]] for page in pages]
        assert all(len(page) <= 2 for page in found)
        return sum(found, [])
    by_name = [{"name": "JOB_NAME", "values": [f"{name.upper()}*"]}]
    assert sorted(ids(filters=by_name)) == sorted(jobs)
    assert ids(filters=[{"name": "JOB_NAME", "values": [f"{name}-3"]}]) == [jobs[3]]
    assert set(jobs) <= set(ids(jobStatus="SUCCEEDED")) and not set(jobs) & set(ids())
    after = str(aws.job(jobs[0])["createdAt"] - 1)
    assert set(jobs) <= set(ids(filters=[{"name": "AFTER_CREATED_AT", "values": [after]}]))
    assert not set(jobs) & set(ids(filters=[{"name": "BEFORE_CREATED_AT", "values": [after]}]))
    assert set(jobs) <= set(ids(filters=[{"name": "JOB_DEFINITION", "values": [aws.definition]}]))
    first = aws.batch.list_jobs(jobQueue="queue1", jobStatus="SUCCEEDED", nextToken="", maxResults=1)
    assert len(first["jobSummaryList"]) == 1 and first["nextToken"]
    [summary] = aws.batch.list_jobs(jobQueue="queue1", filters=[{"name": "JOB_NAME", "values": [f"{name}-0"]}])["jobSummaryList"]
    assert summary["container"] == {"exitCode": 0} and summary["jobDefinition"] == aws.arn("job-definition", aws.definition + ":1")
    for bad in (dict(), dict(jobQueue="queue1", arrayJobId="x"), dict(jobQueue="none"), dict(jobQueue="queue1", jobStatus="GONE"),
                dict(jobQueue="queue1", filters=[{"name": "COLOUR", "values": ["x"]}]), dict(jobQueue="queue1", nextToken="?"),
                dict(jobQueue="queue1", maxResults=0)):
        refused(aws.batch.list_jobs, **bad)


def test_cancel_and_terminate(aws):
    running = aws.submit(command=["sleep", "600"])
    waiting = aws.submit(dependsOn=[{"jobId": running}])
    aws.wait(running, "RUNNING")
    assert aws.job(waiting)["status"] == "PENDING"
    aws.batch.cancel_job(jobId=running, reason="no effect")
    aws.batch.cancel_job(jobId=waiting, reason="not needed")
    end = aws.job(waiting)
    assert (end["status"], end["statusReason"], end["startedAt"]) == ("FAILED", "not needed", 0)
    assert "logStreamName" not in end["container"] and "stoppedAt" in end
    assert aws.job(running)["status"] == "RUNNING"
    aws.batch.terminate_job(jobId=running, reason="enough")
    end = aws.wait(running, "FAILED")
    assert (end["statusReason"], end["container"]["exitCode"]) == ("enough", 137)
    for call in (aws.batch.cancel_job, aws.batch.terminate_job):
        call(jobId="00000000-0000-0000-0000-000000000000", reason="nobody")
        refused(call, jobId=running, reason="")
        refused(call, jobId="", reason="x")


# Logs.

def test_logs(aws):
    end = aws.wait(aws.submit(command=["/bin/sh", "-c", "for i in 1 2 3 4 5; do echo line $i é; done; echo ERROR bad"]))
    group, stream = "/aws/batch/job", end["container"]["logStreamName"]

    def read(**more):
        answer = aws.logs.get_log_events(logGroupName=group, logStreamName=stream, **more)
        return [e["message"] for e in answer["events"]], answer
    everything = [f"line {i} é" for i in range(1, 6)] + ["ERROR bad"]
    assert read()[0] == everything
    assert read(limit=2)[0] == everything[-2:]
    found, answer = read(limit=2, startFromHead=True)
    assert found == everything[:2]
    found, answer = read(nextToken=answer["nextForwardToken"])
    assert found == everything[2:]
    token = answer["nextForwardToken"]
    found, answer = read(nextToken=token)
    assert found == [] and answer["nextForwardToken"] == token

    assert [g["logGroupName"] for g in aws.logs.describe_log_groups(logGroupNamePrefix="/aws/b")["logGroups"]] == [group]
    assert aws.logs.describe_log_groups(logGroupNamePrefix="/other")["logGroups"] == []
    [shown] = aws.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=stream)["logStreams"]
    assert shown["logStreamName"] == stream and shown["firstEventTimestamp"] <= shown["lastEventTimestamp"]
    pages = aws.logs.get_paginator("describe_log_streams").paginate(logGroupName=group, PaginationConfig={"PageSize": 3})
    names = [s["logStreamName"] for page in pages for s in page["logStreams"]]
    assert stream in names and names == sorted(names) and len(set(names)) == len(names)
    newest = aws.logs.describe_log_streams(logGroupName=group, orderBy="LastEventTime", descending=True, limit=1)["logStreams"]
    assert [s["logStreamName"] for s in newest] == [stream]

    pages = aws.logs.get_paginator("filter_log_events").paginate(
        logGroupName=group, logStreamNames=[stream], filterPattern='line -"line 3"', PaginationConfig={"PageSize": 3})
    events = [e for page in pages for e in page["events"]]
    assert [e["message"] for e in events] == [f"line {i} é" for i in (1, 2, 4, 5)]
    assert {e["logStreamName"] for e in events} == {stream} and len({e["eventId"] for e in events}) == 4
    assert [e["message"] for e in aws.logs.filter_log_events(
        logGroupName=group, logStreamNamePrefix=stream, filterPattern="?ERROR ?none")["events"]] == ["ERROR bad"]
    refused(aws.logs.get_log_events, "ResourceNotFoundException", logGroupName=group, logStreamName="none")
    refused(aws.logs.get_log_events, "ResourceNotFoundException", logGroupName="none", logStreamName=stream)
    refused(aws.logs.get_log_events, "InvalidParameterException", logGroupName=group, logStreamName=stream, limit=10001)
    refused(aws.logs.describe_log_streams, "InvalidParameterException", logGroupName=group, limit=51)
    refused(aws.logs.filter_log_events, "InvalidParameterException", logGroupName=group, filterPattern="{ $.x = 1 }")


# Pages of everything, and the AWS CLI.

def test_pages_of_definitions(aws):
    stem = f"paged{time.time_ns()}"
    for i in range(3):
        aws.batch.register_job_definition(jobDefinitionName=f"{stem}-{i}", type="container", containerProperties=container())
    pages = aws.batch.get_paginator("describe_job_definitions").paginate(PaginationConfig={"PageSize": 2})
    names = [d["jobDefinitionName"] for page in pages for d in page["jobDefinitions"]]
    assert {f"{stem}-{i}" for i in range(3)} <= set(names) and len(names) == len(set(zip(names, range(len(names)))))
    assert f"{aws.cluster.name}-JobDefinition" in names and f"{aws.cluster.name}-JobDefinitionMNP" in names
    for bad in (0, 101):
        assert "maxResults" in refused(aws.batch.describe_job_definitions, maxResults=bad)
    assert "nextToken" in refused(aws.batch.describe_job_queues, nextToken="never given")


def test_the_aws_cli(cluster, aws):
    def cli(*words):
        return cluster.person.run("aws", "--endpoint-url", aws.endpoint, "--output", "json", *words,
                                  env=aws.variables)
    queues = cli("batch", "describe-job-queues", "--job-queues", "queue1").ok().json()["jobQueues"]
    assert [q["jobQueueName"] for q in queues] == ["queue1"]
    job = cli("batch", "submit-job", "--job-name", "by-cli", "--job-queue", "queue1", "--job-definition", aws.definition,
              "--container-overrides", json.dumps({"command": ["echo", "cli"]})).ok().json()["jobId"]
    end = aws.wait(job)
    shown = cli("logs", "get-log-events", "--log-group-name", "/aws/batch/job", "--log-stream-name",
                end["container"]["logStreamName"]).ok().json()
    assert [e["message"] for e in shown["events"]] == ["cli"]
    failed = cli("batch", "submit-job", "--job-name", "x", "--job-queue", "none", "--job-definition", aws.definition).fails(254)
    assert "An error occurred (ClientException) when calling the SubmitJob operation: JobQueue none not found." in failed.err


# The workflow of three jobs: the first writes a file, two more wait for it, read it, change it, write their own.

def test_three_jobs_as_a_boto3_program(cluster, aws):
    cluster.person.write("workflow.py", """
import boto3, os, sys, time
batch = boto3.client("batch", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
def submit(name, command, after=()):
    return batch.submit_job(jobName=name, jobQueue="queue1", jobDefinition=sys.argv[1], dependsOn=[{"jobId": j} for j in after],
                            containerOverrides={"command": ["/bin/sh", "-c", command]})["jobId"]
first = submit("first", "echo one > /shared/numbers")
others = [submit(f"next{i}", f"sed s/one/two-{i}/ /shared/numbers > /shared/numbers-{i}", [first]) for i in (1, 2)]
while True:
    jobs = batch.describe_jobs(jobs=[first, *others])["jobs"]
    if all(j["status"] in ("SUCCEEDED", "FAILED") for j in jobs):
        break
    time.sleep(0.1)
print([j["status"] for j in jobs], jobs[1]["dependsOn"] == [{"jobId": first}], jobs[1]["startedAt"] >= jobs[0]["stoppedAt"])
""")
    done = cluster.person.run("/usr/bin/python3", "workflow.py", aws.definition, env=aws.variables).ok()
    assert done.out == "['SUCCEEDED', 'SUCCEEDED', 'SUCCEEDED'] True True\n", done.story()
    assert aws.lines(aws.wait(aws.submit(command=["/bin/sh", "-c", "cat /shared/numbers-1 /shared/numbers-2"]))) == ["two-1", "two-2"]


def test_three_jobs_as_awsbsub(cluster):
    first = cluster.script("echo one > /shared/by-sub\n")
    others = [cluster.script(f"sed s/one/two-{i}/ /shared/by-sub > /shared/by-sub-{i}\n", "-d", f"jobId={first}") for i in (1, 2)]
    for job in others:
        assert cluster.finish(job)["status"] == "SUCCEEDED"
    last = cluster.script("cat /shared/by-sub-1 /shared/by-sub-2\n", "-d", f"jobId={others[0]},jobId={others[1]}")
    assert cluster.finish(last)["status"] == "SUCCEEDED"
    assert cluster.output(last) == ["two-1", "two-2"]
