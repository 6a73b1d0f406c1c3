"""--query of the v3 verbs, and what pcluster configure writes without a file's name."""

import json

import harness


def test_what_a_query_selects_is_printed_in_place_of_the_answer(person):
    cluster = person.create("asked", minimum=2)
    ask = lambda *words: person.run("pcluster", *words)
    assert ask("describe-cluster", "-n", "asked", "--query", "clusterStatus").ok().out == '"CREATE_COMPLETE"\n'
    listed = ask("list-clusters", "--query", "clusters[?clusterStatus=='CREATE_COMPLETE'].clusterName").ok()
    assert listed.out == '[\n  "asked"\n]\n'
    nodes = ask("describe-cluster-instances", "-n", "asked", "--query",
                "instances[].{Id: instanceId, Type: nodeType} | sort_by(@, &Type)").ok().json()
    assert [node["Type"] for node in nodes] == ["ComputeNode", "HeadNode"] and nodes[0]["Id"].startswith("i-")
    assert ask("version", "--query", "length(version) > `0`").ok().out == "true\n"
    # As with the original: nothing is printed for nothing.
    assert ask("describe-cluster", "-n", "asked", "--query", "no.such[0]").ok().out == ""
    assert cluster.hosts()


def test_a_query_that_is_none_is_told_in_the_librarys_words(person):
    told = person.run("pcluster", "list-clusters", "--query", "clusters[").fails(1)
    assert told.json()["message"].startswith("Invalid jmespath expression: Incomplete expression:"), told.story()
    assert told.err == ""
    # What a verb refuses is printed whole.
    refused = person.run("pcluster", "describe-cluster", "-n", "nobody", "--query", "clusterName").fails(1)
    assert refused.json()["message"].startswith("Cluster 'nobody' does not exist"), refused.story()


def test_without_a_library_it_is_said_what_to_install(person):
    """Debian's Python with nothing beside its standard library."""
    done = person.run("unshare", "-rm", "sh", "-c",
                      "mount -t tmpfs none /usr/lib/python3/dist-packages && exec pcluster version --query version",
                      env={"PATH": f"{harness.BIN}:/usr/bin:/bin:/usr/sbin:/sbin"})
    told = done.fails(1).json()
    assert told["message"] == ("--query needs a library for JMESPath, and there is none: install python3-jmespath, "
                               "or jp"), told


def test_configure_writes_version_2_in_its_usual_place_and_where_a_file_is_named_so(person):
    typed = "\nt3.small\nc4.large\n4\n/scratch\n"
    done = person.run("pcluster", "configure", "-r", "us-west-2", stdin="t3.small\nc4.large\n4\n/scratch\n").ok()
    path = person.home / ".parallelcluster/config"
    assert f"pcluster create NAME --config {path}" in done.out, done.story()
    assert path.stat().st_mode & 0o777 == 0o600
    validated = person.run("cox", "validate", path).ok().out
    assert validated.endswith("a file of version 2: no errors, no warnings, no notes\n"), validated
    person.clusters.append("old")
    person.run("pcluster", "create", "old").ok()
    assert harness.Cluster(person, "old").ssh("stat -c %F /scratch").ok().out == "directory\n"
    assert person.run("pcluster", "describe-cluster", "-n", "old", "--query", "region").ok().out == '"us-west-2"\n'

    person.run("pcluster", "configure", "-c", "mine.config", stdin="us-east-1" + typed).ok()
    assert "[cluster default]\nscheduler = awsbatch\n" in (person.home / "mine.config").read_text()
    # Words that an INI file would cut are asked for again.
    again = person.run("pcluster", "configure", "-c", "other.ini", "-r", "us-west-2",
                       stdin="t3.small #big\nt3.small\n\n\n\n").ok()
    assert "ERROR: 't3.small #big' cannot stand in the file\n" in again.out, again.story()
    as_yaml = person.run("pcluster", "configure", "-c", "new.yaml", "-r", "us-west-2", stdin="\n\n\n\n\n\n").ok()
    assert "--cluster-configuration new.yaml" in as_yaml.out, as_yaml.story()
    assert json.loads(person.run("cox", "validate", "--json", "new.yaml").ok().out) is not None
