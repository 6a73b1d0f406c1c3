"""What the awsb* commands promise of jobs, on one cluster of up to three nodes x 2 vCPUs."""

import re
import subprocess

import harness


def test_a_script_from_stdin(cluster):
    job = cluster.script("#!/bin/bash\necho out; echo err >&2\nexit 3\n")
    end = cluster.finish(job)
    assert (end["status"], end["exitCode"], end["jobName"]) == ("FAILED", "3", "STDIN")
    assert end["statusReason"] == "Essential container in task exited"
    assert sorted(cluster.output(job)) == ["err", "out"]


def test_what_a_job_sees(cluster):
    job = cluster.script("env; pwd; stat -c '%a %u' $HOME; cat /proc/sys/kernel/hostname; ls /usr/lib64/openmpi/bin\n")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    lines = cluster.output(job)
    values = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z0-9_]+=", line))
    assert values["AWS_BATCH_JOB_ID"] == job and values["AWS_BATCH_JOB_ATTEMPT"] == "1"
    assert values["AWS_BATCH_JQ_NAME"] == "queue1" and values["AWS_BATCH_CE_NAME"]
    assert values["PCLUSTER_SHARED_DIRS"] == "/shared" and values["PCLUSTER_AWS_REGION"] == "us-west-2"
    assert values["PCLUSTER_HEAD_NODE_IP"] == "10.0.0.10" and values["PCLUSTER_RAID_SHARED_DIR"] == "NONE"
    assert values["PCLUSTER_JOB_S3_URL"].startswith("s3://")
    assert values["USER"] == cluster.person.name
    assert f"{values['HOME']}/job-{job}" in lines
    assert f"700 {cluster.person.uid}" in lines
    assert {"mpirun", "mpicc", "orted"} <= set(lines)
    assert not [name for name in values if name.startswith(("COX_STATE", "LISTEN_"))]


def test_jobs_after_one_another_see_nothing_of_each_other(cluster):
    """A node uses homes and cgroups again, and has the next job's first process ready."""
    looks = "cd && find . -printf '%m %P\\n' | sort; grep -o 'memory:.*' /proc/self/cgroup || cat /proc/self/cgroup; umask"
    spoils = looks + "; echo x > .ssh/config; echo x > $COX_JOB_DIR/mine; mkdir -p deep/er; ln -s /etc .hidden"
    seen = []
    for text in (looks, spoils, looks, spoils + "; chmod 755 . .ssh", looks, looks):
        job = cluster.submit("-n", "1", "--", "bash", "-c", text)
        end = cluster.finish(job)
        assert end["status"] == "SUCCEEDED", end[""]
        seen.append([line.replace(job, "ID") for line in cluster.output(job)])
    homes = [[line for line in lines if re.match(r"\d+ ", line)] for lines in seen]
    assert homes == [["700 ", "700 .ssh", "700 job-ID"]] * len(seen), seen
    assert all(lines[-1] == "0022" for lines in seen), seen


def test_the_process_of_a_job_is_used_again_and_what_a_job_left_is_not(cluster):
    """One process after another would cost a small job more than the job itself."""
    leaves = "#!/bin/bash\necho $HOSTNAME $PPID; ulimit -c; ulimit -n\nulimit -c 0; ulimit -n 64\ntrap '' TERM INT\n" \
             "(trap '' TERM HUP; sleep 72190) & disown\nsleep 72191 & exit 0\n"
    array = cluster.submit("-a", "24", stdin=leaves)
    assert cluster.finish(array, seconds=120)["status"] == "SUCCEEDED"
    told = [cluster.output(f"{array}:{child}") for child in range(24)]
    assert len({lines[0] for lines in told}) < 24, told
    assert len({tuple(lines[1:]) for lines in told}) == 1, told  # nobody's limits are the next one's
    assert subprocess.run(["pgrep", "-fx", "sleep 7219[01]"], capture_output=True, text=True).stdout == ""


def test_what_a_job_sets_in_its_parent_is_not_the_next_ones(cluster):
    looks = "#!/bin/bash\necho $HOSTNAME $PPID\nnice; ulimit -Hn; grep Cpus_allowed: /proc/self/status\n"
    spoils = looks + "renice -n 5 -p $PPID > /dev/null && prlimit --nofile=99:99 --pid $PPID && echo done\n"
    array = cluster.submit("-a", "8", stdin=spoils)
    assert cluster.finish(array)["status"] == "SUCCEEDED"
    after = cluster.submit("-a", "8", stdin=looks)
    assert cluster.finish(after)["status"] == "SUCCEEDED"
    told = [cluster.output(f"{job}:{child}") for job in (array, after) for child in range(8)]
    assert all(lines[-1] == "done" for lines in told[:8]), told
    assert len({tuple(lines[1:4]) for lines in told}) == 1, told


def test_what_killed_a_job_before_is_not_the_next_ones_end(cluster):
    """Its cgroup counts on; its user and exit code are as the reason says."""
    hog = cluster.submit("-m", "64", "--", "python3", "-c", "x = bytearray(200 << 20); print(len(x))")
    assert "OutOfMemory" in cluster.finish(hog)["reason"]
    for _ in range(3):
        plain = cluster.submit("-m", "64", "--", "bash", "-c", "exit 9")
        end = cluster.finish(plain)
        assert (end["exitCode"], end["statusReason"]) == ("9", "Essential container in task exited"), end[""]
        assert "OutOfMemory" not in end[""]


def test_inline_without_a_terminal(cluster):
    job = cluster.submit("--", "echo", "-n", "no newline")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert cluster.output(job) == ["no newline"]
    assert cluster.details(job)["command"] == "echo -n 'no newline'"


def test_a_command_that_is_not_there(cluster):
    job = cluster.submit("no-such-program")
    end = cluster.finish(job)
    assert (end["status"], end["exitCode"]) == ("FAILED", "127")
    assert any("no-such-program" in line for line in cluster.output(job))


def test_command_file_with_arguments_input_files_and_environment(cluster):
    person = cluster.person
    person.write("hello job.sh", "echo \"$1 $GREETING $(cat in.txt)\"\n")
    person.write("in.txt", "input text")
    job = cluster.submit("-jn", "hello", "-if", "in.txt", "-e", "GREETING", "-cf", "hello job.sh", "Luca's",
                         env={"GREETING": "two  blanks\nand a line"})
    assert cluster.finish(job)["status"] == "SUCCEEDED", cluster.details(job)[""]
    assert cluster.output(job) == ["Luca's two  blanks", "and a line input text"]


def test_working_directories(cluster):
    job = cluster.script("pwd; ls\n", "-w", "/shared/$AWS_BATCH_JQ_NAME/here")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert cluster.output(job) == ["/shared/queue1/here", "STDIN.sh"]
    job = cluster.submit("-pw", "/shared/parent", "pwd")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert cluster.output(job) == [f"/shared/parent/job-{job}"]


def test_a_script_with_crlf_line_ends(cluster):
    path = cluster.person.home / "crlf.sh"
    path.write_bytes(b"#!/bin/bash\r\necho mended\r\n")
    done = cluster.person.run("awsbsub", "-c", cluster.name, "-cf", "crlf.sh").ok()
    assert "crlf.sh" in done.err and "CRLF" in done.err
    job = harness.JOB_LINE.search(done.out).group(1)
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert cluster.output(job) == ["mended"]


def test_retries_until_it_works(cluster):
    job = cluster.script("echo attempt $AWS_BATCH_JOB_ATTEMPT\n[ $AWS_BATCH_JOB_ATTEMPT = 3 ]\n", "-r", "4")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert cluster.output(job) == ["attempt 3"]


def test_killing_a_running_job(cluster):
    job = cluster.script("echo begun; sleep 600 & sleep 600; echo never\n", "-r", "3")
    harness.wait_until(lambda: (cluster.status(job) == "RUNNING", cluster.details(job)[""]), "RUNNING")
    said = cluster.person.run("awsbkill", "-c", cluster.name, "-r", "enough of it", job).ok().out
    assert said == f"Your job termination request for job ({job}) in status (RUNNING) has been submitted.\n"
    end = cluster.finish(job)
    assert (end["status"], end["statusReason"], end["exitCode"]) == ("FAILED", "enough of it", "137")
    assert not [line for _, line in cluster.person.processes() if line == "sleep 600"]


def test_killing_a_job_that_has_stopped_what_would_see_its_end(cluster):
    job = cluster.script("kill -STOP $PPID\n")
    harness.wait_until(lambda: (cluster.status(job) == "RUNNING", cluster.details(job)[""]), "RUNNING")
    cluster.person.run("awsbkill", "-c", cluster.name, job).ok()
    assert cluster.finish(job, seconds=20)["status"] == "FAILED"


def test_killing_a_waiting_job(cluster):
    job = cluster.submit("-p", "2", "-m", "3000", "-d", f"jobId={cluster.submit('sleep', '20')}", "true")
    said = cluster.person.run("awsbkill", "-c", cluster.name, job, "00000000-0000-0000-0000-000000000000").ok().out
    assert said.splitlines()[0] == "Job (00000000-0000-0000-0000-000000000000) not found."
    assert "cancellation request" in said.splitlines()[1]
    end = cluster.finish(job)
    assert (end["status"], end["statusReason"], end["exitCode"]) == ("FAILED", "Terminated by the user", "-")


def test_dependencies_are_a_real_list(cluster):
    first = cluster.script("sleep 0.5; echo 1 > /shared/first\n")
    second = cluster.script("sleep 0.2; echo 2 > /shared/second\n")
    both = cluster.script("cat /shared/first /shared/second\n", "-d", f"jobId={first},jobId={second}")
    assert cluster.status(both) in ("PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED")
    assert cluster.finish(both)["status"] == "SUCCEEDED"
    assert cluster.output(both) == ["1", "2"]

    bad = cluster.submit("false")
    after = cluster.submit("-d", f"jobId={bad}", "true")
    end = cluster.finish(after)
    assert end["status"] == "FAILED" and "ependent" in end["statusReason"], end[""]


def test_an_array(cluster):
    job = cluster.script("echo child $AWS_BATCH_JOB_ARRAY_INDEX of $AWS_BATCH_JOB_ARRAY_SIZE\n"
                         "[ $AWS_BATCH_JOB_ARRAY_INDEX != 2 ]\n", "-a", "4")
    end = cluster.finish(job)
    assert (end["status"], end["statusReason"]) == ("FAILED", "Array Child Job failed"), end[""]
    assert cluster.output(f"{job}:3") == ["child 3 of 4"]
    assert cluster.details(f"{job}:2")["exitCode"] == "1"
    table = cluster.person.run("awsbstat", "-c", cluster.name, job).ok().out.splitlines()[2:]
    assert [row.split("  ")[0] for row in table] == [f"{job} [4]"] + [f"{job}:{i}" for i in range(4)]
    refused = cluster.person.run("awsbout", "-c", cluster.name, job).fails(1)
    assert refused.err == f"No output available for the Job ({job}). Please ask for its children.\n"


def test_a_memory_limit(cluster):
    job = cluster.submit("-m", "64", "--", "python3", "-c", "x = bytearray(300 << 20); print(len(x))")
    end = cluster.finish(job)
    assert (end["status"], end["exitCode"]) == ("FAILED", "137"), end[""]
    assert "OutOfMemory" in end["reason"]


def test_multi_node_kill_and_children(cluster):
    job = cluster.script("cat $HOME/hostfile; hostname; sleep 600\n", nodes=3)
    harness.wait_until(lambda: (cluster.status(f"{job}#2") == "RUNNING", cluster.details(f"{job}#2")[""]), "3 nodes", 60)
    lines = cluster.output(f"{job}#0")
    assert len([l for l in lines if re.match(r"10\.0\.\d+\.\d+ slots=2$", l)]) == 3, lines
    hosts = cluster.person.run("awsbhosts", "-c", cluster.name).ok().out.splitlines()
    assert [row.split()[-1] for row in hosts[2:]] == ["1", "1", "1"]
    cluster.person.run("awsbkill", "-c", cluster.name, job).ok()
    end = cluster.finish(job)
    assert end["status"] == "FAILED" and end["nodes"] == "3", end[""]
    harness.wait_until(lambda: (cluster.status(f"{job}#2") == "FAILED", cluster.details(f"{job}#2")[""]), "the third node", 40)
    assert cluster.details(f"{job}#1")["exitCode"] == "137"


def test_the_main_nodes_end_ends_the_job(cluster):
    job = cluster.script("""ready=/shared/${AWS_BATCH_JOB_ID%#*}
if [ $AWS_BATCH_JOB_NODE_INDEX = 0 ]; then for i in $(seq 500); do [ -e $ready ] && exit 4; sleep 0.05; done; exit 5; fi
trap 'echo told; exit 0' TERM
touch $ready
sleep 60 & wait
""", nodes=2)
    assert cluster.finish(job)["status"] == "FAILED"
    harness.wait_until(lambda: (cluster.output(f"{job}#1") == ["told"], cluster.output(f"{job}#1")), "the other node", 20)


def test_a_wide_job_is_not_starved(cluster):
    narrow = [cluster.submit("-p", "1", "sleep", "1") for _ in range(6)]
    wide = cluster.script("echo wide\n", nodes=3)
    later = [cluster.submit("-p", "1", "sleep", "1") for _ in range(12)]
    assert cluster.finish(wide, seconds=60)["status"] == "SUCCEEDED"
    unfinished = [job for job in later if cluster.status(job) not in ("SUCCEEDED", "FAILED")]
    assert unfinished, "the wide job came after every later narrow one"
    for job in narrow + later:
        assert cluster.finish(job)["status"] == "SUCCEEDED"


def test_lists_and_json(cluster):
    job = cluster.submit("sleep", "30")
    harness.wait_until(lambda: (cluster.status(job) == "RUNNING", cluster.status(job)), "RUNNING")
    assert job in cluster.person.run("awsbstat", "-c", cluster.name).ok().out
    assert job not in cluster.person.run("awsbstat", "-c", cluster.name, "-s", "succeeded, failed").ok().out
    shown = cluster.person.run("awsbstat", "-c", cluster.name, "--json", job).ok().json()
    assert job in str(shown)
    bad = cluster.person.run("awsbstat", "-c", cluster.name, "-s", "SLEEPING").fails(1)
    assert bad.err.startswith("Error listing jobs from AWS Batch. Failed with exception:")
    cluster.person.run("awsbkill", "-c", cluster.name, job).ok()
    assert cluster.finish(job)["status"] == "FAILED"


def test_wait_gives_the_jobs_exit_code(cluster):
    good = cluster.person.run("awsbsub", "-c", cluster.name, "--wait", "true").ok()
    assert harness.JOB_LINE.search(good.out)
    bad = cluster.person.run("awsbsub", "-c", cluster.name, "--wait", "--", "bash", "-c", "exit 9").fails(9)
    assert harness.JOB_LINE.search(bad.out) and bad.err


def test_a_timeout(cluster):
    """The smallest timeout AWS allows is a minute; so is ours."""
    refused = cluster.person.run("awsbsub", "-c", cluster.name, "-t", "5", "true").fails(1)
    assert refused.err.startswith("Error submitting job to AWS Batch. Failed with exception:")
    job = cluster.submit("-t", "60", "-r", "3", "sleep", "600")
    end = cluster.finish(job, seconds=200)  # a minute, half a minute to SIGKILL, and what a busy machine takes
    assert end["status"] == "FAILED" and "timeout" in end["statusReason"], end[""]
    assert end["exitCode"] == "137"
