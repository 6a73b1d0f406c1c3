"""What the programs say of themselves, in --help, manual and completion, is one thing."""

import os
import re
import subprocess

import harness
import pytest

COMMANDS = ["awsbsub", "awsbstat", "awsbout", "awsbkill", "awsbhosts", "awsbqueues"]
PAGES = sorted((harness.SOURCE / "man").glob("*.[158]"))
COMPLETION = harness.SOURCE / "completions/cox.bash"


def run(*argv, **more):
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "PATH": f"{harness.BIN}:{os.environ['PATH']}", **more}
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, env=environment, check=False)


def long_options(*argv):
    """The long options that --help shows, descriptions left out."""
    shown = run(*argv, "--help")
    assert shown.returncode == 0 and shown.stderr == "", shown
    lines = [re.sub(r"(?<=\S)  .*", "", line) for line in shown.stdout.splitlines() if re.match(r" +-", line)]
    found = {option for line in lines for option in re.findall(r"--[a-z][a-z-]+", line)}
    assert "--help" in found, shown.stdout
    return found


def manual(name, section=1):
    return (harness.SOURCE / f"man/{name}.{section}").read_text().replace("\\-", "-")


def documented(text):
    return set(re.findall(r"\\fB(--[a-z][a-z-]+)\\fR", text))


def verbs():
    found = re.findall(r"^  ([a-z][a-z-]+)  ", run("pcluster", "--help").stdout, re.M)
    assert len(found) > 10
    return found


def complete(tmp_path, *words):
    """What completing the last word offers."""
    script = f"""source {COMPLETION}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _cox; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = run("bash", "-c", script, "bash", *words, HOME=str(tmp_path), COX_STATE_DIR=str(tmp_path / "state"))
    assert done.stderr == "", done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("name", COMMANDS)
def test_manual_has_the_options_of_the_help(name):
    assert documented(manual(name)) == long_options(name)


def test_manual_of_pcluster_has_every_verb_with_its_options():
    text = manual("pcluster")
    sections = dict(re.findall(r"^\.SS (\S+)\n(.*?)(?=^\.S[SH] )", text, re.M | re.S))
    assert sorted(sections) == sorted(verbs())
    for verb in verbs():
        if verb != "ssh":
            assert documented(sections[verb]) == long_options("pcluster", verb) - {"--help"}, verb


@pytest.mark.parametrize("program", ["coxd", "cox-agent"])
def test_manual_of_the_daemons_has_their_options(program):
    usage = run(program, "--help")
    assert usage.returncode == 0, usage
    assert set(re.findall(r"--[a-z][a-z-]+", usage.stdout)) <= documented(manual(program, 8))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_manual_page_has_no_warnings(page):
    shown = run("man", "--warnings", "-E", "UTF-8", "-l", page, MANPAGER="cat", MANWIDTH="80")
    assert shown.returncode == 0 and shown.stderr == "", shown.stderr
    assert f"{page.stem.upper()}({page.suffix[1:]})" in shown.stdout
    for other, section in re.findall(r"^\.BR (\S+) \((\d)\)", page.read_text().replace("\\-", "-"), re.M):
        assert (harness.SOURCE / f"man/{other}.{section}").is_file(), other


@pytest.mark.parametrize("name", COMMANDS)
def test_completion_has_the_options_of_the_help(name, tmp_path):
    assert {word for word in complete(tmp_path, name, "--")} == long_options(name)
    assert set(complete(tmp_path, "cox", name, "--")) == long_options(name)
    assert complete(tmp_path, name, "--clus") == ["--cluster"]


def test_completion_of_verbs_commands_and_values(tmp_path):
    assert complete(tmp_path, "pcluster", "")[:-1] == verbs()
    for verb in verbs():
        if verb != "ssh":
            assert set(complete(tmp_path, "pcluster", verb, "--")) == long_options("pcluster", verb), verb
    assert complete(tmp_path, "cox", "awsbs") == ["awsbsub", "awsbstat"]
    for command in ("simulate", "history", "preflight"):
        assert set(complete(tmp_path, "cox", command, "--")) == long_options("cox", command)
        assert long_options("cox", command) - {"--log-level"} <= documented(manual("cox")) | {"--help", "--cluster"}
    assert complete(tmp_path, "cox", "history", "--status", "S") == ["SUCCEEDED"]
    assert complete(tmp_path, "awsbstat", "-s", "F") == ["FAILED"]
    assert complete(tmp_path, "awsbstat", "--status", "=", "SUB") == ["SUBMITTED"]
    # Nothing is asked of anybody where there is no cluster.
    assert complete(tmp_path, "awsbkill", "") == []
    assert complete(tmp_path, "pcluster", "delete", "") == []


def test_help_of_every_command_has_examples_that_are_read(tmp_path):
    for name in COMMANDS:
        examples = run(name, "--help").stdout.split("\nExamples:\n")[1].splitlines()
        assert examples and all(f"{name}" in line for line in examples)
    # Each awsbsub example gets as far as asking for its cluster.
    for line in run("awsbsub", "--help").stdout.split("\nExamples:\n")[1].splitlines():
        for source in ("submit_mpi.sh", "task.sh", "ring.c"):
            (tmp_path / source).write_text("")
        command = re.sub(r"(?<=\S)   .*", "", line).strip()
        done = run("bash", "-c", f"cd {tmp_path}; {command}", HOME=str(tmp_path), COX_STATE_DIR=str(tmp_path))
        assert done.stderr == "Error: cluster parameter is required\n", (command, done.stderr)
