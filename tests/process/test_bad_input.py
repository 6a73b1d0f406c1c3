"""Bad input: whole messages, and nothing left of what could not be made."""

import harness


def nothing_made(person, name="bad"):
    assert not (person.state / name).exists() and person.processes() == []


def test_a_file_that_is_not_there(person):
    done = person.run("pcluster", "create", "-c", "missing.config", "bad").fails(1)
    assert "missing.config" in done.err and done.err.startswith("ERROR: "), done.story()
    nothing_made(person)
    v3 = person.run("pcluster", "create-cluster", "-n", "bad", "-c", "missing.yaml").fails(1)
    assert v3.json()["message"].startswith("Bad Request: ") and "missing.yaml" in v3.out
    nothing_made(person)


def test_bad_yaml(person):
    person.write("bad.yaml", "Region: us-west-2\nImage:\n  Os: [alinux2\nHeadNode: {}\n")
    done = person.run("pcluster", "create-cluster", "-n", "bad", "-c", "bad.yaml").fails(1)
    assert done.json()["message"].startswith("Bad Request: ") and "bad.yaml:" in done.out + done.err, done.story()
    nothing_made(person)


def test_bad_ini(person):
    person.write("bad.config", "[global]\ncluster_template = x\n[cluster x]\nscheduler = awsbatch\nbase_os = alinux2\n"
                               "vpc_settings = v\ncompute_instanse_type = optimal\n[vpc v]\nvpc_id = vpc-12345678\n"
                               "master_subnet_id = subnet-12345678\n")
    done = person.run("pcluster", "create", "-c", "bad.config", "bad").fails(1)
    assert "The configuration parameter 'compute_instanse_type' is not allowed in the [cluster x] section" in done.err
    assert "compute_instance_type" in done.err and "bad.config:7:1" in done.err, done.story()
    nothing_made(person)


def test_an_unknown_instance_type(person):
    person.write("bad.yaml", harness.cluster_file(types=("c4.lagre",)))
    done = person.run("pcluster", "create-cluster", "-n", "bad", "-c", "bad.yaml").fails(1)
    answer = done.json()
    assert answer["message"] == "Invalid cluster configuration."
    assert any(e["type"] == "AwsBatchComputeInstanceTypeValidator" and "c4.lagre" in e["message"]
               for e in answer["configurationValidationErrors"]), done.out
    assert "c4.large" in done.out
    nothing_made(person)


def test_a_create_that_fails_in_the_middle(person):
    """The shared directory cannot be mounted in the nodes: the create is taken back whole."""
    tree = person.directory / "tree"
    tree.mkdir()
    for program in harness.BIN.iterdir():
        if program.is_file() and program.name != "cox-agent":
            (tree / program.name).symlink_to(program) if program.is_symlink() else None
    import shutil
    shutil.rmtree(tree)
    shutil.copytree(harness.BIN, tree, symlinks=True)
    (tree / "cox-agent").write_text("#!/bin/sh\nexit 3\n")
    (tree / "cox-agent").chmod(0o755)
    person.write("mid.yaml", harness.cluster_file())
    done = person.run("pcluster", "create-cluster", "-n", "mid", "-c", "mid.yaml", "--wait", seconds=90,
                      env={"PATH": f"{tree}:/usr/bin:/bin:/usr/sbin:/sbin"}).fails(1)
    assert "CREATE_FAILED" in done.out or "fail" in done.out.lower(), done.story()
    harness.wait_until(lambda: (not person.processes(), person.processes()), "nothing to run", 15)
    if (person.state / "mid").exists():
        person.run("pcluster", "delete-cluster", "-n", "mid", "--wait").ok()
    nothing_made(person, "mid")


def test_clusters_that_are_not_there(person):
    done = person.run("awsbstat", "-c", "nowhere").fails(1)
    assert "nowhere" in done.err
    none = person.run("awsbstat").fails(1)
    assert none.err == "Error: cluster parameter is required\n"
    usage = person.run("awsbsub", "-n", "three", "true").fails(2)
    assert "usage" in usage.err.lower()
