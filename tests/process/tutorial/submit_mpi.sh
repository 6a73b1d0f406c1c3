#!/bin/bash
# The shape of the awsbatch tutorials' MPI job: the main node compiles in the shared directory and
# runs mpirun on the hostfile; the others wait for the file with the exit code.
echo "container address: $(/sbin/ip -o -4 addr list eth0 | awk '{print $4}' | cut -d/ -f1)"
echo "host address (IMDSv1): $(curl -s http://169.254.169.254/latest/meta-data/local-ipv4)"
token=$(curl -s -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 60" http://169.254.169.254/latest/api/token)
echo "host address (IMDSv2): $(curl -s -H "X-aws-ec2-metadata-token: $token" http://169.254.169.254/latest/meta-data/local-ipv4)"

IFS=',' read -r -a shared_dirs <<< "${PCLUSTER_SHARED_DIRS}"
shared_dir=${shared_dirs[0]}
job_dir="${shared_dir}/${AWS_BATCH_JOB_ID%#*}-${AWS_BATCH_JOB_ATTEMPT}"
exit_code_file="${job_dir}/batch-exit-code"

if [[ "${AWS_BATCH_JOB_NODE_INDEX}" -eq "${AWS_BATCH_JOB_MAIN_NODE_INDEX}" ]]; then
  echo "this is the main node, index ${AWS_BATCH_JOB_NODE_INDEX} of ${AWS_BATCH_JOB_NUM_NODES}"
  mkdir -p "${job_dir}"
  echo "compiling"
  /usr/lib64/openmpi/bin/mpicc -o "${job_dir}/mpi_hello_world" "${shared_dir}/mpi_hello_world.c"
  echo "running"
  /usr/lib64/openmpi/bin/mpirun --mca btl_tcp_if_include eth0 --allow-run-as-root --machinefile "${HOME}/hostfile" "${job_dir}/mpi_hello_world"
  echo "0" > "${exit_code_file}"
  sleep "${LINGER:-30}"
  exit 0
fi

echo "this is a compute node, index ${AWS_BATCH_JOB_NODE_INDEX}; the main node is ${AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS}"
while [ ! -f "${exit_code_file}" ]; do
  sleep 2
done
exit "$(cat "${exit_code_file}")"
