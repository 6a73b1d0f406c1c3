"""Images of job definitions in real podman, as root and as an ordinary user, offline."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

import conftest
import harness
import images
from test_batch_api import Aws, refused

S3_SERVER = next((directory for directory in (pathlib.Path("/var/cache/coxswain-tests/s3rver"),
                                              pathlib.Path.home() / ".cache/coxswain-tests/s3rver")
                  if directory.exists()), None)
S3_PORT = 4568
SECONDS = 120  # an image is unpacked while other programs have the machine, too

# The three programs of the workflow: each gets its files through S3 where it is told of a bucket,
# and through a directory otherwise.
STORAGE = """#!/usr/bin/python3
import os, sys
key, secret, name = sys.argv[1:]
bucket = os.environ.get("BUCKET")
if bucket:
    import boto3
    s3 = boto3.client("s3", aws_access_key_id=key, aws_secret_access_key=secret, region_name="us-west-2",
                      endpoint_url=os.environ["S3_URL"])
    read = lambda name: s3.get_object(Bucket=bucket, Key=name)["Body"].read().decode()
    write = lambda name, text: s3.put_object(Bucket=bucket, Key=name, Body=text.encode())
else:
    read = lambda name: open("/shared/" + name).read()
    write = lambda name, text: open("/shared/" + name, "w").write(text)
"""
PROGRAMS = {
    "dopi": STORAGE + """
total = sum((-1) ** k / (2 * k + 1) for k in range(200000))
write(name, f"{4 * total:.4f}")
print("wrote", name)
""",
    "double": STORAGE + """
text = f"{2 * float(read(name)):.4f}"
write("double-" + name, text)
print("doubled", text)
""",
    "square": STORAGE + """
text = f"{float(read(name)) ** 2:.3f}"
write("square-" + name, text)
print("squared", text)
""",
}


@pytest.fixture(scope="session")
def archives():
    """The directory of the images' archives, made once; everybody may read it."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="cox-images-"))
    directory.chmod(0o755)
    python = images.python_root()
    images.save_image(directory / "python.tar", [python], Cmd=["python", "-c", "print('by the image')"],
                      Env=["PATH=/usr/local/bin:/usr/bin:/bin", "FROM_IMAGE=yes"], WorkingDir="/usr")
    images.save_image(directory / "entry.tar", [python], Entrypoint=["/usr/bin/printf", "%s|"], Cmd=["a", "b"],
                      User="games")
    for name, program in PROGRAMS.items():
        images.save_image(directory / f"{name}.tar", [python, images.layer_of({f"/{name}.py": program})])
    images.save_image(directory / "mpi.tar", [images.mpi_root()])
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def aws(cluster, archives):
    return with_images(cluster, archives)


def with_images(cluster, archives):
    cluster.person.run("cp", "-r", archives, cluster.directory / "shared/data/images").ok()
    return Aws(cluster)


def image(name):
    return f"docker-archive:/shared/images/{name}.tar"


def properties(name, command, **more):
    return {"image": image(name), "vcpus": 1, "memory": 256, "command": command, **more}


def define(aws, name, container, **more):
    return aws.batch.register_job_definition(jobDefinitionName=name, type="container", containerProperties=container,
                                             **more)["jobDefinitionArn"]


def run(aws, name, container, seconds=SECONDS, **more):
    """Registers, submits, waits: the job at its end."""
    definition = define(aws, name, container)
    id = aws.batch.submit_job(jobName=name, jobQueue="queue1", jobDefinition=definition, **more)["jobId"]
    return aws.wait(id, seconds=seconds)


def succeeded(aws, job):
    lines = aws.lines(job) if job["container"].get("startedAt", job["startedAt"]) else []
    assert job["status"] == "SUCCEEDED", f"{job['statusReason']}\n{lines}\n{job}"
    return lines


def left_of_containers(cluster):
    """Processes that only containers have, and directories of containers that ended."""
    found = [line for _, line in cluster.person.processes() if "conmon" in line or "podman" in line]
    return found + [str(path) for path in (cluster.directory / "nodes").glob("*/scratch/.containers/*")]


def nothing_left(cluster):
    harness.wait_until(lambda: (not left_of_containers(cluster), left_of_containers(cluster)),
                       "all of a container to go", 30)


def test_a_command_runs_in_its_image_with_what_the_definition_says(cluster, aws):
    look = "\n".join([
        "import os, resource, socket",
        "print(os.getcwd(), os.environ['FROM_IMAGE'], os.environ['GIVEN'], os.environ['TWO'].count(chr(10)))",
        "print(os.environ['AWS_BATCH_JOB_ID'], os.environ['AWS_BATCH_JOB_ATTEMPT'], os.environ['AWS_BATCH_JQ_NAME'])",
        "print(resource.getrlimit(resource.RLIMIT_NOFILE))",
        "print(os.path.exists('/sys/class/net/eth0'), os.getpid(), os.path.exists('/home/coxtest'))",
        "v = os.statvfs('/dev/shm'); print(v.f_blocks * v.f_frsize >> 20)",
        "v = os.statvfs('/scratch'); print(v.f_blocks * v.f_frsize >> 20)",
        "print(open('/in/note').read(), end='')",
        "for path in ('/in/x', '/out/x', '/root/x', '/volume/x', '/shared/x'):",
        "    try: open(path, 'w').close(); print(path, 'written')",
        "    except OSError as error: print(path, error.strerror)",
    ])
    note = cluster.directory / "shared/data/in"
    cluster.person.run("sh", "-c", f"mkdir {note} && echo a note > {note}/note").ok()
    job = run(aws, "properties", properties(
        "python", ["python", "-c", look], readonlyRootFilesystem=True,
        environment=[{"name": "GIVEN", "value": "a b"}, {"name": "TWO", "value": "one\ntwo"}],
        ulimits=[{"name": "nofile", "softLimit": 100, "hardLimit": 200}],
        volumes=[{"name": "in", "host": {"sourcePath": "/shared/in"}}, {"name": "own"},
                 {"name": "out", "host": {"sourcePath": "/shared/made/by/mount"}}],
        mountPoints=[{"sourceVolume": "in", "containerPath": "/in", "readOnly": True},
                     {"sourceVolume": "own", "containerPath": "/volume"},
                     {"sourceVolume": "out", "containerPath": "/out"}],
        linuxParameters={"sharedMemorySize": 32, "initProcessEnabled": True,
                         "tmpfs": [{"containerPath": "/scratch", "size": 5}]}))

    assert succeeded(aws, job) == [
        "/usr yes a b 1", f"{job['jobId']} 1 queue1", "(100, 200)", "True 2 False", "32", "5", "a note",
        "/in/x Read-only file system", "/out/x written", "/root/x Read-only file system", "/volume/x written",
        "/shared/x written"]
    assert (cluster.directory / "shared/data/made/by/mount/x").exists()
    nothing_left(cluster)


def test_an_image_has_a_command_and_a_user_of_its_own(aws):
    own = run(aws, "own", {"image": image("python"), "vcpus": 1, "memory": 256})
    assert succeeded(aws, own) == ["by the image"]
    entry = run(aws, "entry", {"image": image("entry"), "vcpus": 1, "memory": 256})
    assert succeeded(aws, entry) == ["a|b|"]
    given = run(aws, "entry", {"image": image("entry"), "vcpus": 1, "memory": 256},
                containerOverrides={"command": ["x", "y z"]})
    assert succeeded(aws, given) == ["x|y z|"]
    for user, ids in ((None, "0:0"), ("games", "5:60"), ("1234:77", "1234:77"), ("root", "0:0")):
        who = run(aws, "who", properties("python", ["sh", "-c", "echo $(id -u):$(id -g)"],
                                         **({"user": user} if user else {})))
        assert succeeded(aws, who) == [ids]
    nobody = run(aws, "who", properties("python", ["id"], user="nosuchuser"))
    assert nobody["status"] == "FAILED"
    assert nobody["statusReason"] == "CannotCreateContainerError: the image has no user nosuchuser"


def test_a_file_system_that_nobody_mounts_is_refused(aws):
    volumes = [{"name": "far", "efsVolumeConfiguration": {"fileSystemId": "fs-12345678"}}]
    said = refused(aws.batch.register_job_definition, jobDefinitionName="far", type="container",
                   containerProperties=properties("python", ["true"], volumes=volumes))
    assert "efsVolumeConfiguration" in said and "host.sourcePath" in said


def test_output_and_exit_code_are_the_commands_own(aws):
    job = run(aws, "ends", properties("python", ["sh", "-c", "echo out; echo err >&2; exit 9"]))
    assert job["status"] == "FAILED" and job["container"]["exitCode"] == 9
    assert job["statusReason"] == "Essential container in task exited"
    assert sorted(aws.lines(job)) == ["err", "out"]
    many = run(aws, "ends", properties("python", ["python", "-c", "for i in range(20000): print(i)"]))
    assert succeeded(aws, many)[:2] == ["0", "1"]
    missing = run(aws, "ends", properties("python", ["/no/such/program"]))
    assert missing["status"] == "FAILED"
    assert missing["statusReason"].startswith("CannotStartContainerError: "), missing
    assert "/no/such/program" in missing["statusReason"]


def test_an_image_that_cannot_be_pulled_fails_the_attempt_and_is_tried_again(cluster, aws):
    retry = {"attempts": 3, "evaluateOnExit": [{"onReason": "CannotPullContainerError:*", "action": "RETRY"}]}
    lost = run(aws, "lost", {"image": "docker-archive:/shared/no.tar", "vcpus": 1, "memory": 64}, retryStrategy=retry)
    assert lost["status"] == "FAILED" and len(lost["attempts"]) == 3
    assert lost["statusReason"].startswith("CannotPullContainerError: /shared/no.tar: "), lost
    assert lost["attempts"][0]["container"]["reason"] == lost["statusReason"]
    assert lost["startedAt"] == 0

    # Nobody listens there: podman tries for a while, and is asked to stop.
    definition = define(aws, "far", {"image": "127.0.0.1:9/team/tool:2", "vcpus": 1, "memory": 64})
    id = aws.batch.submit_job(jobName="far", jobQueue="queue1", jobDefinition=definition)["jobId"]

    def tells():
        job = aws.job(id)
        return "Pulling image 127.0.0.1:9/team/tool:2" in job.get("statusReason", ""), job
    assert harness.wait_until(tells, "the pull to be told", 30)["status"] == "STARTING"
    aws.batch.terminate_job(jobId=id, reason="enough")
    assert aws.wait(id)["statusReason"] == "enough"
    nothing_left(cluster)
    end = run(aws, "far", {"image": "127.0.0.1:9/team/tool:2", "vcpus": 1, "memory": 64})
    assert re.match(r"CannotPullContainerError: .*127\.0\.0\.1:9.*connection refused", end["statusReason"]), end


def test_an_image_is_read_once_a_node(cluster, aws):
    definition = define(aws, "once", properties("python", ["python", "-c", "print('up')"]))
    ids = [aws.batch.submit_job(jobName=f"once-{i}", jobQueue="queue1", jobDefinition=definition)["jobId"]
           for i in range(4)]
    for id in ids:
        assert succeeded(aws, aws.wait(id, seconds=SECONDS)) == ["up"]
    notes = {path: path.stat().st_mtime_ns for path in (cluster.directory / "nodes").glob("*/scratch/.images/*/refs/*")}
    assert notes
    for _ in range(2):
        succeeded(aws, run(aws, "once", properties("python", ["true"])))
    again = {path: path.stat().st_mtime_ns for path in notes}
    assert again == notes


def test_memory_is_limited_to_the_containers_own(aws):
    fine = run(aws, "memory", properties("python", ["python", "-c", "print(len(bytearray(20 << 20)))"], memory=48))
    assert succeeded(aws, fine) == [str(20 << 20)]
    grow = "import time\nkept = [bytearray(b'x' * (8 << 20)) for _ in range(64)]\ntime.sleep(600)"
    over = run(aws, "memory", properties("python", ["python", "-c", grow], memory=96))
    assert over["status"] == "FAILED" and over["container"]["exitCode"] == 137
    assert over["container"]["reason"] == "OutOfMemoryError: Container killed due to memory usage"


def test_processors_are_limited_to_the_vcpus_of_the_definition(aws):
    machine = len(os.sched_getaffinity(0))
    count = ["python", "-c", "import os; print(len(os.sched_getaffinity(0)))"]
    assert succeeded(aws, run(aws, "one", properties("python", count))) == ["1"]
    two = run(aws, "two", properties("python", count, vcpus=2))
    assert succeeded(aws, two) == [str(min(machine, 2))]


@contextlib.contextmanager
def ordinary_user(cluster):
    """Of root's cluster somebody else, who uses it too; of an ordinary user's that user."""
    if not cluster.person.is_root:
        yield cluster.person
        return
    conftest.account("user")
    other = harness.Person(harness.TEST_USER)
    other.state = cluster.person.state
    yield other
    shutil.rmtree(other.directory)


def test_a_container_has_no_more_rights_than_its_jobs_user(cluster, aws):
    """Its root is that user, whom a user namespace gives what podman needs."""
    with ordinary_user(cluster) as user:
        theirs = Aws(harness.Cluster(user, cluster.name))
        script = "id -u; touch /shared/by-root /root/x; python -c 'print(1)'"
        assert succeeded(theirs, run(theirs, "rights", properties("python", ["sh", "-c", script]))) == ["0", "1"]
        script = "id -u; touch /shared/by-games"
        job = run(theirs, "rights", properties("python", ["sh", "-c", script], user="games", privileged=True))
        assert succeeded(theirs, job) == ["5"]
    for name in ("by-root", "by-games"):
        assert (cluster.directory / "shared/data" / name).stat().st_uid == user.uid
    nothing_left(cluster)


def test_a_container_that_is_stopped_leaves_nothing(cluster, aws):
    stubborn = "trap '' TERM; echo ready; while :; do sleep 1; done"
    polite = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 1; done"
    ids = {}
    for name, script in (("stubborn", stubborn), ("polite", polite)):
        definition = define(aws, name, properties("python", ["sh", "-c", script]))
        ids[name] = aws.batch.submit_job(jobName=name, jobQueue="queue1", jobDefinition=definition)["jobId"]
    for id in ids.values():
        aws.wait(id, "RUNNING", seconds=SECONDS)
        harness.wait_until(lambda id=id: (aws.lines(aws.job(id)) == ["ready"], aws.job(id)), "the script to run")
        aws.batch.terminate_job(jobId=id, reason="enough")
    polite = aws.wait(ids["polite"])
    assert polite["statusReason"] == "enough" and polite["container"]["exitCode"] == 3
    assert "bye" in aws.lines(polite)
    stubborn = aws.wait(ids["stubborn"], seconds=90)
    assert stubborn["container"]["exitCode"] == 137
    nothing_left(cluster)


def test_a_local_store_has_images_too(cluster, aws):
    """An image that somebody imported into a store of their own, which the nodes only read."""
    person, shared = cluster.person, cluster.directory / "shared/data"
    root = person.directory / "root.tar"
    root.write_bytes(images.python_root())
    root.chmod(0o644)
    store = person.directory / "store"
    store.mkdir()
    os.chown(store, person.uid, person.gid)
    at = ["podman", "--root", shared / "store", "--runroot", store / "run", "--tmpdir", store / "tmp",
          "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
    inside = [] if person.is_root else ["unshare", "--user", "--map-root-user", "--mount"]
    more = [] if person.is_root else ["--storage-opt", "overlay.ignore_chown_errors=true"]
    rootless = {} if person.is_root else {"_CONTAINERS_USERNS_CONFIGURED": "done", "_CONTAINERS_ROOTLESS_UID":
                                          str(person.uid), "_CONTAINERS_ROOTLESS_GID": str(person.gid),
                                          "XDG_RUNTIME_DIR": str(person.home)}
    conf = person.write("containers.conf", '[engine]\nlock_type="file"\n')
    person.run(*inside, *at, *more, "import", root, "mine:7", seconds=SECONDS,
               env={"CONTAINERS_CONF": str(conf), **rootless}).ok()
    job = run(aws, "stored", {"image": "containers-storage:[overlay@/shared/store]mine:7", "vcpus": 1, "memory": 256,
                              "command": ["python3", "-c", "import boto3; print(boto3.__name__)"]})
    assert succeeded(aws, job) == ["boto3"]
    none = run(aws, "stored", {"image": "containers-storage:mine:8", "vcpus": 1, "memory": 64, "command": ["true"]})
    assert none["statusReason"] == "CannotPullContainerError: no store on this node has containers-storage:mine:8"
    if not person.is_root:
        person.run("unshare", "--user", "--map-root-user", "rm", "-rf", shared / "store").ok()


@pytest.mark.parametrize("user", [None, "1234:77"])
def test_an_mpi_job_of_container_ranks_works_across_nodes(aws, user):
    script = ('if [ "$AWS_BATCH_JOB_NODE_INDEX" = "$AWS_BATCH_JOB_MAIN_NODE_INDEX" ]; then '
              'exec mpirun --hostfile "$HOME/hostfile" --map-by ppr:2:node /ring; fi; '
              # As the first process of a container it gets only the signals that it asks for.
              'trap "exit 0" TERM; sleep 600 & wait')
    container = properties("mpi", ["sh", "-c", script], vcpus=2, memory=512, **({"user": user} if user else {}))
    definition = aws.batch.register_job_definition(
        jobDefinitionName="ring", type="multinode",
        nodeProperties={"numNodes": 3, "mainNode": 0,
                        "nodeRangeProperties": [{"targetNodes": "0:", "container": container}]})["jobDefinitionArn"]
    id = aws.batch.submit_job(jobName="ring", jobQueue="queue1", jobDefinition=definition)["jobId"]
    end = aws.wait(id, seconds=2 * SECONDS)
    main = aws.job(f"{id}#0")
    lines = aws.lines(main)
    assert end["status"] == "SUCCEEDED", "\n".join([str(end), *lines])
    hosts = re.findall(r"Hello world from processor (\S+), rank (\d) out of 6 processors", "\n".join(lines))
    assert len(hosts) == 6 and len({host for host, _ in hosts}) == 3, lines
    assert "sum of all ranks: 15" in lines
    # Each rank's output is told apart, as it is on nodes.
    rank = aws.cluster.person.run("awsbout", "-c", aws.cluster.name, id, "--rank", "3").ok().out
    assert "rank 3 out of 6" in rank and "rank 2 out of" not in rank


@contextlib.contextmanager
def s3_server(cluster):
    """A real S3 server on the cluster's head node, which all of its nodes reach: its address from them."""
    assert S3_SERVER, "scripts/install-deps --test installs s3rver"
    address = cluster.ssh("cat", "/etc/hosts").ok().out
    head = re.search(r"^(10\.0\.\S+)", cluster.ssh("hostname", "-I").ok().out, re.M)
    assert head, address
    server = cluster.person.start("pcluster", "ssh", cluster.name, "-i", "key.pem", "node",
                                  S3_SERVER / "node_modules/s3rver/bin/s3rver.js", "--address", "0.0.0.0", "--port",
                                  S3_PORT, "--directory", "/shared/s3", "--configure-bucket", "results",
                                  stderr=subprocess.STDOUT)
    try:
        listens = f"exec 3<>/dev/tcp/{head[1]}/{S3_PORT}"

        def answers():
            done = cluster.ssh("bash", "-c", f"'{listens}'")
            return done.code == 0, (done.story(), server.poll())
        harness.wait_until(answers, "the S3 server to listen", 60)
        yield f"http://{head[1]}:{S3_PORT}"
    finally:
        server.terminate()
        server.communicate(timeout=30 * harness.PATIENCE)


def three_jobs(aws, environment, file):
    """The workflow as a boto3 program: the first job writes, two more wait for it, read and write."""
    definitions = {name: define(aws, name, properties(name, ["python", f"/{name}.py", "Ref::key", "Ref::secret",
                                                             "Ref::file"], environment=environment))
                   for name in PROGRAMS}
    parameters = {"key": "S3RVER", "secret": "S3RVER", "file": file}
    first = aws.batch.submit_job(jobName="dopi", jobQueue="queue1", jobDefinition=definitions["dopi"],
                                 parameters=parameters)["jobId"]
    after = [aws.batch.submit_job(jobName=name, jobQueue="queue1", jobDefinition=definitions[name],
                                  parameters=parameters, dependsOn=[{"jobId": first}])["jobId"]
             for name in ("double", "square")]
    return [succeeded(aws, aws.wait(id, seconds=2 * SECONDS)) for id in (first, *after)]


def test_three_jobs_pass_files_through_a_shared_directory(cluster, aws):
    said = three_jobs(aws, [], "pi.txt")
    assert said == [["wrote pi.txt"], ["doubled 6.2832"], ["squared 9.870"]]
    shared = cluster.directory / "shared/data"
    assert (shared / "double-pi.txt").read_text() == "6.2832" and (shared / "square-pi.txt").read_text() == "9.870"


def test_three_jobs_pass_files_through_s3(cluster, aws):
    with s3_server(cluster) as url:
        said = three_jobs(aws, [{"name": "BUCKET", "value": "results"}, {"name": "S3_URL", "value": url}], "far.txt")
        assert said == [["wrote far.txt"], ["doubled 6.2832"], ["squared 9.870"]]
    stored = {path.name for path in (cluster.directory / "shared/data/s3/results").iterdir()}
    assert {"far.txt._S3rver_object", "double-far.txt._S3rver_object", "square-far.txt._S3rver_object"} <= stored


def test_with_containers_host_the_image_is_ignored_and_said_so_once(person):
    cluster = person.create("plain", harness.cluster_file(extra="Coxswain:\n  Containers: host\n"))
    aws = Aws(cluster)
    definition = define(aws, "ignored", {"image": "nowhere.invalid/tool:1", "vcpus": 1, "memory": 64,
                                         "command": ["sh", "-c", "echo on $(hostname); ls -d /run/coxswain"]})
    for i in range(2):
        id = aws.batch.submit_job(jobName=f"ignored-{i}", jobQueue="queue1", jobDefinition=definition)["jobId"]
        lines = succeeded(aws, aws.wait(id))
        assert re.match(r"on ip-10-0-", lines[0]) and lines[1] == "/run/coxswain"
    said = (cluster.directory / "coxd.log").read_text().count("ignored:1: its image is ignored")
    assert said == 1
    define(aws, "empty", {"image": "nowhere.invalid/tool:1", "vcpus": 1, "memory": 64})
    assert "command must not be empty" in refused(aws.batch.submit_job, jobName="empty", jobQueue="queue1",
                                                  jobDefinition="empty")


def test_a_node_that_dies_takes_its_containers_along(person, archives):
    cluster = person.create("lossy", harness.cluster_file(maximum=2))
    aws = with_images(cluster, archives)
    nap = f"sleep {987654 + os.getpid()}.{person.uid}"
    definition = define(aws, "sleeps", properties("python", ["sh", "-c", f"echo ready; exec {nap}"]))
    id = aws.batch.submit_job(jobName="sleeps", jobQueue="queue1", jobDefinition=definition)["jobId"]
    aws.wait(id, "RUNNING", seconds=SECONDS)
    host = next(pid for node, pid in cluster.node_pids().items()
                if list((cluster.directory / "nodes" / node).glob("scratch/.containers/*")))
    subprocess.run(["kill", "-KILL", str(host)], check=True)
    end = aws.wait(id)
    assert end["status"] == "FAILED" and end["statusReason"].startswith("Host EC2"), end

    def gone():
        lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout.splitlines()
        left = [line for line in lines if line.strip() == nap]
        return not left, left
    harness.wait_until(gone, "the container's processes to go")


def test_without_podman_an_image_is_refused_at_registration(person, tmp_path_factory):
    """PATH has everything but podman."""
    bare = person.directory / "bare"
    bare.mkdir()
    for directory in ("/usr/bin", "/usr/sbin"):
        for program in pathlib.Path(directory).iterdir():
            if not program.name.startswith("podman") and not (bare / program.name).exists():
                (bare / program.name).symlink_to(program)
    path = person.write("bare.yaml", harness.cluster_file())
    person.clusters.append("bare")
    person.run("pcluster", "create-cluster", "-n", "bare", "-c", path, "--wait",
               env={"PATH": f"{harness.BIN}:{bare}"}).ok()
    aws = Aws(harness.Cluster(person, "bare"))
    said = refused(aws.batch.register_job_definition, jobDefinitionName="d", type="container",
                   containerProperties={"image": "python:3", "vcpus": 1, "memory": 64, "command": ["true"]})
    assert "podman or crun is not installed" in said and "Containers: host" in said
    assert succeeded(aws, aws.wait(aws.submit())) == ["hello"]
