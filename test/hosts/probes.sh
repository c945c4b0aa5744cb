#!/bin/sh
# What a process can do, one line for each thing: `open NAME` or `closed NAME`. Run as a hook it shows what
# the agent's unit closes; run beside it, as the same user, which of the probes mean something.
#   probes.sh DIRECTORY: one that this user may write in
directory=$1
status() { grep -q "^$1:[[:space:]]*$2" /proc/self/status; }
probe() {
  name=$1
  shift
  if "$@" > /dev/null 2>&1; then echo "open $name"; else echo "closed $name"; fi
}
file=$directory/.probe
: > "$file"
probe NoNewPrivileges status NoNewPrivs 0
probe SystemCallFilter status Seccomp 0
probe CapabilityBoundingSet status CapBnd '0*[1-9a-f]'
probe ProtectSystem grep -q '^[0-9]* [0-9]* [^ ]* / / rw' /proc/self/mountinfo
probe ProtectHome test -e /home/probe
probe PrivateTmp test -e /tmp/probe
probe PrivateIPC test "$(readlink /proc/self/ns/ipc)" = "$(cat /usr/local/share/probe-ipc)"
probe RestrictNamespaces unshare --user true
probe RestrictSUIDSGID chmod u+s "$file"
probe RestrictAddressFamilies perl -e 'socket(my $s, 16, 3, 0) or exit 1'
probe LockPersonality setarch --addr-no-randomize true
probe SystemCallFilter-resources chrt --batch 0 true
probe SystemCallFilter-chown chown "$(id -u)" "$file"
probe ProtectProc test -d /proc/1
probe ProcSubset test -e /proc/meminfo
probe ProtectControlGroups grep -q ' /sys/fs/cgroup rw' /proc/self/mountinfo
rm -f "$file"
