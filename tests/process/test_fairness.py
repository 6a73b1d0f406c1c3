"""Whose job is next, and what is told to those that wait: shares, backfill, limits, reasons, history."""

import json
import os
import signal
import urllib.request

import botocore.exceptions
import pytest

import harness
from test_batch_api import Aws, refused, signed

GATED = ["/bin/sh", "-c", "while [ ! -e /shared/go ]; do sleep 0.05; done"]


@pytest.fixture(scope="module")
def narrow(shared_person):
    """One node of two vCPUs."""
    return shared_person.create("narrow", minimum=2, maximum=2)


@pytest.fixture(scope="module")
def aws(narrow):
    return Aws(narrow)


def call(aws, operation, **body):
    """An operation that this boto3 does not know."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"{aws.endpoint}/v1/{operation}", data=data,
                                     headers=signed(aws, data, None, path=f"/v1/{operation}"))
    return json.load(urllib.request.urlopen(request))


def order_of(aws, queue):
    return [job["jobArn"].rsplit("/", 1)[1] for job in call(aws, "getjobqueuesnapshot", jobQueue=queue)["frontOfQueue"]["jobs"]]


def make_queue(aws, name, **more):
    given = dict(jobQueueName=name, priority=1, computeEnvironmentOrder=[
        {"order": 1, "computeEnvironment": f"{aws.cluster.name}-small"}])
    aws.batch.create_job_queue(**{**given, **more})


def remove_queue(aws, name):
    aws.batch.update_job_queue(jobQueue=name, state="DISABLED")
    aws.batch.delete_job_queue(jobQueue=name)


@pytest.fixture
def held(aws):
    """Both vCPUs are held until the function is called."""
    shared = aws.cluster.ssh("rm -f /shared/go").ok()
    assert shared.code == 0
    holder = aws.submit("holder", containerOverrides={"command": GATED, "vcpus": 2})
    aws.wait(holder, "RUNNING")

    def let_go():
        aws.cluster.ssh("touch /shared/go").ok()
        aws.wait(holder)
    yield let_go, holder
    let_go()


def restart(aws):
    """Kills the head; its keeper starts it again."""
    worker = max(aws.cluster.daemons())
    os.kill(worker, signal.SIGKILL)
    harness.wait_until(lambda: (worker not in aws.cluster.daemons(), aws.cluster.daemons()), "the head to end", 20)

    def answers():
        try:
            aws.batch.describe_job_queues()
            return True, ""
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as error:
            return False, str(error)
    harness.wait_until(answers, "the head to answer", 30)


def test_shares_are_served_by_weight_and_what_they_have_had(aws, held):
    let_go, _ = held
    policy = aws.batch.create_scheduling_policy(name="fair", fairsharePolicy={
        "shareDecaySeconds": 3600, "shareDistribution": [{"shareIdentifier": "a*", "weightFactor": 999.0},
                                                         {"shareIdentifier": "b", "weightFactor": 0.001}]})["arn"]
    make_queue(aws, "fair", schedulingPolicyArn=policy)
    assert "shareIdentifier" in refused(aws.submit, jobQueue="fair")
    assert "shareIdentifier" in refused(aws.submit, shareIdentifier="a1")

    def submit(share, priority=0):
        return aws.submit(f"of-{share}", jobQueue="fair", shareIdentifier=share, schedulingPriorityOverride=priority,
                          containerOverrides={"command": ["/bin/sh", "-c", "sleep 0.2"], "vcpus": 2})
    a1, a2, urgent = submit("a1"), submit("a1"), submit("a1", priority=9)
    b1, b2 = submit("b"), submit("b")
    wanted = [urgent, b1, b2, a1, a2]
    assert order_of(aws, "fair") == wanted

    # At once with another policy, and back.
    even = {"shareDecaySeconds": 3600, "shareDistribution": []}
    before = aws.batch.describe_scheduling_policies(arns=[policy])["schedulingPolicies"][0]["fairsharePolicy"]
    aws.batch.update_scheduling_policy(arn=policy, fairsharePolicy=even)
    assert order_of(aws, "fair") == [urgent, b1, a1, b2, a2]
    aws.batch.update_scheduling_policy(arn=policy, fairsharePolicy=before)
    assert order_of(aws, "fair") == wanted

    restart(aws)
    assert order_of(aws, "fair") == wanted
    let_go()
    ended = [aws.wait(job) for job in wanted]
    assert [job["status"] for job in ended] == ["SUCCEEDED"] * 5
    starts = [job["startedAt"] for job in ended]
    assert starts == sorted(starts), ended
    remove_queue(aws, "fair")


def test_a_queue_runs_as_many_jobs_as_its_tag_says(aws, held):
    let_go, _ = held
    make_queue(aws, "few", tags={"coxswain:MaxRunningJobs": "1"})
    assert "coxswain:MaxRunningJobs" in refused(
        aws.batch.tag_resource, resourceArn=aws.arn("job-queue", "few"), tags={"coxswain:MaxRunningJobs": "none"})
    aws.cluster.ssh("rm -f /shared/few").ok()
    gate = ["/bin/sh", "-c", "while [ ! -e /shared/few ]; do sleep 0.05; done"]
    jobs = [aws.submit(jobQueue="few", containerOverrides={"command": gate, "vcpus": 1}) for _ in range(2)]
    let_go()
    aws.wait(jobs[0], "RUNNING")
    why = aws.cluster.person.run("awsbstat", "-c", aws.cluster.name, "--why", jobs[1], "--json").ok().json()
    assert [reason["kind"] for reason in why[0]["reasons"]] == ["queue_limit"], why
    assert why[0]["reasons"][0]["wanted"] == why[0]["reasons"][0]["have"] == 1
    assert "job queue few lets 1 job run at once, and 1 does" in aws.job(jobs[1])["statusReason"]
    assert aws.job(jobs[1])["status"] == "RUNNABLE"

    # The limit is gone with its tag, at once.
    aws.batch.untag_resource(resourceArn=aws.arn("job-queue", "few"), tagKeys=["coxswain:MaxRunningJobs"])
    aws.wait(jobs[1], "RUNNING")
    aws.cluster.ssh("touch /shared/few").ok()
    assert {aws.wait(job)["status"] for job in jobs} == {"SUCCEEDED"}
    remove_queue(aws, "few")


def test_the_file_may_limit_a_queue_too(person):
    cluster = person.create("few", minimum=2, maximum=2,
                            extra="Coxswain:\n  HistoryDays: 3\n  Queues: [{Name: queue1, MaxRunningJobs: 1}]\n")
    first = cluster.submit("sleep", "600")
    cluster.wait_for(first, "RUNNING")
    second = cluster.submit("true")
    why = person.run("awsbstat", "-c", "few", "--why", second).ok().out
    assert "job queue queue1 lets 1 job run at once, and 1 does" in why, why
    person.run("awsbkill", "-c", "few", first).ok()
    assert cluster.finish(second)["status"] == "SUCCEEDED"


def test_a_waiting_job_is_told_who_holds_what_and_what_would_do(aws):
    aws.cluster.ssh("rm -f /shared/go").ok()
    holder = aws.submit("holder", containerOverrides={"command": GATED, "vcpus": 1})
    aws.wait(holder, "RUNNING")
    job = aws.submit("waits", containerOverrides={"command": ["true"], "vcpus": 2})
    behind = aws.submit("behind", containerOverrides={"command": ["true"], "vcpus": 2})
    after = aws.submit("after", dependsOn=[{"jobId": job}])

    text = aws.cluster.person.run("awsbstat", "-c", aws.cluster.name, "--why", job).ok().out
    assert f"held by job {holder}" in text, text
    assert "--vcpus 1 in place of 2 starts at once" in text, text
    reason = aws.job(job)["statusReason"]
    assert f"held by job {holder}" in reason and reason.endswith("--vcpus 1 in place of 2 starts at once"), reason

    [told] = aws.cluster.person.run("awsbstat", "-c", aws.cluster.name, "--why", job, "--json").ok().json()
    assert told["reasons"][0]["heldBy"] == [holder] and told["reasons"][0]["holders"] == 1, told
    assert told["changes"][0]["changes"] == [{"kind": "vcpus", "to": 1, "from": 2}], told
    [told] = aws.cluster.person.run("awsbstat", "-c", aws.cluster.name, "--why", behind, "--json").ok().json()
    assert told["reasons"][-1]["kind"] == "queue_order" and told["reasons"][-1]["ahead"] == 1, told
    assert aws.job(after)["statusReason"] == f"it depends on job {job}, which is RUNNABLE"

    # What was said is so.
    smaller = aws.submit("smaller", containerOverrides={"command": ["true"], "vcpus": 1})
    aws.batch.cancel_job(jobId=job, reason="submitted otherwise")
    aws.batch.cancel_job(jobId=behind, reason="submitted otherwise")
    assert aws.wait(smaller)["status"] == "SUCCEEDED"
    aws.cluster.ssh("touch /shared/go").ok()
    aws.wait(holder)


def test_jobs_after_any_end_and_after_a_failure(narrow):
    bad = narrow.submit("-jn", "bad", "--", "sh", "-c", "exit 3")
    good = narrow.submit("-jn", "good", "true")
    waits = {
        "any_bad": narrow.submit("-d", f"afterany:{bad}", "true"),
        "any_good": narrow.submit("-d", f"afterany:{good}", "true"),
        "not_ok_bad": narrow.submit("-d", f"afternotok:{bad}", "true"),
        "not_ok_good": narrow.submit("-d", f"afternotok:{good}", "true"),
        "ok_bad": narrow.submit("-d", f"afterok:{bad}", "true"),
        "ok_good": narrow.submit("-d", f"afterok:{good},afternotok:{bad}", "true"),
    }
    ends = {name: narrow.finish(job) for name, job in waits.items()}
    assert {name: end["status"] for name, end in ends.items()} == {
        "any_bad": "SUCCEEDED", "any_good": "SUCCEEDED", "not_ok_bad": "SUCCEEDED", "not_ok_good": "FAILED",
        "ok_bad": "FAILED", "ok_good": "SUCCEEDED"}
    assert "only if it failed" in ends["not_ok_good"]["statusReason"]
    assert ends["ok_bad"]["statusReason"] == "Dependent Job failed"
    # Of jobs that have ended long since: the same, at once.
    assert narrow.finish(narrow.submit("-d", f"afternotok:{bad}", "true"))["status"] == "SUCCEEDED"
    assert narrow.finish(narrow.submit("-d", f"afternotok:{good}", "true"))["status"] == "FAILED"


def test_more_dependencies_than_the_original_takes(narrow, aws):
    jobs = [narrow.submit("true") for _ in range(22)]
    last = narrow.submit("-d", ",".join(f"afterany:{job}" for job in jobs), "true")
    assert narrow.finish(last)["status"] == "SUCCEEDED"
    assert "20" in refused(aws.submit, dependsOn=[{"jobId": job} for job in jobs])


def starts_and_ends(aws, parent, size):
    jobs = [aws.job(f"{parent}:{i}") for i in range(size)]
    assert [job["status"] for job in jobs] == ["SUCCEEDED"] * size, jobs
    return [(job["startedAt"], job["stoppedAt"]) for job in jobs]


def test_children_one_after_the_other_and_child_by_child(aws):
    """SEQUENTIAL and N_TO_N; a failed child fails those that wait for it, and no other."""
    first = aws.submit("first", ["/bin/sh", "-c", "sleep 0.1"], arrayProperties={"size": 3}, dependsOn=[{"type": "SEQUENTIAL"}])
    second = aws.submit("second", arrayProperties={"size": 3}, dependsOn=[{"jobId": first, "type": "N_TO_N"}])
    assert aws.job(first)["dependsOn"] == [{"type": "SEQUENTIAL"}]
    assert aws.job(second)["dependsOn"] == [{"jobId": first, "type": "N_TO_N"}]
    assert {aws.wait(job)["status"] for job in (first, second)} == {"SUCCEEDED"}
    one, two = starts_and_ends(aws, first, 3), starts_and_ends(aws, second, 3)
    for i in (1, 2):
        assert one[i - 1][1] <= one[i][0], one
    for i in range(3):
        assert one[i][1] <= two[i][0], (one, two)

    broken = aws.submit("broken", ["/bin/sh", "-c", "[ $AWS_BATCH_JOB_ARRAY_INDEX != 1 ]"], arrayProperties={"size": 3})
    behind = aws.submit("behind", arrayProperties={"size": 3}, dependsOn=[{"jobId": broken, "type": "N_TO_N"}])
    chain = aws.submit("chain", ["/bin/sh", "-c", "[ $AWS_BATCH_JOB_ARRAY_INDEX != 1 ]"], arrayProperties={"size": 4},
                       dependsOn=[{"type": "SEQUENTIAL"}])
    for parent, wanted in ((behind, ["SUCCEEDED", "FAILED", "SUCCEEDED"]), (chain, ["SUCCEEDED", "FAILED", "FAILED", "FAILED"])):
        assert aws.wait(parent)["status"] == "FAILED"
        assert [aws.job(f"{parent}:{i}")["status"] for i in range(len(wanted))] == wanted
    assert aws.job(f"{behind}:1")["statusReason"] == aws.job(f"{chain}:3")["statusReason"] == "Dependent Job failed"
    assert "same size" in refused(aws.submit, arrayProperties={"size": 2}, dependsOn=[{"jobId": broken, "type": "N_TO_N"}])
    assert "array" in refused(aws.submit, dependsOn=[{"jobId": broken, "type": "N_TO_N"}])


def test_no_job_can_wait_for_itself_or_for_one_to_come(aws):
    """Dependencies are on jobs that exist, so they never run in a circle."""
    unknown = "00000000-0000-4000-8000-000000000000"
    assert refused(aws.submit, dependsOn=[{"jobId": unknown}]) == f"Dependent job {unknown} does not exist"
    first = aws.submit("first", dependsOn=[])
    second = aws.submit("second", dependsOn=[{"jobId": first}])
    assert {aws.wait(job)["status"] for job in (first, second)} == {"SUCCEEDED"}
    assert "array" in refused(aws.submit, dependsOn=[{"type": "SEQUENTIAL"}])


def test_a_token_makes_one_job_of_several_submissions(narrow, aws):
    first = narrow.submit("--client-token", "tok-1", "-jn", "once", "echo", "hi")
    assert narrow.submit("--client-token", "tok-1", "-jn", "once", "echo", "hi") == first
    restart(aws)
    assert narrow.submit("--client-token", "tok-1", "-jn", "once", "echo", "hi") == first
    other = narrow.person.run("awsbsub", "-c", narrow.name, "--client-token", "tok-1", "-jn", "once", "echo", "ho").fails(1)
    assert f"clientToken tok-1 was used for job {first}" in other.err, other.story()
    assert narrow.submit("--client-token", "tok-2", "-jn", "once", "echo", "hi") != first
    script = [narrow.script("echo script\n", "--client-token", "tok-4") for _ in range(2)]
    assert script[0] == script[1]
    narrow.person.write("token.sh", "echo file\n")
    files = [narrow.submit("--client-token", "tok-5", "-a", "2", "-cf", "token.sh") for _ in range(2)]
    assert files[0] == files[1] and narrow.finish(files[0])["status"] == "SUCCEEDED"

    # A client that knows its members sends a header.
    def add_token(params, **_):
        params["headers"]["X-Coxswain-Client-Token"] = "tok-3"
    aws.batch.meta.events.register("before-call.batch.SubmitJob", add_token)
    try:
        assert aws.submit("by-header") == aws.submit("by-header")
        assert "tok-3" in refused(aws.submit, name="another")
    finally:
        aws.batch.meta.events.unregister("before-call.batch.SubmitJob", add_token)
    narrow.finish(first)


def test_history(narrow):
    good = narrow.submit("-jn", "hist-good", "sleep", "0.1")
    bad = narrow.submit("-jn", "hist-bad", "--", "sh", "-c", "exit 7")
    assert (narrow.finish(good)["status"], narrow.finish(bad)["status"]) == ("SUCCEEDED", "FAILED")

    def history(*words):
        return narrow.person.run("cox", "history", "-c", narrow.name, *words)

    def ids(*words):
        return [job["jobId"] for job in history("--json", *words).ok().json()]
    jobs = {job["jobId"]: job for job in history("--json").ok().json()}
    assert jobs[bad]["exitCode"] == 7 and jobs[bad]["status"] == "FAILED" and jobs[bad]["user"] == narrow.person.name
    assert jobs[good]["runMs"] > 0 and jobs[good]["waitMs"] >= 0 and jobs[good]["exitCode"] == 0
    stops = [job["stoppedAt"] for job in history("--json").ok().json()]
    assert stops == sorted(stops, reverse=True)
    assert bad in ids("--status", "failed") and good not in ids("--status", "FAILED")
    assert ids("--user", "nobody-there") == []
    assert good in ids("--queue", "queue1", "--since", "1d") and ids("--until", "1d") == []
    assert ids("--limit", "1") and len(ids("--limit", "1")) == 1
    assert "more" in history("--limit", "1").ok().err
    table = history().ok().out.splitlines()
    assert table[0].split() == ["jobId", "jobName", "user", "queue", "status", "exitCode", "waited", "ran", "stoppedAt"]
    assert any(line.startswith(bad) and " 7 " in line for line in table), table
    assert "no time" in history("--since", "noon").fails(2).err
    assert "not found" in history("--queue", "nosuch").fails(1).err
    assert "SUCCEEDED or FAILED" in history("--status", "RUNNING").fails(1).err


def test_short_jobs_pass_a_wide_one_that_waits(cluster):
    """Three nodes: one is held, three are wanted; who ends before the holder's timeout may go first."""
    cluster.ssh("rm -f /shared/hold").ok()
    warm = cluster.script("true\n", nodes=3)
    assert cluster.finish(warm)["status"] == "SUCCEEDED"
    holder = cluster.submit("-jn", "holder", "-p", "2", "-t", "600", "--", "sh", "-c",
                            "while [ ! -e /shared/hold ]; do sleep 0.05; done")
    cluster.wait_for(holder, "RUNNING")
    wide = cluster.script("true\n", nodes=3)
    endless = cluster.submit("-jn", "endless", "true")
    long = cluster.submit("-jn", "long", "-t", "3600", "true")
    short = cluster.submit("-jn", "short", "-t", "60", "true")
    assert cluster.finish(short)["status"] == "SUCCEEDED"
    assert [cluster.status(job) for job in (wide, endless, long)] == ["RUNNABLE"] * 3
    told = cluster.person.run("awsbstat", "-c", cluster.name, "--why", long, "--json").ok().json()[0]
    assert {"kind": "timeout", "from": 3600} == {k: v for k, v in told["changes"][-1]["changes"][0].items() if k != "to"}, told
    cluster.ssh("touch /shared/hold").ok()
    assert {cluster.finish(job)["status"] for job in (wide, endless, long)} == {"SUCCEEDED"}


def test_ten_thousand_children(cluster):
    aws = Aws(cluster)
    size = 10_000
    gate = cluster.submit("--", "sh", "-c", "exit 1")
    cluster.finish(gate)
    parent = aws.submit("many", arrayProperties={"size": size}, command=["true"])

    def summary():
        shown = aws.job(parent)["arrayProperties"]
        assert shown["size"] == size
        return shown["statusSummary"]

    def some_have_run():
        counts = summary()
        assert sum(counts.values()) == size and set(counts) >= {"RUNNABLE", "RUNNING", "SUCCEEDED", "FAILED"}, counts
        return counts["SUCCEEDED"] >= 50, counts
    harness.wait_until(some_have_run, "some children to have run", 120)
    assert aws.job(parent)["status"] in ("PENDING", "SUCCEEDED")
    aws.batch.terminate_job(jobId=parent, reason="enough of them")
    end = aws.wait(parent, seconds=120)
    counts = end["arrayProperties"]["statusSummary"]
    assert counts["SUCCEEDED"] + counts["FAILED"] == size and counts["SUCCEEDED"] >= 50, counts
    if counts["FAILED"]:
        assert end["status"] == "FAILED" and end["statusReason"] == "enough of them", end
        failed = aws.batch.list_jobs(arrayJobId=parent, jobStatus="FAILED", maxResults=100)
        assert len(failed["jobSummaryList"]) == min(100, counts["FAILED"])
        assert {job["statusReason"] for job in failed["jobSummaryList"]} == {"enough of them"}
    # Its dependents fail with it, and nothing of it is left to run.
    assert aws.wait(aws.submit("dependent", dependsOn=[{"jobId": parent}]))["status"] == end["status"]
    assert aws.job(f"{parent}:{size - 1}")["arrayProperties"]["index"] == size - 1
