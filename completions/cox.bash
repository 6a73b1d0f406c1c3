# bash completion for cox, pcluster and the awsb* commands.
#
# Options and verbs are what the programs say in --help, so they are never out of step; clusters and
# jobs are asked for with a limit of one second.
# shellcheck shell=bash

# The long options and the short ones that "$@ --help" shows.
_cox_options() {
  cox "$@" --help 2>/dev/null |
    sed -nE '/^ +-/ { s/^ +//; s/  .*//; p }' |
    grep -oE '(^|[ ,])--?[a-z][a-z-]*' |
    tr -d ' ,'
}

_cox_verbs() {
  pcluster --help 2>/dev/null | grep -oE '^  [a-z][a-z-]+  ' | tr -d ' '
}

_cox_commands() {
  cox --help 2>/dev/null | grep -oE '^  [a-z]+  ' | tr -d ' '
}

_cox_clusters() {
  timeout 1 pcluster list 2>/dev/null | cut -d ' ' -f 1
}

# Ids of jobs that awsbstat lists with the options given: of a multi-node job also its nodes.
_cox_jobs() {
  timeout 1 awsbstat "$@" 2>/dev/null | tail -n +3 | head -n 200 |
    while read -r id size _; do
      echo "$id"
      if [[ $size == \** ]]; then
        for ((i = 0; i < ${size#\*} && i < 32; ++i)); do echo "$id#$i"; done
      fi
    done
}

# -c CLUSTER among the words typed, as an option to hand on.
_cox_cluster_option() {
  local i
  for ((i = 1; i < ${#words[@]} - 1; ++i)); do
    case ${words[i]} in
      # "--cluster=NAME" comes as three words.
      -c | --cluster) [[ ${words[i + 1]} == = ]] && ((i += 1)); echo "-c${words[i + 1]}" ;;
    esac
  done | tail -n 1
}

_cox_reply() {
  mapfile -t COMPREPLY < <(compgen "$@" -- "$current")
}

# The value of the option before the cursor. Fails where that is no option with a value.
_cox_value() {
  local command=$1 option=$2
  case $command:$option in
    awsb*:-c | awsb*:--cluster | pcluster:-n | pcluster:--cluster-name)
      _cox_reply -W "$(_cox_clusters)"
      ;;
    awsbstat:-s | awsbstat:--status)
      _cox_reply -W "SUBMITTED PENDING RUNNABLE STARTING RUNNING SUCCEEDED FAILED ALL"
      ;;
    awsb*:-ll | awsb*:--log-level) _cox_reply -W "DEBUG INFO WARNING ERROR CRITICAL" ;;
    awsbsub:-if | awsbsub:--input-file | awsbsub:--input | awsbsub:--output | pcluster:-c | pcluster:--config | \
      pcluster:--cluster-configuration | pcluster:-i | simulate:--trace)
      _cox_reply -f
      ;;
    awsbsub:-w | awsbsub:--working-dir | awsbsub:-pw | awsbsub:--parent-working-dir)
      _cox_reply -d
      ;;
    awsbsub:-jq | awsbsub:--job-queue)
      _cox_reply -W "$(timeout 1 awsbqueues ${cluster:+"$cluster"} 2>/dev/null | tail -n +3 | cut -d ' ' -f 1)"
      ;;
    awsbsub:-e | awsbsub:--env) _cox_reply -W "all $(compgen -e)" ;;
    awsbsub:-d | awsbsub:--depends-on)
      _cox_reply -W "jobId= type=SEQUENTIAL afterok: afterany: afternotok:"
      ;;
    history:-c | history:--cluster) _cox_reply -W "$(_cox_clusters)" ;;
    history:--status) _cox_reply -W "SUCCEEDED FAILED" ;;
    history:--queue)
      _cox_reply -W "$(timeout 1 awsbqueues ${cluster:+"$cluster"} 2>/dev/null | tail -n +3 | cut -d ' ' -f 1)"
      ;;
    history:--user) _cox_reply -u ;;
    history:--since | history:--until) _cox_reply -W "1h 1d 7d" ;;
    awsbsub:jobId) _cox_reply -W "$(_cox_jobs ${cluster:+"$cluster"})" ;;
    awsbsub:--mpi-launch) _cox_reply -W "auto direct mpirun" ;;
    awsbsub:--bind-to) _cox_reply -W "none core socket numa hwthread" ;;
    awsbsub:--map-by) _cox_reply -W "slot core socket numa node hwthread" ;;
    awsbsub:-jn | awsbsub:--job-name | awsbsub:-p | awsbsub:--vcpus | awsbsub:-m | \
      awsbsub:--memory | awsbsub:-eb | awsbsub:--env-blacklist | awsbsub:-r | \
      awsbsub:--retry-attempts | awsbsub:-t | awsbsub:--timeout | awsbsub:-n | awsbsub:--nodes | \
      awsbsub:-a | awsbsub:--array-size | awsbsub:--ranks-per-node | \
      awsbsub:--share-identifier | awsbsub:--scheduling-priority | awsbsub:--client-token | \
      history:--limit | awsbout:-hd | \
      awsbout:--head | awsbout:-t | awsbout:--tail | awsbout:-sp | awsbout:--stream-period | \
      awsbout:--rank | awsbout:--ranks | awsbkill:-r | awsbkill:--reason | simulate:*)
      COMPREPLY=()
      ;;
    *) return 1 ;;
  esac
}

_cox_words() {
  local command=$1
  case $command in
    credentials) _cox_reply -W "$(_cox_clusters)" ;;
    preflight) compopt -o filenames 2>/dev/null; _cox_reply -f -W "$(_cox_clusters)" ;;
    awsbsub) compopt -o filenames 2>/dev/null && _cox_reply -c -f ;;
    awsbstat | awsbout) _cox_reply -W "$(_cox_jobs ${cluster:+"$cluster"} -s ALL)" ;;
    awsbkill) _cox_reply -W "$(_cox_jobs ${cluster:+"$cluster"})" ;;
    awsbhosts)
      _cox_reply -W "$(timeout 1 awsbhosts ${cluster:+"$cluster"} 2>/dev/null | tail -n +3 | cut -d ' ' -f 1)"
      ;;
    awsbqueues)
      _cox_reply -W "$(timeout 1 awsbqueues ${cluster:+"$cluster"} 2>/dev/null | tail -n +3 | cut -d ' ' -f 1)"
      ;;
  esac
}

_cox_pcluster() {
  local verb=${words[1]}
  if ((cword == 1)); then
    _cox_reply -W "$(_cox_verbs) --help"
  elif [[ $current == -* ]]; then
    _cox_reply -W "$(_cox_options pcluster "$verb")"
  elif ! _cox_value pcluster "$before"; then
    case $verb in
      ssh | delete | status | instances | start | stop) _cox_reply -W "$(_cox_clusters)" ;;
    esac
  fi
}

_cox() {
  local words=("${COMP_WORDS[@]}") cword=$COMP_CWORD current=${COMP_WORDS[COMP_CWORD]}
  local command=${words[0]##*/} cluster before
  COMPREPLY=()
  if [[ $command == cox ]]; then
    if ((cword == 1)); then
      _cox_reply -W "$(_cox_commands) --help --version"
      return
    fi
    # "cox awsbstat …" as "awsbstat …".
    command=${words[1]}
    words=("${words[@]:1}")
    ((cword -= 1))
  fi
  # The shell takes "NAME=VALUE" apart.
  before=${words[cword - 1]}
  [[ $before == = ]] && before=${words[cword - 2]}
  if [[ $current == = ]]; then
    before=${words[cword - 1]}
    current=
  fi
  if [[ $command == pcluster ]]; then
    _cox_pcluster
    return
  fi
  cluster=$(_cox_cluster_option)
  if [[ $current == -* ]]; then
    _cox_reply -W "$(_cox_options "$command")"
  elif ! _cox_value "$command" "$before"; then
    _cox_words "$command"
  fi
}

complete -F _cox cox pcluster awsbsub awsbstat awsbout awsbkill awsbhosts awsbqueues
