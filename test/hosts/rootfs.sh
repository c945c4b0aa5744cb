# Owns the file system that all test hosts share read-only: builds it once, keeps it in a cache whose
# key is this recipe. Sourced by run.sh. Must never print the address of a package mirror.

rootfs_cache=${LOCKSTEP_TEST_ROOTFS_CACHE:-/var/cache/lockstep-test-rootfs}
rootfs_packages=systemd,systemd-sysv,dbus,libpam-systemd,polkitd,passwd,iproute2,procps
rootfs_packages+=,ca-certificates,curl,nginx-light

# Units that make no sense in a host without hardware, or that reach for the network by themselves.
rootfs_masked_units=(
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service
  fstrim.timer getty.target getty@tty1.service console-getty.service dev-hugepages.mount
  sys-kernel-debug.mount sys-kernel-tracing.mount systemd-networkd.service systemd-resolved.service
  systemd-networkd-wait-online.service systemd-timesyncd.service systemd-udevd.service
  systemd-udev-trigger.service
)

# The mirror and the suite are those of this machine's own apt configuration.
rootfs_suite() { (. /etc/os-release && echo "${VERSION_CODENAME:-}"); }
rootfs_mirror() {
  apt-get indextargets --format '$(REPO_URI)' "Codename: $(rootfs_suite)" 'Component: main' \
    'Created-By: Packages' 2>/dev/null | sort -u | head -n 1
}
rootfs_key() {
  { cat "$(dirname "${BASH_SOURCE[0]}")/rootfs.sh"; rootfs_suite; dpkg --print-architecture; } |
    sha256sum | cut -c1-16
}

# Prints the path of the shared file system; builds it first where the cache has none.
rootfs_ready() {
  local path
  path=$rootfs_cache/$(rootfs_key)
  install -d -m 0700 "$rootfs_cache"
  (
    flock 9 # one builder at a time
    [ -d "$path" ] || rootfs_build "$path"
  ) 9> "$rootfs_cache/lock" || return 1
  echo "$path"
}

rootfs_build() {
  local path=$1 building=$1.building log=$rootfs_cache/build.log mirror unit
  mirror=$(rootfs_mirror)
  [ -n "$mirror" ] || { echo 'apt knows no mirror for this suite' >&2; return 1; }
  echo 'building the shared file system of the hosts (once, about two minutes)' >&2
  rm -rf --one-file-system "$building"
  if ! debootstrap --variant=minbase --include="$rootfs_packages" "$(rootfs_suite)" "$building" \
    "$mirror" > "$log" 2>&1; then
    tail -n 20 "$log" | sed "s|$mirror|MIRROR|g" >&2
    return 1
  fi
  rm -f "$building"/var/cache/apt/archives/*.deb "$log" "$building/etc/hostname"
  : > "$building/etc/apt/sources.list"
  # Every host writes its own id here before it boots.
  : > "$building/etc/machine-id"
  ln -sf /etc/machine-id "$building/var/lib/dbus/machine-id"
  for unit in "${rootfs_masked_units[@]}"; do
    ln -sf /dev/null "$building/etc/systemd/system/$unit"
  done
  # There to be started by the tests, not by the boot.
  rm -f "$building/etc/systemd/system/multi-user.target.wants/nginx.service"
  sync -f "$building"
  mv -T "$building" "$path"
  rootfs_forget_others "$path"
}

# An older recipe's result goes, unless a run still uses it.
rootfs_forget_others() {
  local other
  for other in "$rootfs_cache"/*/; do
    other=${other%/}
    [ "$other" = "$1" ] || grep -qF "lowerdir=$other" /proc/mounts ||
      rm -rf --one-file-system "$other"
  done
}
