#!/bin/sh
# Does one thing about one unit for the agent, where polkit is too old to grant it: systemd runs this as
# root for each connection to a socket that only the agent can open. Verb and unit come from root's own
# unit file; of the agent's own is at most what completes the name of a hook's instance, which can lead
# neither to another app nor to another template.
#
#   unit-request.sh VERB UNIT            exactly this unit
#   unit-request.sh VERB BEGINNING any   the instance that the first line on standard input completes
#
# Prints what systemctl says, and at last `exit CODE`.
set -u
LC_ALL=C.UTF-8
export LC_ALL
verb=$1 unit=$2
# Read whatever it is for: what is left unread would take the answer with it (unix(7), ECONNRESET).
rest=
IFS= read -r rest || :
if [ "${3-}" = any ]; then
  case $rest in
    '' | *[!0-9A-Za-z:_.\\]*) rest= ;;
  esac
  if [ -z "$rest" ] || [ "${#rest}" -gt 200 ]; then
    echo 'this is no version'
    echo 'exit 1'
    exit 0
  fi
  unit=$unit$rest.service
fi
case $verb in
  kill) systemctl --no-ask-password kill --signal=SIGKILL -- "$unit" 2>&1 ;;
  *) systemctl --no-ask-password "$verb" -- "$unit" 2>&1 ;;
esac
echo "exit $?"
