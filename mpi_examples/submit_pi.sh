#!/bin/bash
# Pi by the midpoint rule.
#
#   awsbsub -n 3 -cf submit_pi.sh -if pi.c [ARGUMENTS OF THE PROGRAM]
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
/usr/lib64/openmpi/bin/mpicc -O2 -o "$directory/pi" pi.c -lm
/usr/lib64/openmpi/bin/mpirun --allow-run-as-root --machinefile "${HOME}/hostfile" "$directory/pi" "$@"
