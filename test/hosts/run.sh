#!/usr/bin/env bash
# The whole of Lockstep on hosts that really run systemd: a controller and two agents, installed with the
# real commands. Makes its hosts, runs the scenario, removes everything, also what a killed run left.
# Needs root and Debian's tools; says so and ends with 0 where it cannot run. KEEP=1 leaves the hosts up.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=${LOCKSTEP_TEST_CHECKOUT:-$(cd "$here/../.." && pwd)}
. "$here/rootfs.sh"
. "$here/hosts.sh"
. "$here/scenario.sh"

# Names of network namespaces, control groups and directories all begin with these.
prefix=lsh$$
work=/var/tmp/lockstep-hosts.$$
packages=(debootstrap systemd-container iproute2)

cannot_run() {
  echo "The tests on hosts were not run: $1"
  echo '0 passed, 0 failed'
  exit 0
}

check_machine() {
  [ "$(id -u)" = 0 ] || cannot_run 'they boot hosts with systemd, which needs root.'
  command -v apt-get > /dev/null || cannot_run 'they build hosts with debootstrap, which needs apt.'
  unshare --mount --net true 2> /dev/null ||
    cannot_run 'this machine does not let root make mounts and network namespaces.'
  [ -n "$(hosts_cgroup2)" ] || cannot_run 'there is no control group hierarchy of version 2 mounted.'
}

install_packages() {
  local missing
  missing=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${packages[@]}" 2> /dev/null |
    awk '$2 == "installed"' | wc -l)
  [ "$missing" != "${#packages[@]}" ] || return 0
  echo "installing ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Quiet, because what apt prints names its mirror.
  { apt-get -q -o DPkg::Lock::Timeout=600 update &&
    apt-get -q -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "${packages[@]}"; } \
    > /dev/null 2>&1 || cannot_run "apt could not install ${packages[*]}."
}

# Hosts of a run that was killed before it could clean up.
purge_abandoned() {
  local old pid
  for old in /var/tmp/lockstep-hosts.*; do
    [ -d "$old" ] || continue
    pid=${old##*.}
    grep -qa 'hosts/run.sh' "/proc/$pid/cmdline" 2> /dev/null || hosts_purge "lsh$pid" "$old"
  done
}

clean_up() {
  local code=$?
  trap - EXIT
  set +e # one thing that cannot be removed must not keep the rest
  if [ -n "${KEEP:-}" ]; then
    echo "the hosts are left running: prefix $prefix, files in $work; the next run removes them"
  else
    hosts_purge "$prefix" "$work"
  fi
  exit "$code"
}

check_machine
install_packages
purge_abandoned
rootfs=$(rootfs_ready)
trap clean_up EXIT
trap 'exit 130' INT TERM HUP
install -d -m 0700 "$work"
scenario_run
