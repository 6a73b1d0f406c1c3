"""Container images made of the machine's own Debian packages, without a registry: archives as `docker save` writes them."""

import functools
import hashlib
import io
import json
import os
import pathlib
import re
import subprocess
import tarfile
import tempfile

SHELL = ["base-files", "bash", "coreutils", "dash", "libc-bin"]
PYTHON = [*SHELL, "python3", "python3-boto3"]
MPI = [*SHELL, "openmpi-bin"]
# Of what botocore knows only this is needed here; all of it is larger than the rest of the image.
SERVICES = ("s3", "batch", "logs", "sts")
LEFT_OUT = re.compile(r"/usr/share/(doc|man|locale|info|lintian|zoneinfo|bash-completion)/|/usr/include/|__pycache__")


def dependencies(packages):
    """The packages and all that they depend on, of those that are installed."""
    lines = subprocess.run(["dpkg-query", "-W", "-f", "${Package}\t${Provides}\t${Pre-Depends}, ${Depends}\n"],
                           capture_output=True, text=True, check=True).stdout.splitlines()
    needs, provided = {}, {}
    names = functools.partial(re.findall, r"(?:^|[,|])\s*([a-z0-9][a-z0-9+.-]*)")
    for line in lines:
        package, provides, depends = line.split("\t")
        needs[package] = names(depends)
        for name in names(provides):
            provided.setdefault(name, package)
    found, open_ = set(), list(packages)
    while open_:
        name = open_.pop()
        name = name if name in needs else provided.get(name)
        if name and name not in found:
            found.add(name)
            open_ += needs[name]
    missing = [name for name in packages if name not in found]
    assert not missing, f"not installed: {missing}"
    return sorted(found)


def files_of(packages):
    """Paths of the packages' files, by the directories where they really are."""
    listed = subprocess.run(["dpkg-query", "-L", *dependencies(packages)], capture_output=True, text=True,
                            check=True).stdout.splitlines()
    files = {"/bin", "/lib", "/lib64", "/sbin", "/etc/passwd", "/etc/group"}
    for path in listed:
        service = re.match(r"/usr/lib/python3/dist-packages/botocore/data/([^/]+)/", path)
        if not path.startswith("/") or LEFT_OUT.search(path) or (service and service[1] not in SERVICES):
            continue
        directory, name = os.path.split(path)
        if name and os.path.lexists(path):
            files.add(os.path.join(os.path.realpath(directory), name))
    return sorted(files)


def add_text(archive, path, text, mode=0o644):
    data = text.encode()
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def add_link(archive, path, target):
    entry = tarfile.TarInfo(path.lstrip("/"))
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    archive.addfile(entry)


def debian_root(packages, links=(), files=()):
    """A layer: the packages' files. links: (path, target); files: (path on this machine, path in the image)."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        paths = files_of(packages)
        for path in paths:
            archive.add(path, recursive=False)
        for name in {"tmp", "proc", "sys", "dev", "run", "root"} - {path.lstrip("/") for path in paths}:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
        for path, target in links:
            add_link(archive, path, target)
        for source, path in files:
            archive.add(source, path)
    return layer.getvalue()


def layer_of(texts):
    """A layer of files: path → text."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        for path, text in texts.items():
            add_text(archive, path, text, 0o755)
    return layer.getvalue()


def save_image(path, layers, **config):
    """Writes an archive as `docker save` does. config: Cmd, Entrypoint, Env, User, WorkingDir."""
    path = pathlib.Path(path)
    described = {"architecture": "amd64", "os": "linux", "config": config,
                 "rootfs": {"type": "layers",
                            "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]},
                 "history": [{"created_by": "tests"} for _ in layers]}
    text = json.dumps(described)
    name = hashlib.sha256(text.encode()).hexdigest()
    manifest = [{"Config": f"{name}.json", "RepoTags": None,
                 "Layers": [f"{i}/layer.tar" for i in range(len(layers))]}]
    with tarfile.open(path, "w") as archive:
        for i, layer in enumerate(layers):
            entry = tarfile.TarInfo(f"{i}/layer.tar")
            entry.size = len(layer)
            archive.addfile(entry, io.BytesIO(layer))
        add_text(archive, f"{name}.json", text)
        add_text(archive, "manifest.json", json.dumps(manifest))
    path.chmod(0o644)


@functools.cache
def python_root():
    return debian_root(PYTHON, links=[("/usr/bin/python", "python3")])


@functools.cache
def mpi_root():
    """Open MPI of this machine, and a ring of ranks at /ring."""
    with tempfile.TemporaryDirectory() as directory:
        program = f"{directory}/ring"
        source = pathlib.Path(__file__).resolve().parents[2] / "mpi_examples/ring_reduce.c"
        subprocess.run(["mpicc.openmpi", "-O2", "-o", program, source, "-lm"], check=True)
        return debian_root(MPI, links=[("/usr/bin/mpirun", "mpirun.openmpi")], files=[(program, "/ring")])
