"""The endpoint off loopback: TLS, by the cluster's own authority or by a certificate of the site."""

import subprocess
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.exceptions
import pytest

import harness


def api(**keys):
    lines = "".join(f"    {key}: {value}\n" for key, value in keys.items())
    return harness.cluster_file(minimum=0, extra=f"Coxswain:\n  Api:\n{lines}")


def credentials(cluster):
    return cluster.person.run("cox", "credentials", cluster.name, "--json").ok().json()


def batch(variables, verify):
    return boto3.client("batch", region_name=variables["AWS_DEFAULT_REGION"], endpoint_url=variables["AWS_ENDPOINT_URL"],
                        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
                        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"], verify=verify,
                        config=botocore.config.Config(retries={"total_max_attempts": 1}))


def queues(variables, verify):
    return [queue["jobQueueName"] for queue in batch(variables, verify).describe_job_queues()["jobQueues"]]


def test_all_addresses_are_served_through_tls(person):
    cluster = person.create("open", api(Address="0.0.0.0", Host="localhost"))
    variables = credentials(cluster)
    assert variables["AWS_ENDPOINT_URL"].startswith("https://localhost:")
    bundle = variables["AWS_CA_BUNDLE"]
    assert queues(variables, bundle) == ["queue1"]
    address = {**variables, "AWS_ENDPOINT_URL": variables["AWS_ENDPOINT_URL"].replace("localhost", "127.0.0.1")}
    assert queues(address, bundle) == ["queue1"]

    with pytest.raises(botocore.exceptions.SSLError):  # without the authority's certificate nobody trusts it
        queues(variables, None)
    with pytest.raises((urllib.error.URLError, ConnectionError)):  # and nothing is said in the clear
        urllib.request.urlopen(variables["AWS_ENDPOINT_URL"].replace("https:", "http:"), timeout=20 * harness.PATIENCE)

    # The AWS CLI takes the variables as they are.
    shell = f'eval "$(cox credentials open)"; exec aws --endpoint-url "$AWS_ENDPOINT_URL" batch describe-job-queues'
    told = person.run("/bin/bash", "-c", shell).ok()
    assert told.json()["jobQueues"][0]["jobQueueName"] == "queue1"

    # The cluster's nodes and its endpoint share an authority: the one does not pass for the other.
    job = cluster.submit("echo", "here")
    assert cluster.finish(job)["status"] == "SUCCEEDED"


def test_a_certificate_of_the_site_is_shown(person):
    key, certificate = person.home / "site.key", person.home / "site.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", key, "-out", certificate, "-subj", "/CN=site", "-days", "2", "-addext",
                    "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    for file in (key, certificate):
        person.write(file.name, file.read_text())
    cluster = person.create("site", api(Host="localhost", Certificate=certificate, PrivateKey=key))
    variables = credentials(cluster)
    assert variables["AWS_ENDPOINT_URL"].startswith("https://localhost:")
    assert "AWS_CA_BUNDLE" not in variables  # whoever made it knows who signed it
    assert queues(variables, str(certificate)) == ["queue1"]


def test_a_certificate_that_cannot_be_used_makes_no_cluster(person):
    nothing = person.home / "none.crt"
    key = person.write("bad.key", "no key\n")
    for text, why in ((api(Certificate=nothing, PrivateKey=key), "none.crt"),
                      (api(Certificate=key, PrivateKey=key), "TLS certificate"),
                      (api(Certificate=key), "PrivateKey"),
                      (api(Certificate="here.crt", PrivateKey=key), "here.crt is not an absolute path"),
                      (api(Address="localhost"), "localhost is not an IPv4 address")):
        file = person.write("bad.yaml", text)
        person.clusters.append("bad")
        done = person.run("pcluster", "create-cluster", "-n", "bad", "-c", file, "--wait")
        assert done.code != 0 and why in done.out + done.err, done.story()
        assert not (person.state / "bad").exists()
