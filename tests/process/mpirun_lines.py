"""Runs command lines of mpirun within a job, each by Open MPI's own and by ours, and writes down what came of them.

usage: mpirun_lines.py LINES RESULTS   both JSON: [[name, line], …] → {name: {"real": {…}, "ours": {…}}}
"""

import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import time

LONGEST = 60  # seconds


def run(line, mode, where):
    os.makedirs(where, exist_ok=True)
    environment = {**os.environ, "COX_MPIRUN": mode, "OUT": where}
    begin = time.monotonic()
    with subprocess.Popen(["/bin/bash", "-c", line], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, env=environment, start_new_session=True) as process:
        code = None
        for signal_then in (None, signal.SIGTERM, signal.SIGKILL):  # an mpirun that is asked to end leaves nothing behind
            if signal_then:
                code = "no end"
                os.killpg(process.pid, signal_then)
            try:
                out, err = process.communicate(timeout=10 if signal_then else LONGEST)
                break
            except subprocess.TimeoutExpired as late:
                out, err = late.stdout or b"", late.stderr or b""
    files = {}
    for directory, _, names in os.walk(where):
        for name in names:
            path = os.path.join(directory, name)
            with open(path, encoding="utf-8", errors="replace") as file:
                files[os.path.relpath(path, where)] = file.read()
    return {"code": process.returncode if code is None else code, "out": out.decode(errors="replace"),
            "err": err.decode(errors="replace"), "files": files, "ms": (time.monotonic() - begin) * 1000}


def both(index, name, line):
    where = os.path.join(os.environ["HOME"], "lines", str(index))
    return name, {mode: run(line, word, f"{where}/{mode}") for mode, word in (("real", "real"), ("ours", "verbose"))}


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        lines = json.load(file)
    with concurrent.futures.ThreadPoolExecutor(3) as workers:
        jobs = [workers.submit(both, index, name, line) for index, (name, line) in enumerate(lines)]
        results = dict(job.result() for job in jobs)
    with open(sys.argv[2] + ".part", "w", encoding="utf-8") as file:
        json.dump(results, file)
    os.rename(sys.argv[2] + ".part", sys.argv[2])


if __name__ == "__main__":
    main()
