"""What the tests of Slurm sites have in common; a file of tests imports it."""

import os

import pytest

import conftest
import harness
import slurm_site
from ssh_fixtures import made

# Until it is ended; what it started goes with it.
ENDLESS = "echo begun; exec sleep 1000"


@pytest.fixture(scope="module")
def site():
    yield from made(slurm_site.SlurmSite)


@pytest.fixture(params=conftest.people())
def typist(request, site):
    """Someone on the login machine; after them Slurm has no job of theirs and every host is as it was."""
    before = [host.files() for host in site.hosts]
    shared = sorted(os.listdir(site.shared))
    someone = slurm_site.SlurmPerson(site, conftest.account(request.param))
    yield someone
    someone.close()
    harness.wait_until(lambda: (not site.jobs(), site.jobs()), "Slurm to have no job")
    for host, files in zip(site.hosts, before):
        harness.wait_until(lambda host=host: (not host.processes(), host.processes()), f"{host.name} to be empty")
        more = sorted(set(host.files()) ^ set(files))
        assert not more, f"left on {host.name}, or gone from there: {more}"
    left = {name for name in os.listdir(site.shared) if name.startswith(".coxswain-")}
    assert not left - set(shared)


def pilots(site, cluster):
    """Slurm's jobs of the cluster: number → (state, nodes)."""
    return {job: (state, int(nodes)) for job, (state, name, nodes) in site.jobs().items()
            if name == f"coxswain-{cluster.name}"}


def wait_for_pilots(site, cluster, wanted, seconds=60):
    """Until Slurm has jobs of these states and numbers of nodes."""
    def look():
        seen = pilots(site, cluster)
        return sorted(seen.values()) == sorted(wanted), seen
    return harness.wait_until(look, f"the pilots {wanted}", seconds)


def idle_at_once(typist, **more):
    """A file whose nodes are given back as soon as they are idle."""
    return typist.site_file(**more).replace("ScaledownIdletime: 10", "ScaledownIdletime: 0")
