"""What the tests of hosts have in common; a file of tests imports it."""

import os
import re

import pytest

import conftest
import harness
import ssh_site


def made(make):
    """What a module's fixture of a site yields: made here, and gone with the module."""
    if os.geteuid() != 0:
        pytest.skip("hosts and their daemons are made by root")
    site = make()
    yield site
    site.close()


@pytest.fixture(scope="module")
def site():
    yield from made(ssh_site.Site)


@pytest.fixture(params=conftest.people())
def typist(request, site):
    """Someone on the site's machine; after them every host is as it was."""
    before = [host.files() for host in site.hosts]
    someone = ssh_site.SitePerson(site, conftest.account(request.param))
    yield someone
    someone.close()
    for host, files in zip(site.hosts, before):
        harness.wait_until(lambda host=host: (not host.processes(), host.processes()), f"{host.name} to be empty")
        assert host.files() == files


def pids_on(host, pattern, what="args"):
    """Numbers of the processes of a host, as it counts them, by command line (or name: comm)."""
    lines = host.run("ps", "-eo", f"pid,{what}", "--no-headers").splitlines()
    return [int(line.split()[0]) for line in lines if re.search(pattern, line)]


def wait_for_hosts(cluster, count):
    def look():
        hosts = cluster.hosts()
        return len(hosts) == count, hosts
    return harness.wait_until(look, f"{count} hosts", 90)


def host_of(job_site, pattern):
    """The host on which such a process runs."""
    return next(host for host in job_site.hosts if pids_on(host, pattern))
