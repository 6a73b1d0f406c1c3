"""The awsb* commands as a person types them, where only a running cluster can show it."""

import os
import pty
import re
import select
import signal
import subprocess

import harness

TABLE_HEAD = ["jobId", "jobName", "status", "startedAt", "stoppedAt", "exitCode"]
DETAIL_KEYS = ["jobId", "jobName", "createdAt", "startedAt", "stoppedAt", "status", "statusReason", "jobDefinition",
               "jobQueue", "command", "exitCode", "reason", "vcpus", "memory[MB]", "nodes", "logStream", "log",
               "s3FolderUrl"]
DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"


def awsb(cluster, name, *words, **more):
    return cluster.person.run(name, "-c", cluster.name, *words, **more)


def finished(cluster, *words, **more):
    """The id of a job that has succeeded."""
    job = cluster.submit(*words, **more)
    end = cluster.finish(job)
    assert end["status"] == "SUCCEEDED", awsb(cluster, "awsbstat", "-d", job).out
    return job


def on_a_terminal(cluster, *argv, env=None):
    """Runs a command with a terminal for stdin and stdout; returns its exit status and what it showed."""
    person = cluster.person
    ours, theirs = pty.openpty()
    process = person.start(*argv, env={"TERM": "xterm", **(env or {})}, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 60 * harness.PATIENCE)[0]:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    return process.wait(timeout=60), shown.decode().replace("\r\n", "\n")


def test_inline_commands_run_without_a_terminal(cluster):
    assert cluster.output(finished(cluster, "echo", "two  words", "$HOME")) == ["two  words $HOME"]
    assert cluster.output(finished(cluster, "--", "sh", "-c", "echo $((6 * 7)) -n 3")) == ["42 -n 3"]
    assert "total" in cluster.output(finished(cluster, "ls", "--", "-l", "/"))[0]
    assert cluster.output(finished(cluster, "--", "head", "-n", "1", "/etc/hosts"))[0].startswith("127.0.0.1")
    misread = awsb(cluster, "awsbsub", "ls", "-l").fails(2)
    assert misread.err.endswith("expected one argument (options of the command itself go behind \"--\")\n")
    code, shown = on_a_terminal(cluster, "awsbsub", "-c", cluster.name, "--wait", "true")
    assert code == 0 and harness.JOB_LINE.search(shown), shown


def test_options_of_awsbsub_may_stand_behind_a_script(cluster):
    cluster.person.write("who.sh", "echo $# $1 $AWS_BATCH_JOB_NUM_NODES\n")
    job = finished(cluster, "-cf", "who.sh", "word", "-n", "2")
    assert cluster.output(f"{job}#0") == ["1 word 2"]


def test_inline_commands_have_directory_files_and_environment(cluster):
    cluster.person.write("data.txt", "data\n")
    # The end of the main node ends the others: it waits until they have run.
    cluster.person.write("tool", "#!/bin/sh\necho tool in $(pwd)\nmark=/shared/ran-${AWS_BATCH_JOB_ID%#*}\n"
                         "case $AWS_BATCH_JOB_NODE_INDEX in\n0) until [ -e $mark ]; do sleep 0.05; done ;;\n1) touch $mark ;;\nesac\n", 0o755)

    def both_write(job, wanted):
        def look():
            seen = [cluster.output(f"{job}#{i}") for i in (0, 1)]
            return seen == wanted, seen
        harness.wait_until(look, f"{wanted} of both nodes", 20)
    env = {"NAME": "it's\ntwo lines", "AWS_SECRET": "no"}
    script = 'cat data.txt; ./tool; echo "$NAME"; echo "[$AWS_SECRET]"'
    job = finished(cluster, "-w", "/shared/$USER-w", "-if", "data.txt", "-if", "tool", "-e", "NAME,AWS_SECRET",
                   "--", "bash", "-c", script, env=env)
    user = cluster.person.name
    assert cluster.output(job) == ["data", f"tool in /shared/{user}-w", "it's", "two lines", "[]"]
    job = finished(cluster, "-pw", "/shared/pw", "pwd")
    assert cluster.output(job) == [f"/shared/pw/job-{job}"]
    job = finished(cluster, "-n", "2", "-pw", "/shared/pw", "-if", "tool", "./tool")
    both_write(job, [[f"tool in /shared/pw/job-{job}#{i}"] for i in (0, 1)])
    job = finished(cluster, "-n", "2", "-w", "/shared/both", "-if", "tool", "./tool")
    both_write(job, [["tool in /shared/both"]] * 2)


def test_everything_exported_but_the_blacklist(cluster):
    env = {"SHOWN": "1", "HIDDEN": "2"}
    job = finished(cluster, "-e", "all", "-eb", "HIDDEN,PATH,HOME,PWD", "-cf",
                   cluster.person.write("env.sh", 'echo "$SHOWN,$HIDDEN"\n'), env=env)
    assert cluster.output(job) == ["1,"]
    config = cluster.person.home / ".parallelcluster/awsbatch-cli.cfg"
    cluster.person.write(".parallelcluster/awsbatch-cli.cfg",
                         f"[main]\ncluster_name = {cluster.name}\nenv_blacklist = SHOWN,PATH,HOME,PWD\n")
    try:
        done = cluster.person.run("awsbsub", "--wait", "-e", "all", "-cf", "env.sh", env=env).ok()
    finally:
        config.unlink()
    assert cluster.output(harness.JOB_LINE.search(done.out).group(1)) == [",2"]


def test_a_script_comes_through_any_kind_of_stdin(cluster):
    with open(cluster.person.write("in.sh", "echo from a file\n"), "rb") as script:
        process = cluster.person.start("awsbsub", "-c", cluster.name, "--wait", stdin=script)
        out, err = process.communicate(timeout=60)
    assert cluster.output(harness.JOB_LINE.search(out.decode()).group(1)) == ["from a file"], err
    # A pipe that this test's own user has made: whoever runs awsbsub may not open it anew.
    job = cluster.script("echo from a pipe; echo $0\n", "--wait")
    assert cluster.output(job) == ["from a pipe", "./STDIN.sh"]
    assert cluster.details(job)["jobName"] == "STDIN"
    job = cluster.script("#!/usr/bin/env python3\r\nprint('crlf')\r\n", "--wait")
    assert cluster.output(job) == ["crlf"]


def test_waiting_gives_the_jobs_exit_status(cluster):
    for code in (0, 3, 127):
        done = awsb(cluster, "awsbsub", "--wait", stdin=f"exit {code}\n").fails(code)
        assert harness.JOB_LINE.search(done.out)
        assert (f"has FAILED: Essential container in task exited" in done.err) == (code != 0), done.story()
    done = awsb(cluster, "awsbsub", "--wait", "--json", "--", "sh", "-c", "kill -9 $$").fails(137)
    first, last = (harness.json.loads(line) for line in done.out.splitlines())
    assert first["jobName"] == "sh" and last["jobId"] == first["jobId"]
    assert (last["status"], last["exitCode"]) == ("FAILED", 137)


def interrupted(cluster, *argv, ready):
    """Starts a command, sends it what Ctrl-C does when `ready` was printed; its exit status and whole output."""
    process = cluster.person.start(*argv)
    first = process.stdout.readline().decode()
    assert re.search(ready, first), first
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert err == b"", err
    return process.returncode, first + out.decode()


def test_ctrl_c_ends_what_watches_and_not_the_job(cluster):
    process = cluster.person.start("awsbsub", "-c", cluster.name, "--wait", stdin=subprocess.PIPE)
    process.stdin.write(b"echo up; while [ ! -e /shared/end ]; do sleep 0.05; done\n")
    process.stdin.close()
    process.stdin = None
    job = harness.JOB_LINE.search(process.stdout.readline().decode()).group(1)
    code, out = interrupted(cluster, "awsbout", "-c", cluster.name, "-s", job, ready=": up$")
    assert code == 0 and out.endswith("Exiting...\n"), out
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    # Not 0: whoever waits for the job's success has not seen it.
    assert (process.returncode, out, err) == (130, b"Exiting...\n", b"")
    assert cluster.status(job) == "RUNNING"
    cluster.ssh("touch /shared/end").ok()
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    cluster.ssh("rm /shared/end").ok()


def test_awsbstat_of_every_kind_of_id(cluster):
    multi = finished(cluster, "-n", "2", "true")
    array = finished(cluster, "-a", "11", "true")
    plain = finished(cluster, "true")

    def rows(*words):
        lines = awsb(cluster, "awsbstat", *words).ok().out.splitlines()
        assert lines[0].split() == TABLE_HEAD, lines
        return [re.split(r" {2,}", line) for line in lines[2:]]

    assert [row[0] for row in rows(plain, array, multi, "unknown")] == (
        [plain, f"{array} [11]"] + [f"{array}:{i}" for i in (0, 1, 10, *range(2, 10))]
        + [f"{multi} *2", f"{multi}#0", f"{multi}#1"])
    # The other node may still have been at it when the main node's end ended the job.
    assert [row[5] for row in rows(multi)][:2] == ["-", "0"]
    assert [row[0] for row in rows(f"{array}:3", f"{multi}#1")] == [f"{array}:3", f"{multi}#1"]
    assert rows("unknown") == []
    listed = [row[0] for row in rows("-s", "succeeded, FAILED")]
    assert {plain, f"{array} [11]", f"{multi} *2"} <= set(listed) and f"{multi}#0" not in listed
    expanded = [row[0] for row in rows("-s", "ALL", "-e")]
    assert {plain, f"{array}:10", f"{multi}#1"} <= set(expanded) and f"{multi} *2" not in expanded
    for one in (plain, f"{multi}#1", f"{array}:3"):
        out = awsb(cluster, "awsbstat", one).ok().out
        assert [line.split(":")[0].strip() for line in out.splitlines()] == DETAIL_KEYS + ["-" * 25]
        assert re.search(rf"^startedAt +: {DATE}$", out, re.M)
    detailed = awsb(cluster, "awsbstat", "-d", multi).ok().out
    assert re.findall(r"^jobId +: (.*)$", detailed, re.M) == [f"{multi} *2", f"{multi}#0", f"{multi}#1"]
    bad = awsb(cluster, "awsbstat", "-s", "RUNNING,bad").fails(1)
    assert bad.err.startswith("Error listing jobs from AWS Batch. Failed with exception: ")
    objects = awsb(cluster, "awsbstat", "--json", multi).ok().json()
    assert [o["jobId"] for o in objects] == [multi, f"{multi}#0", f"{multi}#1"]


def test_why_a_job_waits(cluster):
    first = cluster.submit("-n", "3", "--", "sleep", "600")
    cluster.wait_for(first, "RUNNING")
    wide = cluster.submit("-n", "3", "true")
    after = cluster.submit("-d", f"jobId={first},jobId={wide}", "true")
    cluster.wait_for(wide, "RUNNABLE")
    told = awsb(cluster, "awsbstat", "--why", wide, after, first).ok().out
    blocks = re.split(r"^(?=Job )", told, flags=re.M)[1:]
    assert blocks[0].startswith(f"Job {wide} (true) is RUNNABLE:\n  ") and "compute environment" in blocks[0]
    assert blocks[1] == (f"Job {after} (true) is PENDING:\n  it depends on job {first}, which is RUNNING\n"
                         f"  it depends on job {wide}, which is RUNNABLE\n")
    assert blocks[2] == f"Job {first} (sleep) is RUNNING:\n  it does not wait\n"
    data = awsb(cluster, "awsbstat", "--why", wide, "--json").ok().json()
    reason = data[0]["reasons"][0]
    assert data[0]["jobId"] == wide and {"text", "computeEnvironment", "wanted", "have"} <= reason.keys()
    assert reason["kind"] in ("nodes_busy", "environment_full"), reason
    unknown = awsb(cluster, "awsbstat", "--why", "nobody").fails(1)
    assert unknown.err == "Job (nobody) not found.\n"

    killed = awsb(cluster, "awsbkill", "-r", "seen enough", after, "nobody", wide, first).ok()
    assert killed.out == (
        "Job (nobody) not found.\n"
        f"Your job cancellation request for job ({after}) in status (PENDING) has been submitted.\n"
        f"Your job cancellation request for job ({wide}) in status (RUNNABLE) has been submitted.\n"
        f"Your job termination request for job ({first}) in status (RUNNING) has been submitted.\n")
    for job, code in ((after, "-"), (wide, "-"), (f"{first}#0", "137")):
        end = cluster.finish(job)
        assert (end["status"], end["exitCode"]) == ("FAILED", code), end[""]
    assert cluster.details(wide)["statusReason"] == "seen enough"
    over = awsb(cluster, "awsbkill", wide).ok()
    assert over.out == f"Job ({wide}) is already in (FAILED) status.\n"
    data = awsb(cluster, "awsbkill", "--json", wide, "nobody").ok().json()
    assert data == [{"jobId": "nobody", "status": "", "result": "not_found"},
                    {"jobId": wide, "status": "FAILED", "result": "already_over"}]


def test_output_that_is_not_there_yet_or_not_here(cluster):
    held = cluster.script("while [ ! -e /shared/open ]; do sleep 0.05; done\n")
    waiting = cluster.submit("-d", f"jobId={held}", "echo", "through")
    none = awsb(cluster, "awsbout", waiting).ok()
    assert waiting in none.out and "PENDING" in none.out and none.out.count("\n") == 1
    for words in (("-n", "2"), ("-a", "2")):
        parent = finished(cluster, *words, "true")
        refused = awsb(cluster, "awsbout", parent).fails(1)
        assert refused.err == f"No output available for the Job ({parent}). Please ask for its children.\n"
    # Followed from before its start, a job's output comes whole and ends with it.
    follower = cluster.person.start("awsbout", "-c", cluster.name, "-s", waiting)
    cluster.ssh("touch /shared/open").ok()
    out, err = follower.communicate(timeout=30)
    assert (follower.returncode, err) == (0, b"") and re.fullmatch(rf"{DATE}: through\n", out.decode()), out
    cluster.ssh("rm /shared/open").ok()


def test_ranks_with_head_tail_and_stream(cluster):
    cluster.person.write("say.c", r"""
#include <mpi.h>
#include <stdio.h>
int main(int argc, char** argv) {
  int rank, i;
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (i = 0; i < 5; ++i) printf("out %d.%d\n", rank, i);
  for (i = 0; i < 5; ++i) fprintf(stderr, "err %d.%d\n", rank, i);
  MPI_Finalize();
  return 0;
}
""")
    job = cluster.submit("-n", "2", "--wait", "--mpi", "say.c", env={"XDG_CACHE_HOME": str(cluster.person.home / "c")})
    for words, want in ((("--rank", "3", "--stderr", "-hd", "2"), ["err 3.0", "err 3.1"]),
                        (("--rank", "2", "--stderr", "-t", "1"), ["err 2.4"]),
                        (("--rank", "1", "--stdout", "-s", "-t", "2"), ["out 1.3", "out 1.4"]),
                        (("--rank", "0", "--stdout", "-s"), [f"out 0.{i}" for i in range(5)])):
        assert cluster.output(job, *words) == want, words
    tagged = cluster.output(job, "--ranks", "0-3", "--stderr", "--tag", "-s")
    assert len(tagged) == 20 and all(re.match(r"\[(\d)@\S+ stderr\] err \1\.\d$", line) for line in tagged), tagged
    # The ranks of one node only, where the node is asked.
    assert {line[4] for line in cluster.output(f"{job}#1", "--ranks", "0-3", "--stdout")} == {"2", "3"}
    data = [harness.json.loads(line) for line in
            awsb(cluster, "awsbout", job, "--rank", "3", "--stderr", "-hd", "1", "--json").ok().out.splitlines()]
    assert [(d["r"], d["s"], d["m"]) for d in data] == [(3, "stderr", "err 3.0")]
    assert (cluster.person.home / "c/coxswain/mpi").is_dir()


def test_mpi_complains_at_once(cluster):
    cluster.person.write("bad.c", "int main(void) { return nothing; }\n")
    wrong = awsb(cluster, "awsbsub", "--mpi", "bad.c").fails(1)
    assert re.search(r"bad\.c:1:25: error: .*nothing", wrong.err) and wrong.out == "", wrong.story()
    missing = awsb(cluster, "awsbsub", "--mpi", "nowhere.c").fails(1)
    assert "nowhere.c" in missing.err
    cluster.person.write("fine.c", "#include <mpi.h>\nint main(int c, char** v)\n"
                                   "{ MPI_Init(&c, &v); MPI_Finalize(); return c == 3 ? 5 : 0; }\n")
    plan = awsb(cluster, "awsbsub", "-n", "2", "--mpi", "--dry-run", "--ranks-per-node", "2", "fine.c").ok().out
    assert [line.split()[:2] for line in plan.splitlines()[2:]] == [["0", "#0"], ["1", "#0"], ["2", "#1"], ["3", "#1"]]
    cluster.person.write("env.c", "#include <mpi.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
                         "int main(int c, char** v) { MPI_Init(&c, &v); puts(getenv(\"WORD\"));\n"
                         "MPI_Finalize(); return 0; }\n")
    job = cluster.submit("-n", "2", "-e", "WORD", "--wait", "--mpi", "env.c", env={"WORD": "to every rank"})
    assert cluster.output(job, "--ranks", "0-3") == ["to every rank"] * 4
    failed = awsb(cluster, "awsbsub", "-n", "2", "--mpi", "fine.c", "--wait", "--", "-n", "3").fails(5)
    assert re.search(r"rank \d", failed.err), failed.story()


def test_hosts_and_queues(cluster):
    hosts = cluster.hosts()
    table = awsb(cluster, "awsbhosts").ok().out.splitlines()
    assert table[0].split() == ["ec2InstanceId", "instanceType", "privateIpAddress", "publicIpAddress", "runningJobs"]
    assert len(table) == len(hosts) + 2 and all(line[-1].isdigit() for line in table[2:])
    one = awsb(cluster, "awsbhosts", hosts[0]["ec2InstanceId"]).ok().out
    assert re.search(r"^registeredCPUs +: 2\.0$", one, re.M) and one.count("-" * 25) == 1
    assert awsb(cluster, "awsbhosts", "i-0").ok().out == "No items to show\n"
    queue = awsb(cluster, "awsbqueues", "--json").ok().json()[0]["jobQueueName"]
    assert awsb(cluster, "awsbqueues", queue).ok().out.startswith("jobQueueArn              : arn:aws:batch:")
    assert awsb(cluster, "awsbqueues").ok().out.splitlines()[2].split() == [queue, "VALID"]


def test_colours_are_for_terminals(cluster):
    job = cluster.submit("--wait", "true")
    assert "\033" not in awsb(cluster, "awsbstat", "-s", "ALL").ok().out
    code, shown = on_a_terminal(cluster, "awsbstat", "-c", cluster.name, "-s", "SUCCEEDED")
    assert code == 0 and job in shown and "\033[32mSUCCEEDED\033[0m" in shown
    code, plain = on_a_terminal(cluster, "awsbstat", "-c", cluster.name, "-s", "SUCCEEDED", env={"NO_COLOR": "1"})
    assert code == 0 and plain == re.sub(r"\033\[\d+m", "", shown)


def test_service_says_no(cluster):
    for words in (("-jn=-bad", "true"), ("-r", "11", "true"), ("-t", "59", "true"), ("-a", "1", "true"),
                  ("-p", "-1", "true"), ("-m", "3", "true"), ("-d", "jobId=nobody", "true"),
                  ("-n", "2", "-d", "type=SEQUENTIAL", "true"), ("-jq", "nowhere", "true")):
        refused = awsb(cluster, "awsbsub", *words).fails(1)
        assert refused.err.startswith("Error submitting job to AWS Batch. Failed with exception: "), refused.story()
        assert refused.err.count("\n") == 1 and refused.out == ""


def test_the_cluster_is_found(cluster):
    person = cluster.person
    assert person.run("awsbqueues").fails(1).err == "Error: cluster parameter is required\n"
    path = person.home / ".parallelcluster/awsbatch-cli.cfg"
    for text, error in (("[main]\n", "there is no option 'cluster_name' in section 'main' of file {}"),
                        ("[cluster x]\n", "there is no section 'main' in file {}"),
                        (f"[main]\ncluster_name = {cluster.name}\n", None)):
        person.write(".parallelcluster/awsbatch-cli.cfg", text)
        try:
            done = person.run("awsbqueues")
        finally:
            path.unlink()
        assert done.err == ("" if error is None else f"Error: {error.format(path)}\n"), done.story()
        assert done.code == (0 if error is None else 1)
    inside = cluster.ssh("awsbqueues").ok()
    assert inside.out == awsb(cluster, "awsbqueues").ok().out
    assert (person.home / ".parallelcluster/awsbatch-cli.log").is_file()
