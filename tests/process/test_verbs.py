"""What the verbs of version 3 say of a cluster beyond its description: events, logs and the file of a new one."""

import json
import re
import shutil
import tarfile

import harness

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def pcluster(cluster, verb, *words):
    return cluster.person.run("pcluster", verb, "-n", cluster.name, *words)


def test_stack_events_tell_the_making_newest_first(cluster):
    answer = pcluster(cluster, "get-cluster-stack-events").ok().json()
    assert list(answer) == ["events"]
    events = list(reversed(answer["events"]))
    first = dict(events[0])
    assert re.fullmatch(TIME, first.pop("timestamp")), first
    assert first == {
        "eventId": first["eventId"], "physicalResourceId": first["stackId"], "resourceStatus": "CREATE_IN_PROGRESS",
        "resourceStatusReason": "User Initiated", "stackId": first["stackId"], "stackName": "shared",
        "logicalResourceId": "shared", "resourceType": "AWS::CloudFormation::Stack"}
    assert first["stackId"].startswith("arn:aws:cloudformation:us-west-2:123456789012:stack/shared/")
    made = [event for event in events if event["resourceStatus"] == "CREATE_COMPLETE"]
    head = pcluster(cluster, "describe-cluster").ok().json()["headNode"]["instanceId"]
    assert [event["physicalResourceId"] for event in made if event["logicalResourceId"] == "HeadNode"] == [head]
    assert "shared" in [event["logicalResourceId"] for event in made]
    assert len({event["eventId"] for event in events}) == len(events)
    # The page after the newest one is the others.
    rest = pcluster(cluster, "get-cluster-stack-events", "--next-token", answer["events"][0]["eventId"]).ok().json()
    assert rest == {"events": answer["events"][1:]}
    wrong = pcluster(cluster, "get-cluster-stack-events", "--next-token", "x").fails(1)
    assert wrong.json() == {"message": "Bad Request: the next token x is not valid"}


def test_verbs_of_a_cluster_that_is_not_there_say_so(person):
    message = "Cluster 'none' does not exist or belongs to an incompatible ParallelCluster major version."
    for verb in (["get-cluster-stack-events"], ["list-cluster-log-streams"],
                 ["get-cluster-log-events", "--log-stream-name", "coxd"]):
        done = person.run("pcluster", verb[0], "-n", "none", *verb[1:]).fails(1)
        assert done.json() == {"message": message} and done.err == "", done.story()


def test_log_streams_are_the_daemons_and_each_nodes(cluster):
    streams = pcluster(cluster, "list-cluster-log-streams").ok().json()["logStreams"]
    nodes = {path.name: (path / "hostname").read_text().split(".")[0].strip()
             for path in (cluster.directory / "nodes").iterdir()}
    agents = [f"{host}.{node}.agent" for node, host in sorted(nodes.items())]
    assert [stream["logStreamName"] for stream in streams] == ["coxd", *agents]
    for stream in streams:
        assert list(stream) == ["logStreamName", "creationTime", "firstEventTimestamp", "lastEventTimestamp",
                                "lastIngestionTime", "uploadSequenceToken", "logStreamArn"]
        assert re.fullmatch(TIME, stream["lastEventTimestamp"]), stream
    head = pcluster(cluster, "describe-cluster").ok().json()["headNode"]["instanceId"]
    of_head = pcluster(cluster, "list-cluster-log-streams", "--filters", "Name=node-type,Values=HeadNode").ok().json()
    assert [stream["logStreamName"] for stream in of_head["logStreams"]] == ["coxd", f"{nodes[head]}.{head}.agent"]
    wrong = pcluster(cluster, "list-cluster-log-streams", "--filters", "Name=colour,Values=red").fails(1)
    assert wrong.json()["message"].startswith("Bad Request: filters parameter must be in the form "), wrong.story()


def test_log_events_are_the_files_lines_in_pages(cluster):
    def events(*words):
        return pcluster(cluster, "get-cluster-log-events", "--log-stream-name", "coxd", *words).ok().json()

    # Nothing but the cluster's own doing is in the log while these are read.
    lines = (cluster.directory / "coxd.log").read_text().splitlines()
    head = events("--start-from-head", "true", "--limit", "2")
    assert list(head) == ["nextToken", "prevToken", "events"]
    assert [event["message"] for event in head["events"]] == [line.split(" ", 1)[1] for line in lines[:2]]
    assert all(re.fullmatch(TIME, event["timestamp"]) for event in head["events"])
    following = events("--limit", "1", "--next-token", head["nextToken"])
    assert [event["message"] for event in following["events"]] == [lines[2].split(" ", 1)[1]]
    assert events("--limit", "2", "--next-token", following["prevToken"])["events"] == head["events"]
    assert events("--next-token", head["prevToken"])["events"] == []
    first = head["events"][0]["timestamp"]
    assert events("--end-time", first)["events"] == []
    assert events("--start-time", first, "--start-from-head", "true")["events"][:2] == head["events"]


def test_log_events_refuse_what_is_wrong_in_the_originals_words(cluster):
    def message(*words, stream="coxd"):
        done = pcluster(cluster, "get-cluster-log-events", "--log-stream-name", stream, *words).fails(1)
        assert done.err == "", done.story()
        return json.loads(done.out)["message"]

    assert message(stream="../config") == "The specified log stream ../config does not exist."
    assert message("--limit", "0") == "Bad Request: 'limit' must be a positive integer."
    assert message("--limit", "many") == "Bad Request: expected 'integer' value for --limit, not many"
    assert message("--start-from-head", "maybe").startswith("Bad Request: expected 'boolean' value for ")
    assert message("--next-token", "f/x") == "Bad Request: the next token f/x is not valid"
    assert message("--start-time", "2026-01-02", "--end-time", "2026-01-01") == \
        "Bad Request: start_time filter must be earlier than end_time filter."
    assert message("--end-time", "noon").startswith("Bad Request: end_time filter must be in the ISO 8601 format")
    unnamed = pcluster(cluster, "get-cluster-log-events").fails(2)
    assert unnamed.out == "" and "--log-stream-name" in unnamed.err, unnamed.story()


def test_exported_logs_are_the_streams_and_the_events(cluster, tmp_path):
    target = cluster.person.home / "logs.tar.gz"
    done = pcluster(cluster, "export-cluster-logs", "--bucket", "any", "--output-file", "logs.tar.gz").ok()
    assert done.json() == {"path": str(target)}
    with tarfile.open(target) as archive:
        archive.extractall(tmp_path)
    (top,) = tmp_path.iterdir()
    assert re.fullmatch(r"shared-logs-\d{12}", top.name)
    events = pcluster(cluster, "get-cluster-stack-events").ok().json()
    assert json.loads((top / "shared-cfn-events").read_text()) == events
    streams = pcluster(cluster, "list-cluster-log-streams").ok().json()["logStreams"]
    kept = {path.name: path.read_text() for path in (top / "cloudwatch-logs").iterdir()}
    assert sorted(kept) == sorted(stream["logStreamName"] for stream in streams)
    shown = pcluster(cluster, "get-cluster-log-events", "--log-stream-name", "coxd").ok().json()["events"]
    assert kept["coxd"].splitlines() == [f"{event['timestamp']} {event['message']}" for event in shown]


def test_exported_logs_without_a_file_go_here_and_a_bad_place_leaves_nothing(cluster):
    here = cluster.person.home
    url = pcluster(cluster, "export-cluster-logs", "--filters", "Name=node-type,Values=HeadNode").ok().json()["url"]
    assert re.fullmatch(rf"file://{here}/shared-logs-\d{{12}}\.tar\.gz", url), url
    with tarfile.open(url.removeprefix("file://")) as archive:
        assert len([name for name in archive.getnames() if "/cloudwatch-logs/" in name]) == 2
    before = sorted(here.iterdir())
    bad = pcluster(cluster, "export-cluster-logs", "--output-file", "no/such/place.tar.gz").fails(1)
    assert bad.out == "" and bad.err.startswith(f"ERROR: {here}/no/such/place.tar.gz: "), bad.story()
    nowhere = pcluster(cluster, "export-cluster-logs", "--output-file", ".").fails(1)
    assert nowhere.err == "ERROR: .: this is no file\n"
    wrong = pcluster(cluster, "export-cluster-logs", "--start-time", "noon").fails(1)
    assert wrong.err.startswith("ERROR: start_time filter must be in the ISO 8601 format"), wrong.story()
    assert sorted(here.iterdir()) == before


def test_configure_writes_a_file_that_validates_and_makes_a_cluster(person):
    typed = "us-wst-2\nus-west-2\n2\n\nfirst\nc4.lrge\nc4.large\n4\n/scratch\n"
    done = person.run("pcluster", "configure", "-c", "made.yaml", stdin=typed).ok()
    assert "ERROR: there is no region us-wst-2; did you mean us-west-2?\n" in done.out
    assert "ERROR: instance type c4.lrge is not known; did you mean c4.large?\n" in done.out and done.err == ""
    path = person.home / "made.yaml"
    assert path.stat().st_mode & 0o777 == 0o600 and path.stat().st_uid == person.uid
    validated = person.run("cox", "validate", "made.yaml").ok().out
    assert validated == "made.yaml: a file of version 3: no errors, no warnings, no notes\n"
    cluster = person.create("made", config=path)
    assert cluster.ssh("stat -c %F /scratch").ok().out == "directory\n"
    assert person.run("pcluster", "describe-cluster", "-n", "made").ok().json()["region"] == "us-west-2"


def test_configure_that_is_broken_off_leaves_files_as_they_were(person):
    person.run("pcluster", "version").ok()  # makes the directory of the log
    before = sorted(person.home.iterdir())
    ended = person.run("pcluster", "configure", "-c", "new.yaml", "-r", "us-west-2", stdin="\n\n").fails(1)
    assert ended.err == "ERROR: the input ended before all was answered: nothing is written\n"
    assert sorted(person.home.iterdir()) == before
    kept = person.write("kept.yaml", "Region: us-west-2\n")
    refused = person.run("pcluster", "configure", "-c", "kept.yaml", stdin="\n").fails(1)
    assert refused.err == "ERROR: kept.yaml is left as it is\n"
    assert kept.read_text() == "Region: us-west-2\n"


def test_a_cluster_that_failed_tells_why_and_exports_it(person):
    tree = person.directory / "tree"
    shutil.copytree(harness.BIN, tree, symlinks=True)
    (tree / "cox-agent").write_text("#!/bin/sh\nexit 3\n")
    (tree / "cox-agent").chmod(0o755)
    path = person.write("bad.yaml", harness.cluster_file())
    person.clusters.append("bad")
    made = person.run("pcluster", "create-cluster", "-n", "bad", "-c", path, "--rollback-on-failure", "false",
                      "--wait", env={"PATH": f"{tree}:/usr/bin:/bin:/usr/sbin:/sbin"}).fails(1)
    reason = made.json()["failures"][0]["failureReason"]
    bad = harness.Cluster(person, "bad")
    events = pcluster(bad, "get-cluster-stack-events").ok().json()["events"]
    failed = [(event["logicalResourceId"], event["resourceStatusReason"]) for event in events
              if event["resourceStatus"] == "CREATE_FAILED"]
    assert ("bad", reason) in failed, events
    pcluster(bad, "export-cluster-logs", "--output-file", "bad.tar.gz").ok()
    with tarfile.open(person.home / "bad.tar.gz") as archive:
        (log,) = [name for name in archive.getnames() if name.endswith("/cloudwatch-logs/coxd")]
        assert f"bad CREATE_FAILED {reason}" in archive.extractfile(log).read().decode()
