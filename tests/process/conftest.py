"""Every test runs as root and as an ordinary user where the tests run as root; else as who runs them."""

import os
import pathlib

import pytest

import harness


def people():
    if os.geteuid() != 0:
        return ["self"]
    return ["root", "user"]


def account(kind):
    return harness.ordinary_user() if kind == "user" else None


@pytest.fixture(params=people())
def person(request):
    someone = harness.Person(account(request.param))
    yield someone
    someone.close()


@pytest.fixture(scope="module", params=people())
def shared_person(request):
    someone = harness.Person(account(request.param))
    yield someone
    someone.close()


@pytest.fixture(scope="module")
def cluster(shared_person):
    """Three nodes x 2 vCPUs at most, one at first; used by all tests of a module."""
    return shared_person.create("shared", minimum=2, maximum=6)
