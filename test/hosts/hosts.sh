# Owns the test hosts: each has systemd as PID 1 (systemd-nspawn on an overlay of the shared file
# system), its own network namespace and address on one bridge, and its own control group. Sourced by
# run.sh, which sets `prefix` (of every name made here), `work` (a directory) and `rootfs`.

hosts_address() { echo "10.77.1.$1"; }

# Where control groups are made: every mounted hierarchy, for there are still hybrid machines.
hosts_cgroups() {
  awk '$3 == "cgroup2" || ($3 == "cgroup" && $4 ~ /name=systemd/) { print $2 }' /proc/mounts
}
hosts_cgroup2() { awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts; }

hosts_network_up() {
  ip netns add "$prefix-sw"
  ip -n "$prefix-sw" link set lo up
  ip -n "$prefix-sw" link add br0 type bridge forward_delay 0 stp_state 0
  ip -n "$prefix-sw" addr add 10.77.0.1/16 dev br0
  ip -n "$prefix-sw" link set br0 up
}

# host_up NUMBER NAME [NSPAWN OPTION...]: makes the host's disk and network and starts its boot.
host_up() {
  local number=$1 name=$2 space=$prefix-h$1 disk=$work/h$1
  shift 2
  ip netns add "$space"
  ip -n "$prefix-sw" link add "v$number" type veth peer name eth0 netns "$space"
  ip -n "$prefix-sw" link set "v$number" master br0 up
  ip -n "$space" link set lo up
  ip -n "$space" addr add "$(hosts_address "$number")/16" dev eth0
  ip -n "$space" link set eth0 up
  mkdir -p "$disk"/{upper,scratch,root}
  mount -t overlay "$space" \
    -o "lowerdir=$rootfs,upperdir=$disk/upper,workdir=$disk/scratch" "$disk/root"
  printf '%032x\n' "$((0x10c500000 + number))" > "$disk/root/etc/machine-id"
  echo "$name" > "$disk/root/etc/hostname"
  printf '127.0.0.1 localhost\n127.0.1.1 %s\n' "$name" > "$disk/root/etc/hosts"
  echo "$name" > "$disk/name"
  printf '%s\n' "$@" > "$disk/options"
  host_boot "$number"
}

# Boots from the host's disk; `systemctl reboot` inside (the launcher's exit 133) boots it again.
host_boot() {
  local space=$prefix-h$1 disk=$work/h$1 cgroup options
  mapfile -t options < "$disk/options"
  for cgroup in $(hosts_cgroups); do mkdir -p "$cgroup/$prefix/h$1"; done
  (
    exec < /dev/null > "$disk/console.log" 2>&1 9>&-
    for cgroup in $(hosts_cgroups); do echo "$BASHPID" > "$cgroup/$prefix/h$1/cgroup.procs"; done
    export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_LOCK=0
    while :; do
      setsid systemd-nspawn --quiet --register=no --keep-unit --boot --machine="$space" \
        --hostname="$(cat "$disk/name")" --directory="$disk/root" \
        --network-namespace-path="/run/netns/$space" --console=pipe --resolv-conf=off \
        --timezone=off --link-journal=no "${options[@]}" &
      echo $! > "$disk/launcher.pid"
      code=0
      wait $! || code=$?
      [ "$code" = 133 ] || exit "$code"
    done
  ) &
  disown # else this shell reports its end, which is always a kill
}

# The host's PID 1 as this machine numbers it: the launcher's only child.
host_leader() {
  local launcher
  launcher=$(cat "$work/h$1/launcher.pid" 2> /dev/null) &&
    awk '{ print $1; exit }' "/proc/$launcher/task/$launcher/children" 2> /dev/null
}

# host_exec NUMBER COMMAND...: runs a command as the host's root, never longer than two minutes.
host_exec() {
  local leader
  leader=$(host_leader "$1") && [ -n "$leader" ] || { echo "host $1 is down" >&2; return 1; }
  shift
  timeout 120 nsenter -t "$leader" -m -u -i -n -p -C -r -w -- \
    env -i PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
    container=systemd-nspawn "$@"
}

# host_write NUMBER PATH: a file of the host from standard input. Never written from outside: an absolute
# link on the host's disk would lead to a file of this machine.
host_write() { host_exec "$1" sh -c 'cat > "$0"' "$2"; }

host_wait() {
  local since=$SECONDS
  until case "$(host_exec "$1" systemctl is-system-running 2> /dev/null)" in
    running | degraded) true ;; *) false ;; esac; do
    sleep 0.1
    ((SECONDS - since < 60)) || { echo "host $1 did not come up"; cat "$work/h$1/console.log"; return 1; }
  done
}

# Waits until the PID 1 that was there has gone and another is up.
host_reboot() {
  local before
  before=$(host_leader "$1")
  host_exec "$1" systemctl reboot || true
  local since=$SECONDS
  while [ "$(host_leader "$1")" = "$before" ]; do
    sleep 0.1
    ((SECONDS - since < 60)) || { echo "host $1 did not go down"; return 1; }
  done
  host_wait "$1"
}

# Removes everything that bears a prefix. Needs nothing but the names, so it also works after a crash.
hosts_purge() {
  local prefix=$1 work=$2 cgroup path space
  [ ! -d "$(hosts_cgroup2)/$prefix" ] || echo 1 > "$(hosts_cgroup2)/$prefix/cgroup.kill"
  awk -v root="$work/" '$3 == "overlay" && index($2, root) == 1 { print $2 }' /proc/mounts |
    while read -r path; do umount "$path" 2> /dev/null || umount -l "$path"; done
  ip netns list | awk -v names="^$prefix-(h[0-9]+|sw)$" '$1 ~ names { print $1 }' |
    while read -r space; do ip netns del "$space"; done
  for cgroup in $(hosts_cgroups); do
    [ ! -d "$cgroup/$prefix" ] || hosts_remove_cgroup "$cgroup/$prefix"
  done
  for path in /run/systemd/nspawn/propagate/"$prefix"-h*; do
    [ ! -d "$path" ] || rmdir "$path" 2> /dev/null || true
  done
  rm -rf --one-file-system "$work"
}

# A killed process leaves its group a moment after the kill.
hosts_remove_cgroup() {
  local attempt
  for attempt in $(seq 50); do
    find "$1" -depth -type d -exec rmdir {} + 2> /dev/null || true
    [ -d "$1" ] || return 0
    sleep 0.1
  done
  echo "control group $1 could not be removed (attempt $attempt)" >&2
}
