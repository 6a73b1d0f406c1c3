"""How long logs are kept: Monitoring/Logs/CloudWatch."""

import os
import signal

import boto3
import botocore.config

import harness


def with_logs(text):
    return harness.cluster_file(minimum=0, extra=f"Monitoring:\n  Logs:\n    CloudWatch: {text}\n")


def test_what_is_older_than_the_file_says_is_not_shown_and_is_removed(person):
    cluster = person.create("short", with_logs("{RetentionInDays: 3}"))
    directory = cluster.directory / "head/actions"
    directory.mkdir(mode=0o700, exist_ok=True)
    now = person.run("date", "-u", "+%Y-%m-%dT%H:%M:%S.000Z").ok().out.strip()
    for name, text in (("ip-1.i-1.OnNodeStart", f"2020-01-01T00:00:00.000Z old\n{now} new\n"),
                       ("ip-1.i-2.OnNodeStart", "2020-01-01T00:00:00.000Z old\n")):
        (directory / f"{name}.log").write_text(text)
        os.chown(directory / f"{name}.log", person.uid, person.gid)
    os.chown(directory, person.uid, person.gid)
    os.utime(directory / "ip-1.i-2.OnNodeStart.log", (1577836800, 1577836800))
    shown = person.run("pcluster", "get-cluster-log-events", "-n", "short", "--log-stream-name", "ip-1.i-1.OnNodeStart").ok()
    assert [event["message"] for event in shown.json()["events"]] == ["new"]
    # The head looks when it starts, and every hour.
    for pid in cluster.daemons():
        os.kill(pid, signal.SIGKILL)
    harness.wait_until(lambda: (not cluster.daemons(), cluster.daemons()), "the daemons to end", 10)
    cluster.hosts()
    left = lambda: sorted(path.name for path in directory.iterdir())
    harness.wait_until(lambda: (left() == ["ip-1.i-1.OnNodeStart.log"], left()), "the old log to go", 10)


def test_cloudwatchs_group_tells_for_how_long(person):
    person.create("tells", with_logs("{RetentionInDays: 14}"))
    given = dict(line.split(" ", 1)[1].split("=", 1) for line in
                 person.run("cox", "credentials", "tells").ok().out.splitlines() if line.startswith("export "))
    logs = boto3.client("logs", endpoint_url=given["AWS_ENDPOINT_URL"].strip("'"), region_name="us-west-2",
                        aws_access_key_id=given["AWS_ACCESS_KEY_ID"].strip("'"),
                        aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"].strip("'"),
                        config=botocore.config.Config(retries={"max_attempts": 0}))
    (group,) = logs.describe_log_groups()["logGroups"]
    assert group["retentionInDays"] == 14, group


def test_logs_that_are_off_are_not_shown(person):
    person.create("off", with_logs("{Enabled: false}"))
    for words in (["list-cluster-log-streams"], ["get-cluster-log-events", "--log-stream-name", "coxd"]):
        told = person.run("pcluster", words[0], "-n", "off", *words[1:]).fails(1).json()
        assert told == {"message": "Bad Request: CloudWatch logging is not enabled for cluster off."}, told
