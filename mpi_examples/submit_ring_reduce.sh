#!/bin/bash
# Ring and reduce: six ranks on three nodes pass a number round a ring and add up their ranks.
#
#   awsbsub -n 3 -cf submit_ring_reduce.sh -if ring_reduce.c [ARGUMENTS OF THE PROGRAM]
#
# The script runs on every node. The main node compiles into the shared directory and calls mpirun;
# the others wait: the end of the main node ends the job.
set -eu

if [ "${AWS_BATCH_JOB_NODE_INDEX:-0}" -ne "${AWS_BATCH_JOB_MAIN_NODE_INDEX:-0}" ]; then
  trap 'exit 0' TERM
  sleep infinity &
  wait
fi

directory="${PCLUSTER_SHARED_DIRS%%,*}/${AWS_BATCH_JOB_ID%#*}-${AWS_BATCH_JOB_ATTEMPT}"
mkdir -p "$directory"
trap 'rm -rf "$directory"' EXIT
/usr/lib64/openmpi/bin/mpicc -O2 -o "$directory/ring_reduce" ring_reduce.c -lm
/usr/lib64/openmpi/bin/mpirun --allow-run-as-root --machinefile "${HOME}/hostfile" "$directory/ring_reduce" "$@"
