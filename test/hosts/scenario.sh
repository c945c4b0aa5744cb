# What is tried on the hosts, in the order in which an operator would do it. Owns the checks and their
# count; how a host is made and reached is hosts.sh. Sourced by run.sh.

passed=0
failed=0
started=$SECONDS
root=/var/www/sites/shop
url=https://$(hosts_address 1):7400
state=/var/lib/lockstep-controller
groups=/sys/fs/cgroup/system.slice
# The controller's host, and the two that releases go to.
controller=1
agents=(2 3)

# check SENTENCE COMMAND...: one result; what the command said is shown only when it failed.
check() {
  local sentence=$1 output
  shift
  if output=$("$@" 2>&1); then
    passed=$((passed + 1))
    printf '%4ss  ok      %s\n' "$((SECONDS - started))" "$sentence"
  else
    failed=$((failed + 1))
    printf '%4ss  FAILED  %s\n' "$((SECONDS - started))" "$sentence"
    sed 's/^/              /' <<< "$output"
  fi
}

# The command as an operator uses it, on the controller's host.
lockstep() {
  host_exec "$controller" env LOCKSTEP_URL="$url" LOCKSTEP_CA="$state/ca.pem" \
    LOCKSTEP_TOKEN_FILE="$state/admin-token" /opt/lockstep/current/bin/lockstep "$@"
}
# A host's file as this machine sees it; for reading, and only where no absolute link is on the way.
on_disk() { echo "$work/h$1/root$2"; }

scenario_run() {
  # A copy, so that somebody who goes on writing in the checkout does not change what is tried.
  local given=(--bind-ro="$work/checkout:/checkout")
  given+=(--bind-ro="$checkout/node_modules:/checkout/node_modules")
  install -d "$work/checkout/node_modules"
  cp -a "$checkout"/{package.json,bin,shared,agent,controller,cli,systemd} "$work/checkout"
  hosts_network_up
  host_up 1 controller "${given[@]}"
  host_up 2 web-1 "${given[@]}"
  host_up 3 web-2 "${given[@]}"
  check 'three hosts boot' hosts_are_up
  make_releases
  watch_processes
  try_installing
  # What follows means nothing on hosts that could not be installed.
  if [ "$failed" = 0 ]; then
    try_units
    try_deploying
    try_secrets
    try_hooks
    try_both_services
    try_clean_up
    try_without_polkit
    try_reboot
    try_watchdog
    try_installing_again
    try_uninstalling
  fi
  [ "$failed" = 0 ] || show_journals
  echo "$passed passed, $failed failed"
  [ "$failed" = 0 ]
}

hosts_are_up() { host_wait 1 && host_wait 2 && host_wait 3; }

# Two real releases: the trees of two versions of one npm package, as `npm pack` would name them.
make_releases() {
  local version package
  for version in old new; do
    package=$checkout/node_modules/release-$version
    [ -f "$package/package.json" ] || { echo "there is no $package: run npm run setup"; exit 1; }
    tar -czf "$work/$version.tar.gz" -C "$checkout/node_modules" \
      --transform "s,^release-$version,package," "release-$version"
    mkdir -p "$work/$version"
    tar -xzpf "$work/$version.tar.gz" -C "$work/$version" --strip-components 1
    host_write "$controller" "/root/$version.tar.gz" < "$work/$version.tar.gz"
  done
}

# Everything of a tree that a release carries, as one number: paths, types, modes, targets, contents.
tree_digest() {
  (
    cd "$1" || exit 1
    find . -mindepth 1 \( -type f -printf '%P f %m %s\n' -o -type l -printf '%P l %l\n' \
      -o -printf '%P %y %m\n' \) | LC_ALL=C sort
    find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
  ) | sha256sum
}

same_tree() { [ "$(tree_digest "$1")" = "$(tree_digest "$2")" ]; }
same_text() { [ "$1" = "$2" ] || { echo "expected: $2"; echo "found:    $1"; return 1; }; }

try_installing() {
  check 'the controller is installed and starts' host_exec "$controller" \
    /checkout/bin/lockstep controller install --listen "$(hosts_address 1):7400"
  check 'the admin token is only for the service and root' same_text \
    "$(host_exec "$controller" stat -c '%U %a' "$state/admin-token")" 'lockstep-controller 600'
  check 'its data is its own account’s, and closed to others' same_text \
    "$(host_exec "$controller" stat -c '%U %G %a' "$state")" 'lockstep-controller lockstep-controller 700'
  check 'a join token is made' make_join_token
  # One host told by options, the other by a configuration of its own that reloads nginx.
  check 'the first agent is installed by options' host_exec 2 /checkout/bin/lockstep agent install \
    --controller "$url" --name web-1 --app shop --env production --root "$root" \
    --join-token-file /root/join-token
  write_web_2
  check 'a group that the agent is not in is refused, with what to do' names_the_remedy 3
  host_exec 3 usermod --append --groups www-data lockstep
  check 'the second agent is installed by a configuration and a token from standard input' \
    host_exec 3 sh -c '/checkout/bin/lockstep agent install --config /root/agent.toml \
      --join-token-file - < /root/join-token'
  check 'both agents enrol' eventually both_are_known
  check 'the join token is gone from the first host' eventually join_token_is_gone 2
  check 'the join token is gone from the second host' eventually join_token_is_gone 3
}

names_the_remedy() {
  local said
  said=$(host_exec "$1" /checkout/bin/lockstep agent install --config /root/agent.toml 2>&1) && return 1
  grep -qF 'usermod --append --groups www-data lockstep' <<< "$said" || { echo "$said"; return 1; }
}

make_join_token() {
  local token agent
  token=$(lockstep token create --join --app shop --env production --uses 2) && [ -n "$token" ] ||
    return 1
  for agent in "${agents[@]}"; do
    host_write "$agent" /root/join-token <<< "$token" || return 1
    echo "$token" > "$work/join-token"
  done
}

write_web_2() {
  host_write 3 /root/agent.toml << TOML
controller = "$url"
name = "web-2"
[apps.shop]
environment = "production"
root = "$root"
group = "www-data"
reload = ["nginx.service"]
keep = 1
drain = "0s"
[apps.shop.hooks.after-stage]
run = ["/bin/sh", "-c", "cat /proc/self/cgroup > $root/group; env -i setsid sleep 1234 & sleep 0.3"]
[apps.shop.hooks.before-activate]
run = ["/bin/sh", "-c", "sh /usr/local/bin/probes.sh $root > $root/probes"]
[apps.shop.hooks.after-activate]
unit = "shop-note@.service"
TOML
  host_write 3 /usr/local/bin/probes.sh < "$here/probes.sh"
  host_exec 3 sh -c 'touch /home/probe /tmp/probe
    readlink /proc/1/ns/ipc > /usr/local/share/probe-ipc'
  # Root's own unit says what runs and as whom; the agent may start it for its app, and nothing else.
  host_write 3 /etc/systemd/system/shop-note@.service << UNIT
[Service]
Type=oneshot
User=www-data
RuntimeDirectory=shop-note
RuntimeDirectoryPreserve=yes
ExecStart=/bin/sh -c 'echo "\$(id -un) %I" > /run/shop-note/said'
UNIT
  host_write 3 /etc/nginx/sites-enabled/default << NGINX
server { listen 80; location / { root $root/current; } }
NGINX
  host_exec 3 systemctl start nginx
}

both_are_known() {
  local hosts
  hosts=$(lockstep hosts) && grep -q web-1 <<< "$hosts" && grep -q web-2 <<< "$hosts"
}
join_token_is_gone() { ! host_exec "$1" test -e /var/lib/lockstep/join-token; }

# eventually COMMAND...: until it succeeds, at most half a minute.
eventually() {
  local since=$SECONDS output
  until output=$("$@" 2>&1); do
    ((SECONDS - since < 30)) || { echo "$output"; return 1; }
    sleep 0.2
  done
}

try_units() {
  check 'systemd has nothing to say about the agent’s unit' verified 2 lockstep-agent
  check 'systemd has nothing to say about the controller’s unit' verified 1 lockstep-controller
  check 'the agent’s exposure is at most 1.5' exposure_below 2 lockstep-agent
  check 'the controller’s exposure is at most 1.5' exposure_below 1 lockstep-controller
  host_exec 2 systemd-analyze security --no-pager lockstep-agent | tail -n 1 || true
  host_exec 1 systemd-analyze security --no-pager lockstep-controller | tail -n 1 || true
  check 'the journal has the agent’s lines with their priority' has_priority 2 lockstep-agent
  check 'the agent writes in its app’s root, and nowhere beside it' is_confined 2
  check 'of the control groups it divides its own, and no other' divides_its_own_group 2
  check 'what was installed is root’s, and nobody else may write it' is_owned_by_root 2
  check 'the agent’s user may write none of it' is_closed_to_agent 2
  check 'the state is the agent’s, and closed to others' state_is_closed 2
  check 'doctor finds every installed file in order' says 'belong to whom they should' host_exec 2 \
    sh -c '/opt/lockstep/current/bin/lockstep doctor --config /etc/lockstep/agent.toml || true'
  check 'and names one that is not' names_a_deviation 2
}

# It ends with 0 on unknown keys too, so every line counts.
verified() { same_text "$(host_exec "$1" systemd-analyze verify --man=no "$2.service" 2>&1)" ''; }
exposure_below() {
  host_exec "$1" systemd-analyze security --no-pager --threshold=15 "$2.service" > /dev/null
}
has_priority() {
  host_exec "$1" sh -c 'journalctl --unit "$0" --priority 6..6 --output cat --no-pager | grep "^{"' "$2"
}

# In the service's own view of the file system.
is_confined() {
  local inside
  inside="nsenter --target $(main_pid "$1") --mount"
  host_exec "$1" sh -c "$inside touch $root/probe && rm $root/probe &&
    ! $inside touch /var/www/probe && ! $inside touch /etc/lockstep/probe &&
    ! $inside touch /opt/lockstep/current/probe"
}

divides_its_own_group() {
  local inside
  inside="nsenter --target $(main_pid "$1") --mount"
  host_exec "$1" sh -c "cd / && $inside mkdir $groups/lockstep-agent.service/probe &&
    rmdir $groups/lockstep-agent.service/probe && ! $inside mkdir $groups/probe"
}

is_owned_by_root() {
  same_text "$(host_exec "$1" find /opt/lockstep /etc/lockstep /etc/systemd/system \
    \( ! -user root -o ! -type l -perm /022 \))" ''
}

# As the kernel judges it, with every group that the user is in.
is_closed_to_agent() {
  same_text "$(host_exec "$1" setpriv --reuid lockstep --regid lockstep --init-groups find /opt/lockstep \
    /etc/lockstep /etc/systemd/system /etc/polkit-1 /run/lockstep-inuse ! -type l -writable \
    2> /dev/null)" ''
}

state_is_closed() {
  same_text "$(host_exec "$1" stat -c '%U %a' /var/lib/lockstep /var/lib/lockstep/identity.json |
    tr '\n' ' ')" 'lockstep 700 lockstep 600 '
}

names_a_deviation() {
  local unit=/etc/systemd/system/lockstep-agent.service
  host_exec "$1" chown lockstep "$unit" || return 1
  says "$unit belongs to user" host_exec "$1" sh -c \
    '/opt/lockstep/current/bin/lockstep doctor --config /etc/lockstep/agent.toml || true'
  local result=$?
  host_exec "$1" chown root "$unit"
  return "$result"
}

try_deploying() {
  check 'the first release is published' lockstep publish shop 1.0.0 /root/old.tar.gz --strip 1
  check 'the first release is deployed' lockstep deploy shop 1.0.0 --env production
  runs_everywhere 1.0.0 old
  check 'everything in the release is for the agent and its group alone' belongs_to_group 3
  check 'nginx serves the first release' serves_version old
  check 'nginx was reloaded by the agent, which is not root' host_exec 3 sh -c \
    'journalctl --unit nginx --no-pager | grep Reloaded'
}

# runs_everywhere VERSION RELEASE: what is current, and that it is what was published, file by file.
runs_everywhere() {
  local agent
  for agent in "${agents[@]}"; do
    check "host $agent runs $1" same_text \
      "$(host_exec "$agent" readlink "$root/current")" "versions/$1"
    check "host $agent has $1 as tar would unpack it" same_tree \
      "$(on_disk "$agent" "$root/versions/$1")" "$work/$2"
  done
}

belongs_to_group() {
  same_text "$(host_exec "$1" stat -c '%U %G %a' "$root/versions/1.0.0")" 'lockstep www-data 750' &&
    same_text "$(host_exec "$1" find "$root/versions/1.0.0" ! \( -user lockstep -group www-data \))" ''
}

serves_version() {
  same_text "$(host_exec 3 curl -sf http://127.0.0.1/package.json | sha256sum)" \
    "$(sha256sum < "$work/$1/package.json")"
}

# Every command line on every host, from before anything is installed.
watch_processes() {
  local number
  for number in 1 2 3; do
    host_exec "$number" sh -c 'setsid sh -c "while [ ! -e /root/seen-enough ]; do
      cat /proc/[0-9]*/cmdline | tr \"\\0\" \" \"; echo; sleep 0.05; done" \
      > /root/seen 2> /dev/null < /dev/null &'
  done
}

try_secrets() {
  local number agent secrets=("$(cat "$work/join-token")")
  secrets+=("$(host_exec "$controller" cat "$state/admin-token")")
  for agent in "${agents[@]}"; do
    secrets+=("$(host_exec "$agent" sed -n 's/.*BEGIN PRIVATE KEY-----\\n\([^\\]*\).*/\1/p' \
      /var/lib/lockstep/identity.json)")
  done
  for number in 1 2 3; do
    host_exec "$number" touch /root/seen-enough
    check "the installation of host $number was seen" host_exec "$number" \
      grep -qa 'lockstep.ts [a-z]* install' /root/seen
    check "none of ${#secrets[@]} secrets was on a command line or in a log of host $number" \
      shows_none "$number" "${secrets[@]}"
  done
}

shows_none() {
  local number=$1 secret
  shift
  for secret in "$@"; do
    [ "${#secret}" -ge 16 ] || { echo "a secret of ${#secret} characters is none"; return 1; }
    host_exec "$number" sh -c 'journalctl --no-pager | cat - /root/seen | grep -qaF -- "$0"' \
      "$secret" && return 1
  done
  return 0
}

# Host 3 has a hook that hides a process as well as one can, and one that is a unit.
try_hooks() {
  check 'a hook has a control group of its own, below the agent’s' \
    host_exec 3 grep -q '^0::.*/lockstep-agent.service/run-' "$root/group"
  check 'what hid itself from the mark and the process group is ended all the same' \
    host_exec 3 sh -c '! pgrep -f "^sleep 1234"'
  check 'the group is gone with it' host_exec 3 sh -c \
    "! ls -d $groups/lockstep-agent.service/run-* 2> /dev/null"
  check 'every directive of the sandbox that can be tried is enforced' is_enclosed 3
  check 'a hook that is a unit runs as its own user, for this app and version' same_text \
    "$(host_exec 3 cat /run/shop-note/said)" 'www-data shop/1.0.0'
  check 'the agent’s user may not start it for another app' is_denied 3 start shop-note@blog-1.0.0
  check 'nor restart it for its own' is_denied 3 restart shop-note@shop-1.0.0
}

# The same probes beside the sandbox, as the same user, show that each of them means something.
is_enclosed() {
  local beside
  beside=$(host_exec "$1" sh -c 'install -d -o lockstep /var/tmp/beside && setpriv --reuid lockstep \
    --regid lockstep --clear-groups sh /usr/local/bin/probes.sh /var/tmp/beside') || return 1
  same_text "$beside" "$(host_exec "$1" sed 's/^closed/open/' "$root/probes")" &&
    same_text "$(host_exec "$1" grep -c '^closed' "$root/probes")" 16
}

# is_denied HOST VERB UNIT: asked by the agent's user, polkit says no.
is_denied() {
  local said
  said=$(host_exec "$1" setpriv --reuid lockstep --regid lockstep --clear-groups \
    systemctl --no-ask-password "$2" "$3.service" 2>&1) && return 1
  grep -qi 'denied\|not permitted\|authentication\|masked' <<< "$said" || { echo "$said"; return 1; }
}

# Host 2 gets a controller beside its agent, of nobody's use but to be out of the agent's reach.
try_both_services() {
  local path token=$state/admin-token
  check 'a controller is installed beside an agent' host_exec 2 \
    /opt/lockstep/current/bin/lockstep controller install --listen 127.0.0.1:7400
  check 'a state of somebody else’s is handed over to it' hands_state_over 2
  check 'the agent’s user cannot read its data, in the sandbox' is_out_of_reach 2 "$token" \
    nsenter --target "$(main_pid 2)" --mount
  check 'nor beside it' is_out_of_reach 2 "$token"
  path=/proc/$(main_pid 2 lockstep-controller)/root$token
  check 'nor through /proc, in the sandbox' is_out_of_reach 2 "$path" \
    nsenter --target "$(main_pid 2)" --mount
  check 'nor beside it' is_out_of_reach 2 "$path"
  check 'nor may it signal the controller' is_denied_signal 2
  check 'nor does the controller’s user read what is the agent’s' is_closed_to_controller 2
  check 'doctor has nothing to say about both' says 'belong to whom they should' host_exec 2 sh -c \
    '/opt/lockstep/current/bin/lockstep doctor --config /etc/lockstep/agent.toml || true'
  check 'the controller is uninstalled again' host_exec 2 \
    /opt/lockstep/current/bin/lockstep controller uninstall --purge
  check 'its account went with it, and the agent’s stayed' host_exec 2 sh -c \
    '! getent passwd lockstep-controller && id lockstep && systemctl is-active lockstep-agent'
}

# As after an installation in which both were one user.
hands_state_over() {
  host_exec "$1" sh -c 'systemctl stop lockstep-controller && chown -R lockstep: "$0" &&
    systemctl start lockstep-controller' "$state" &&
    same_text "$(host_exec "$1" find "$state" ! \( -user lockstep-controller \
      -group lockstep-controller \))" ''
}

# is_out_of_reach HOST PATH COMMAND...: the command leads into where it is tried. Root, for whom the path
# leads to something, and another file show that it is the user who is kept out.
is_out_of_reach() {
  local number=$1 path=$2
  shift 2
  set -- "$@" setpriv --reuid lockstep --regid lockstep --init-groups cat
  host_exec "$number" test -s "$path" && host_exec "$number" "$@" /etc/lockstep/agent.toml &&
    ! host_exec "$number" "$@" "$path"
}

is_denied_signal() {
  host_exec "$1" sh -c 'kill -0 "$0"' "$(main_pid "$1" lockstep-controller)" &&
    ! host_exec "$1" setpriv --reuid lockstep --regid lockstep --init-groups \
      sh -c 'kill -0 "$0"' "$(main_pid "$1" lockstep-controller)"
}

is_closed_to_controller() {
  local path
  for path in /var/lib/lockstep/identity.json /etc/lockstep/agent.toml \
    "/proc/$(main_pid "$1")/root/var/lib/lockstep/identity.json"; do
    host_exec "$1" cat "$path" > /dev/null || return 1
    ! host_exec "$1" setpriv --reuid lockstep-controller --regid lockstep-controller --init-groups \
      cat "$path" || return 1
  done
}

# Host 3 keeps one release and lets none drain. A process of another user, which the agent cannot see,
# stands in the release that would go.
try_clean_up() {
  check 'systemd has nothing to say about root’s look at who uses what' verified 3 lockstep-inuse@shop
  check 'a process of another user stands in the first release' host_exec 3 systemd-run --quiet \
    --unit=lingerer --uid=www-data --working-directory="$root/versions/1.0.0" sleep 600
  check 'the agent cannot see it' agent_sees_nothing 3
  check 'other releases are deployed' deploy_in_turn
  check 'root looked, and the agent left what is in use' eventually is_kept 3 1.0.0
  check 'the list is root’s, and names the process' usage_names 3 1.0.0
  host_exec 3 systemctl stop lingerer
  check 'once nobody uses it, the next clean-up removes it' removes_in_turn
  check 'where root cannot be asked, nothing is removed, and it is said' asks_in_vain
  check 'both hosts run the first release again' lockstep deploy shop 1.0.0 --env production
  runs_everywhere 1.0.0 old
}

deploy_in_turn() {
  lockstep publish shop 1.0.1 /root/new.tar.gz --strip 1 &&
    lockstep publish shop 1.0.2 /root/old.tar.gz --strip 1 &&
    lockstep deploy shop 1.0.1 --env production &&
    lockstep deploy shop 1.0.2 --env production
}

agent_sees_nothing() {
  ! host_exec "$1" nsenter --target "$(main_pid "$1")" --mount setpriv --reuid lockstep \
    --regid lockstep --clear-groups ls -d "/proc/$(host_exec "$1" systemctl show -P MainPID lingerer)"
}

# The one before it is gone, so clean-up ran; this one stays.
is_kept() {
  host_exec "$1" sh -c '! test -e "$0/versions/1.0.1" && test -e "$0/versions/$1"' "$root" "$2"
}

usage_names() {
  local list=/run/lockstep-inuse/shop.json
  same_text "$(host_exec "$1" stat -c '%U %a' "$list")" 'root 644' &&
    host_exec "$1" grep -q "versions/$2\",\"pid\":[0-9]*,\"how\":\"cwd\"" "$list"
}

removes_in_turn() {
  lockstep deploy shop 1.0.1 --env production && eventually is_gone 3 1.0.0
}
is_gone() { ! host_exec "$1" test -e "$root/versions/$2"; }

asks_in_vain() {
  host_exec 3 systemctl mask --runtime --quiet lockstep-inuse@shop.service || return 1
  lockstep deploy shop 1.0.2 --env production || return 1
  eventually says_unknown 3 || return 1
  host_exec 3 test -e "$root/versions/1.0.1" || return 1
  host_exec 3 systemctl unmask --runtime --quiet lockstep-inuse@shop.service
}
says_unknown() {
  host_exec "$1" sh -c 'journalctl --unit lockstep-agent --no-pager | grep -q usage-unknown'
}

# Host 3 becomes one whose polkit is too old to tell one unit from another.
try_without_polkit() {
  local before
  host_exec 3 sh -c 'systemctl mask --now --quiet polkit && rm /run/shop-note/said &&
    printf "#!/bin/sh\necho pkaction version 0.105\n" > /usr/local/bin/pkaction &&
    chmod 755 /usr/local/bin/pkaction'
  check 'where polkit is too old, the agent is given a socket for each unit' says 'over 5 sockets' \
    host_exec 3 /checkout/bin/lockstep agent install
  check 'and doctor says so' says 'asks over 5 sockets' host_exec 3 sh -c \
    '/checkout/bin/lockstep doctor --config /etc/lockstep/agent.toml || true'
  check 'systemd has nothing to say about their units' requests_verified 3
  before=$(host_exec 3 sh -c 'journalctl --unit nginx --no-pager | grep -c Reloaded')
  check 'a release is deployed with a reload and a hook that is a unit' deploy_without_polkit
  check 'nginx was reloaded over its socket' host_exec 3 sh -c \
    "[ \$(journalctl --unit nginx --no-pager | grep -c Reloaded) -gt $before ]"
  check 'the hook ran as its own user' same_text \
    "$(host_exec 3 cat /run/shop-note/said)" 'www-data shop/1.0.3'
  check 'root looked at who uses what' host_exec 3 sh -c \
    'journalctl --unit "lockstep-ask-start-*" --no-pager | grep -q lockstep-inuse@shop'
  check 'the agent may not reload anything itself' is_denied 3 reload nginx
  check 'nobody else may open the sockets' sockets_are_closed 3
  host_exec 3 sh -c 'rm /usr/local/bin/pkaction; systemctl unmask --quiet polkit; systemctl start polkit'
  check 'once polkit is new enough, its rule stands again and the sockets go' says \
    'removed the sockets' host_exec 3 /checkout/bin/lockstep agent install
  check 'none of them is left' same_text \
    "$(host_exec 3 sh -c 'ls /etc/systemd/system | grep lockstep-ask; ls /run/lockstep-units')" ''
  check 'both hosts run the first release again' lockstep deploy shop 1.0.0 --env production
}

# says WORDS COMMAND...: the command succeeds and says them.
says() {
  local words=$1 said
  shift
  said=$("$@" 2>&1) && grep -qF "$words" <<< "$said" || { echo "$said"; return 1; }
}

deploy_without_polkit() {
  lockstep publish shop 1.0.3 /root/new.tar.gz --strip 1 &&
    lockstep deploy shop 1.0.3 --env production
}

requests_verified() {
  same_text "$(host_exec "$1" sh -c 'for unit in /etc/systemd/system/lockstep-ask-*; do
    systemd-analyze verify --man=no "$unit"; done' 2>&1)" ''
}

sockets_are_closed() {
  same_text "$(host_exec "$1" find /run/lockstep-units -type s ! \( -user lockstep -perm 600 \))" '' &&
    [ "$(host_exec "$1" sh -c 'ls /run/lockstep-units | wc -l')" = 5 ]
}

try_reboot() {
  check 'a host reboots' host_reboot 2
  check 'its agent is up again by itself' eventually host_exec 2 systemctl is-active lockstep-agent
  check 'the release is still there' same_tree "$(on_disk 2 "$root/current/")" "$work/old"
  check 'the second release is published' lockstep publish shop 1.1.0 /root/new.tar.gz --strip 1
  check 'the second release is deployed' lockstep deploy shop 1.1.0 --env production
  runs_everywhere 1.1.0 new
  check 'nginx serves the second release' serves_version new
  check 'the fleet goes back together' lockstep rollback shop --env production
  runs_everywhere 1.0.0 old
}

# The unit's minute, shortened: what is tried is that a process that stands still is replaced.
try_watchdog() {
  check 'an agent with a short watchdog runs on' shorten_watchdog 2
  check 'an agent that stands still is killed and started again' wedge 2
  check 'it takes part again' lockstep deploy shop 1.1.0 --env production
  runs_everywhere 1.1.0 new
}

shorten_watchdog() {
  local before
  host_exec "$1" sh -c 'mkdir -p /run/systemd/system/lockstep-agent.service.d &&
    printf "[Service]\nWatchdogSec=4\n" > /run/systemd/system/lockstep-agent.service.d/99-test.conf &&
    systemctl daemon-reload && systemctl restart lockstep-agent' || return 1
  before=$(main_pid "$1")
  sleep 9 # twice the watchdog's time: a process that is not fed would be gone
  same_text "$(main_pid "$1")" "$before"
}

main_pid() { host_exec "$1" systemctl show --property MainPID --value "${2:-lockstep-agent}"; }

wedge() {
  local before
  before=$(main_pid "$1")
  host_exec "$1" kill -STOP "$before"
  eventually replaced "$1" "$before" &&
    host_exec "$1" sh -c 'journalctl --unit lockstep-agent --no-pager | grep "Watchdog timeout"'
}

replaced() {
  local now
  now=$(main_pid "$1")
  [ "$now" != 0 ] && [ "$now" != "$2" ] && host_exec "$1" systemctl is-active --quiet lockstep-agent
}

try_installing_again() {
  local before output
  before=$(installation_of 2)
  # From the installed program itself, as an operator without a checkout would.
  output=$(host_exec 2 /opt/lockstep/current/bin/lockstep agent install --name other 2>&1)
  check 'installing again keeps the configuration and the program' same_text \
    "$(installation_of 2)" "$before"
  check 'and says which option it did not take' grep 'kept, without --name other' <<< "$output"
  check 'a newer program is installed beside the old one' install_newer 2
  check 'and the configuration is kept again' same_text \
    "$(host_exec 2 sha256sum /etc/lockstep/agent.toml)" "$(head -n 1 <<< "$before")"
  check 'and the agent of the newer program takes part' lockstep deploy shop 1.0.0 --env production
  runs_everywhere 1.0.0 old
}

installation_of() {
  host_exec "$1" sh -c 'sha256sum /etc/lockstep/agent.toml; readlink /opt/lockstep/current'
}

install_newer() {
  host_exec "$1" sh -c 'cp -a /opt/lockstep/current/. /root/newer &&
    sed -i "s/\"version\": \"[^\"]*\"/\"version\": \"99.0.0\"/" /root/newer/package.json &&
    /root/newer/bin/lockstep agent install' &&
    same_text "$(host_exec "$1" readlink /opt/lockstep/current)" versions/99.0.0 &&
    same_text "$(host_exec "$1" sh -c 'ls /opt/lockstep/versions | wc -l')" 2 &&
    host_exec "$1" sh -c 'tr "\0" " " < /proc/$(systemctl show -P MainPID lockstep-agent)/cmdline |
      grep versions/99.0.0'
}

try_uninstalling() {
  local agent before=()
  for agent in "${agents[@]}"; do before+=("$(releases_of "$agent")"); done
  check 'the first agent is uninstalled' host_exec 2 /opt/lockstep/current/bin/lockstep agent uninstall
  check 'the second agent is uninstalled' host_exec 3 /checkout/bin/lockstep agent uninstall
  check 'the controller is uninstalled' host_exec "$controller" \
    /opt/lockstep/current/bin/lockstep controller uninstall --purge
  for agent in "${agents[@]}"; do
    check "the releases of host $agent are untouched" same_text \
      "$(releases_of "$agent")" "${before[$((agent - 2))]}"
    check "nothing else is left on host $agent but its configuration" same_text \
      "$(left_on "$agent")" '/etc/lockstep/agent.toml /etc/lockstep/installed.json '
  done
  check 'nothing is left on the controller’s host' same_text "$(left_on "$controller")" ''
  check 'the account is gone where it owns nothing, and there was no other' accounts_are_gone \
    "$controller"
}

releases_of() {
  host_exec "$1" readlink "$root/current"
  tree_digest "$(on_disk "$1" "$root/versions")"
}

left_on() {
  host_exec "$1" sh -c 'find /etc /opt /run /usr /var -xdev -ipath "*lockstep*" ! -type d \
    ! -path "/run/systemd/system/*/99-test.conf" ! -path "$0/*" | sort | tr "\n" " "' "$root"
}
accounts_are_gone() { ! host_exec "$1" sh -c 'getent passwd | grep ^lockstep'; }

show_journals() {
  local number
  for number in 1 2 3; do
    echo "journal of host $number:"
    host_exec "$number" journalctl --unit 'lockstep-*' --lines 60 --output short-precise \
      --no-pager || true
  done
}
