"""Files that people bring: Slurm's queues, several queues, a file of version 2 made one of version 3."""

import shutil

import harness

SLURM = """Region: us-west-2
Image:
  Os: ubuntu2204
HeadNode:
  InstanceType: t3.micro
  Networking:
    SubnetId: subnet-0123456789abcdef0
    ElasticIp: true
Scheduling:
  Scheduler: slurm
  SlurmQueues:
    - Name: small
      Networking: {SubnetIds: [subnet-0123456789abcdef1]}
      ComputeResources:
        - {Name: nodes, InstanceType: c4.large, MinCount: 1, MaxCount: 2}
    - Name: cores
      Networking: {SubnetIds: [subnet-0123456789abcdef1]}
      ComputeResources:
        - {Name: nodes, InstanceType: c5.xlarge, MaxCount: 1, DisableSimultaneousMultithreading: true}
"""


def test_a_slurm_file_makes_a_cluster_whose_queues_run_jobs(person):
    cluster = person.create("slurm", SLURM)
    queues = person.run("awsbqueues", "-c", "slurm").ok().out
    assert "small" in queues and "cores" in queues, queues
    two = cluster.script("echo $AWS_BATCH_JQ_NAME $AWS_BATCH_CE_NAME $AWS_BATCH_JOB_NUM_NODES\n", nodes=2)
    one = cluster.script("echo $AWS_BATCH_JQ_NAME $AWS_BATCH_CE_NAME; nproc\n", "-jq", "cores", "-p", "2")
    assert cluster.finish(two)["status"] == "SUCCEEDED"
    assert "small slurm-small-nodes 2" in cluster.output(two + "#0")
    assert cluster.finish(one)["status"] == "SUCCEEDED"
    assert cluster.output(one)[0] == "cores slurm-cores-nodes"


def test_a_slurm_cluster_is_described_and_stopped_in_slurms_words(person):
    person.create("slurm", SLURM)

    def fleet():
        described = person.run("pcluster", "describe-cluster", "-n", "slurm").ok().json()
        assert described["scheduler"] == {"type": "slurm"}
        alone = person.run("pcluster", "describe-compute-fleet", "-n", "slurm").ok().json()
        assert alone["status"] == described["computeFleetStatus"]
        return alone["status"]

    def set_fleet(status):
        return person.run("pcluster", "update-compute-fleet", "-n", "slurm", "--status", status)

    listed = person.run("pcluster", "list-clusters").ok().json()["clusters"]
    assert [c["scheduler"] for c in listed if c["clusterName"] == "slurm"] == [{"type": "slurm"}]
    assert fleet() == "RUNNING"
    assert set_fleet("STOP_REQUESTED").ok().json()["status"] == "STOP_REQUESTED"
    assert fleet() == "STOPPED"
    assert set_fleet("START_REQUESTED").ok().json()["status"] == "START_REQUESTED"
    assert fleet() == "RUNNING"
    instances = person.run("pcluster", "describe-cluster-instances", "-n", "slurm").ok().json()["instances"]
    assert [(i["nodeType"], i.get("queueName")) for i in instances] == [("HeadNode", None), ("ComputeNode", "small")]

    def in_queue(name):
        words = ("pcluster", "describe-cluster-instances", "-n", "slurm", "--queue-name", name)
        return [i["instanceId"] for i in person.run(*words).ok().json()["instances"]]

    assert in_queue("small") == [instances[1]["instanceId"]]
    assert in_queue("cores") == []
    refused = set_fleet("DISABLED").fails(1).json()["message"]
    assert refused.startswith("Bad Request: ") and "START_REQUESTED or STOP_REQUESTED" in refused, refused


def test_a_converted_file_makes_a_cluster(person):
    shutil.copy(harness.SOURCE / "configs/tutorial.config", person.home / "old.config")
    (person.home / "old.config").chmod(0o644)
    done = person.run("pcluster3-config-converter", "-c", "old.config", "-o", "new.yaml").ok()
    assert done.out.endswith("Configuration file written to new.yaml\n"), done.story()
    validated = person.run("cox", "validate", "new.yaml").ok()
    assert validated.out.endswith("new.yaml: a file of version 3: no errors, no warnings, no notes\n"), validated.out
    cluster = person.create("new", config=person.home / "new.yaml")
    job = cluster.script("echo $PCLUSTER_SHARED_DIRS\n")
    assert cluster.finish(job)["status"] == "SUCCEEDED"
    assert cluster.output(job) == ["/shared"]
