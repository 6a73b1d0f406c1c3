"""The calls of the original Python awsb* commands, one by one, against a running cluster.

They are the calls of aws-parallelcluster-awsbatch-cli 1.4.0 with their parameters, in their order, and what they read of the
answers; made here with Debian's boto3, as that program makes them.
"""

import re
import shlex
import time

import botocore.exceptions
import pytest

import harness
from test_batch_api import Aws, restart


class Original:
    """What the original commands know of a cluster after they have asked for its stack."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.aws = Aws(cluster)
        stack = self.aws.client("cloudformation").describe_stacks(StackName=cluster.name)["Stacks"][0]
        assert stack["StackStatus"] == "CREATE_COMPLETE" and stack["StackName"] == cluster.name
        assert stack["StackId"].split(":")[:4] == ["arn", "aws", "cloudformation", "us-west-2"]
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        self.parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]}

    def client(self, service):
        return self.aws.client(service)

    def submit(self, script, arguments=(), nodes=None, inputs=(), env=None, working_dir=None, array=None,
               depends_on=(), timeout=None):
        """awsbsub: script and companions into a folder of the bucket, then SubmitJob."""
        bucket = self.parameters["ResourcesS3Bucket"]
        name = "script_sh"
        folder = f"{self.parameters['ArtifactS3RootDirectory']}/batch/job-{name}-{int(time.time() * 1000)}/"
        s3 = self.client("s3")
        s3.put_object(Bucket=bucket, Key=folder, Body="")
        home = self.cluster.person.home
        files = [(file, file.name) for file in inputs] + [(self.cluster.person.write("upload", script), f"{name}.sh")]
        if env:
            files.append((self.cluster.person.write("upload.env", env), f"{name}.env.sh"))
        for path, key in files:
            s3.upload_file(str(home / path), bucket, folder + key)
        steps = []
        if working_dir:
            steps.append(f'mkdir -p "{working_dir}" && cd "{working_dir}"')
        else:
            steps.append("mkdir -p job-${AWS_BATCH_JOB_ID} && cd job-${AWS_BATCH_JOB_ID}")
        steps.append(f"aws s3 --region us-west-2 sync s3://{bucket}/{folder} . >/dev/null")
        if env:
            steps.append(f"source {name}.env.sh")
        steps.append(f"chmod +x {name}.sh && ./{name}.sh {shlex.join(arguments)}")
        overrides = {"command": ["/bin/bash", "-c", " && ".join(steps)], "vcpus": 1, "memory": 128,
                     "environment": [{"name": "PCLUSTER_JOB_S3_URL", "value": f"s3://{bucket}/{folder}"}]}
        given = dict(jobName=name, jobQueue=self.outputs["BatchJobQueueArn"], dependsOn=list(depends_on), retryStrategy={"attempts": 1})
        if timeout:
            given["timeout"] = {"attemptDurationSeconds": timeout}
        if nodes:
            given |= dict(jobDefinition=self.outputs["BatchJobDefinitionMnpArn"], nodeOverrides={
                "numNodes": nodes, "nodePropertyOverrides": [{"targetNodes": "0:", "containerOverrides": overrides}]})
        else:
            given |= dict(jobDefinition=self.outputs["BatchJobDefinitionArn"], containerOverrides=overrides,
                          arrayProperties={"size": array} if array else {})
        answer = self.client("batch").submit_job(**given)
        assert answer["jobName"] == name
        return answer["jobId"]

    def output(self, job):
        """awsbout: lines from the head on, until the token comes back unchanged."""
        [shown] = self.client("batch").describe_jobs(jobs=[job])["jobs"]
        assert "nodeProperties" not in shown or "numNodes" not in shown["nodeProperties"]
        logs, lines = self.client("logs"), []
        stream = dict(logGroupName="/aws/batch/job", logStreamName=shown["container"]["logStreamName"])
        page, token = logs.get_log_events(limit=10000, startFromHead=True, **stream), None
        while page["nextForwardToken"] != token:
            lines += [event["message"] for event in page["events"]]
            token = page["nextForwardToken"]
            page = logs.get_log_events(nextToken=token, **stream)
        return lines


@pytest.fixture(scope="module")
def original(cluster):
    return Original(cluster)


def test_the_stack_has_all_that_the_commands_want(original):
    name = original.cluster.name
    arn = "arn:aws:batch:us-west-2:123456789012:"
    assert original.outputs["BatchComputeEnvironmentArn"] == arn + "compute-environment/" + \
        original.client("batch").describe_compute_environments()["computeEnvironments"][0]["computeEnvironmentName"]
    assert original.outputs["BatchJobQueueArn"] == arn + "job-queue/queue1"
    assert original.outputs["BatchJobDefinitionArn"] == f"{arn}job-definition/{name}-JobDefinition:1"
    assert original.outputs["BatchJobDefinitionMnpArn"] == f"{arn}job-definition/{name}-JobDefinitionMNP:1"
    assert original.outputs["BatchCliRequirements"] == "aws-parallelcluster-awsbatch-cli<2.0.0"
    assert original.outputs["HeadNodePrivateIP"].count(".") == 3
    assert original.parameters["Scheduler"] == "awsbatch" and original.parameters["ProxyServer"] == "NONE"
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        original.client("cloudformation").describe_stacks(StackName="other")
    assert caught.value.response["Error"] == {"Type": "Sender", "Code": "ValidationError",
                                              "Message": "Stack with id other does not exist"}


def test_a_script_is_uploaded_and_runs_in_its_own_directory(original):
    data = original.cluster.person.write("numbers.txt", "1\n2\n3\n")
    script = 'echo "$GREETING, $1"; wc -l < numbers.txt; basename "$PWD"; aws s3 cp "${PCLUSTER_JOB_S3_URL}numbers.txt" copy && cat copy\n'
    job = original.submit("#!/bin/bash\n" + script, ["two words"], inputs=[data], env="export GREETING='good day';\n")
    original.aws.wait(job)
    lines = original.output(job)
    assert lines == ["good day, two words", "3", f"job-{job}", "1", "2", "3"]
    [shown] = original.client("batch").describe_jobs(jobs=[job])["jobs"]
    assert shown["status"] == "SUCCEEDED"
    names = [variable["name"] for variable in shown["container"]["environment"]]
    assert "PCLUSTER_JOB_S3_URL" in names and not any("BASH_FUNC" in name for name in names)


def test_a_working_directory_and_many_nodes_and_children(original):
    where = original.cluster.person.home / "there"
    job = original.submit("pwd; ls\n", working_dir="/shared/there")
    original.aws.wait(job)
    assert original.output(job) == ["/shared/there", "script_sh.sh"], where

    # The main node's end is the job's: it waits until the other has spoken.
    script = "echo node $AWS_BATCH_JOB_NODE_INDEX\n"
    script += "[ $AWS_BATCH_JOB_NODE_INDEX = 0 ] || exec touch /shared/there/spoken\n"
    script += "for i in $(seq 600); do [ -e /shared/there/spoken ] && exit; sleep 0.1; done; exit 1\n"
    wide = original.submit(script, nodes=2)
    original.aws.wait(wide)
    for node in range(2):
        assert original.output(f"{wide}#{node}") == [f"node {node}"]

    array = original.submit("echo child $AWS_BATCH_JOB_ARRAY_INDEX\n", array=2)
    original.aws.wait(array)
    for child in range(2):
        assert original.output(f"{array}:{child}") == [f"child {child}"]


def test_status_by_state_and_kill(original):
    """awsbstat's calls, an empty nextToken first; then awsbkill's."""
    batch = original.client("batch")
    job = original.submit("exec sleep 600\n")
    original.aws.wait(job, "RUNNING")
    found, token = [], ""
    while token is not None:
        page = batch.list_jobs(jobStatus="RUNNING", jobQueue=original.outputs["BatchJobQueueArn"], nextToken=token)
        found += page["jobSummaryList"]
        token = page.get("nextToken")
    assert [each["jobId"] for each in found] == [job]
    assert found[0]["createdAt"] > 0 and "stoppedAt" not in found[0]
    batch.terminate_job(jobId=job, reason="Terminated by the user")
    ended = original.aws.wait(job)
    assert (ended["status"], ended["statusReason"]) == ("FAILED", "Terminated by the user")


def test_an_inline_command_has_a_folder_and_no_files(original):
    bucket, batch = original.parameters["ResourcesS3Bucket"], original.client("batch")
    folder = f"{original.parameters['ArtifactS3RootDirectory']}/batch/job-echo-{time.time_ns()}/"
    original.client("s3").put_object(Bucket=bucket, Key=folder, Body="")
    job = batch.submit_job(
        jobName="echo", jobQueue=original.outputs["BatchJobQueueArn"], jobDefinition=original.outputs["BatchJobDefinitionArn"],
        dependsOn=[], retryStrategy={"attempts": 1}, arrayProperties={}, containerOverrides={
            "command": ["echo", "two words"], "vcpus": 1, "memory": 128,
            "environment": [{"name": "PCLUSTER_JOB_S3_URL", "value": f"s3://{bucket}/{folder}"}]})["jobId"]
    ended = original.aws.wait(job)
    assert ended["status"] == "SUCCEEDED" and original.output(job) == ["two words"]
    shown = ended["container"]
    assert (shown["command"], shown["vcpus"], shown["memory"], shown["exitCode"]) == (["echo", "two words"], 1, 128, 0)
    assert ended["createdAt"] <= ended["startedAt"] <= ended["stoppedAt"]
    assert re.fullmatch(r"arn:aws:batch:[^/]+:job-queue/queue1", ended["jobQueue"])


def test_dependencies_and_arrays(original):
    first = original.submit("echo one > /shared/original\n", timeout=60)
    after = original.submit("cat /shared/original\n", depends_on=[{"jobId": first}])
    original.aws.wait(after)
    assert original.output(after) == ["one"]
    in_turn = original.submit("echo $AWS_BATCH_JOB_ARRAY_INDEX >> /shared/in-turn\n", array=3, depends_on=[{"type": "SEQUENTIAL"}])
    beside = original.submit("wc -l < /shared/in-turn\n", array=3, depends_on=[{"jobId": in_turn, "type": "N_TO_N"}])
    ended = original.aws.wait(beside)
    assert ended["status"] == "SUCCEEDED" and ended["arrayProperties"]["size"] == 3
    assert int(original.output(f"{beside}:2")[0]) == 3
    children = original.client("batch").describe_jobs(jobs=[f"{in_turn}:{i}" for i in range(3)])["jobs"]
    assert [child["jobId"] for child in children] == [f"{in_turn}:{i}" for i in range(3)]
    assert all("size" not in child["arrayProperties"] and "nodeProperties" not in child for child in children)
    order = [(child["startedAt"], child["stoppedAt"]) for child in children]
    assert all(before[1] <= later[0] for before, later in zip(order, order[1:])), order


def test_output_from_the_head_and_the_tail_and_on(original):
    job = original.submit("for i in 1 2 3 4 5; do echo line $i; done; until [ -e /shared/go-on ]; do sleep 0.1; done; echo last\n")
    shown = original.aws.wait(job, "RUNNING")
    logs = original.client("logs")
    stream = dict(logGroupName="/aws/batch/job", logStreamName=shown["container"]["logStreamName"])

    def read(**more):
        page = logs.get_log_events(**stream, **more)
        return [event["message"] for event in page["events"]], page["nextForwardToken"]
    harness.wait_until(lambda: (len(read(limit=10000)[0]) == 5, read(limit=10000)), "five lines")
    assert read(limit=2, startFromHead=True)[0] == ["line 1", "line 2"]
    lines, token = read(limit=2, startFromHead=False)
    assert lines == ["line 4", "line 5"]
    assert read(nextToken=token) == ([], token)
    going_on = original.submit("touch /shared/go-on\n")
    original.aws.wait(going_on)
    original.aws.wait(job)
    assert read(nextToken=token)[0] == ["last"]


def test_queues_and_hosts(original):
    [queue] = original.client("batch").describe_job_queues(jobQueues=[original.outputs["BatchJobQueueArn"]])["jobQueues"]
    assert queue["statusReason"] and queue["status"] == "VALID"
    asked = dict(computeEnvironments=[original.outputs["BatchComputeEnvironmentArn"]], nextToken="")
    [environment] = original.client("batch").describe_compute_environments(**asked)["computeEnvironments"]
    ecs, shown = original.client("ecs"), []
    for page in ecs.get_paginator("list_container_instances").paginate(cluster=environment["ecsClusterArn"]):
        shown += ecs.describe_container_instances(cluster=environment["ecsClusterArn"],
                                                  containerInstances=page["containerInstanceArns"])["containerInstances"]
    ours = {host["ec2InstanceId"]: host for host in original.cluster.hosts()}
    assert ours and set(ours) == {each["ec2InstanceId"] for each in shown}
    instances = {}
    for page in original.client("ec2").get_paginator("describe_instances").paginate(InstanceIds=list(ours)):
        for reservation in page["Reservations"]:
            instances |= {each["InstanceId"]: each for each in reservation["Instances"]}
    for each in shown:
        host, instance = ours[each["ec2InstanceId"]], instances[each["ec2InstanceId"]]
        assert {"name": "ecs.instance-type", "value": host["instanceType"]} in each["attributes"]
        registered = {part["name"]: part["integerValue"] for part in each["registeredResources"]}
        assert registered == {"CPU": host["registeredCPUs"] * 1024, "MEMORY": host["registeredMemory"]}, host
        assert instance["PrivateIpAddress"] == host["privateIpAddress"]
        assert instance["PrivateDnsName"] == host["privateDnsName"]
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidInstanceID.NotFound"):
        original.client("ec2").describe_instances(InstanceIds=["i-00000000000000000"])


def test_the_bucket_is_for_jobs_files_only(original):
    s3 = original.client("s3")
    bucket = original.parameters["ResourcesS3Bucket"]
    for call, code in ((lambda: s3.put_object(Bucket="other-bucket", Key="x", Body=b""), "NoSuchBucket"),
                       (lambda: s3.get_object(Bucket=bucket, Key="x"), "NotImplemented"),
                       (lambda: s3.create_multipart_upload(Bucket=bucket, Key="x"), "NotImplemented")):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == code
    wrong = original.aws.client("s3", aws_secret_access_key="x" * 40)
    for call, code in ((lambda: wrong.put_object(Bucket=bucket, Key="x", Body=b"y"), "SignatureDoesNotMatch"),
                       (lambda: s3.put_object(Bucket=bucket, Key="a/..", Body=b"y"), "InvalidArgument")):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == code
    # Uploads and answers of all kinds take turns on one connection.
    for size in (0, 1, 0, 8 << 20, 3):
        assert s3.put_object(Bucket=bucket, Key="many/sizes", Body=b"z" * size)["ETag"]
    with pytest.raises(botocore.exceptions.ClientError, match="EntityTooLarge"):
        s3.put_object(Bucket=bucket, Key="x", Body=b"z" * ((8 << 20) + 1))


def test_an_upload_outlives_the_head(person):
    cluster = person.create("keep", minimum=0)
    original = Original(cluster)
    bucket = original.parameters["ResourcesS3Bucket"]
    original.client("s3").put_object(Bucket=bucket, Key="a/batch/job/run.sh", Body=b"echo kept\n")
    restart(original.aws)
    url = f"s3://{bucket}/a/batch/job/"
    command = ["/bin/bash", "-c", f"mkdir -p d && cd d && aws s3 sync {url} . && bash run.sh"]
    job = original.aws.submit(command=None, containerOverrides={
        "command": command, "environment": [{"name": "PCLUSTER_JOB_S3_URL", "value": url}]})
    original.aws.wait(job)
    assert original.output(job) == ["kept"]
