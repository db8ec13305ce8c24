# SPDX-License-Identifier: Apache-2.0
# Starting, finding and ending one holmd, and looking for what it may have left behind.
#
# A daemon is known by its pid together with its start time: a pid alone may belong to another
# process by now.
# shellcheck shell=bash disable=SC2034  # used by those who source this

# The uids that monitors run under (engine.uid_first, engine.uid_count of the configuration).
DAEMON_UID_FIRST=1990000000
DAEMON_UID_COUNT=4096
DAEMON_NET_PREFIX=holm

# process_start PID: its start time in clock ticks since boot; nothing when there is none.
process_start() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    stat=${stat##*) }
    # shellcheck disable=SC2086  # words are wanted
    set -- $stat
    printf '%s' "${20}"
}

# process_is PID START: is that very process alive?
process_is() {
    [[ -n $1 && -n $2 && $(process_start "$1") == "$2" ]]
}

# daemon_start LOG COMMAND...: in a session of its own; sets DAEMON_PID and DAEMON_START.
daemon_start() {
    local log=$1
    shift
    setsid "$@" </dev/null >>"$log" 2>&1 &
    DAEMON_PID=$!
    disown "$DAEMON_PID"
    DAEMON_START=$(process_start "$DAEMON_PID")
}

# daemon_end PID START SECONDS: SIGTERM to exactly that process, and wait until it has ended.
daemon_end() {
    local pid=$1 start=$2 seconds=$3
    process_is "$pid" "$start" || return 0
    kill -TERM "$pid"
    timeout "$seconds" tail --pid="$pid" -s 0.1 -f /dev/null || true
    ! process_is "$pid" "$start"
}

# left_processes: pids that run under a monitor's uid.
left_processes() {
    awk -v first="$DAEMON_UID_FIRST" -v count="$DAEMON_UID_COUNT" '
        FNR == 1 { split(FILENAME, part, "/") }
        /^Uid:/ && $2 >= first && $2 < first + count { print part[3] }
    ' /proc/[0-9]*/status 2>/dev/null || true
}

left_mounts() {
    awk -v d="$1/" 'index($5 "/", d) == 1 { print $5 }' /proc/self/mountinfo
}

left_sockets() {
    awk -v d="$1/" 'index($8, d) == 1 { print $8 }' /proc/net/unix
    find "$1/vms" "$1/run" -type s 2>/dev/null || true
}

# left_directories DATA: of VMs that the database does not know. A stopped VM keeps its disk in its own.
left_directories() {
    find "$1/vms" -mindepth 1 -maxdepth 1 2>/dev/null | python3 -c '
import os, sqlite3, sys
found = sys.stdin.read().splitlines()
known = set()
if found and os.path.exists(sys.argv[1]):
    known = {row[0] for row in sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True).execute("SELECT id FROM instances")}
print("".join(path + "\n" for path in found if os.path.basename(path) not in known), end="")' "$1/holm.db"
}

# left_networks: namespaces, devices and tables of VMs' networks (network.prefix of the configuration).
left_networks() {
    find /run/netns -maxdepth 1 -name "$DAEMON_NET_PREFIX-[0-9]*" 2>/dev/null || true
    find /sys/class/net -maxdepth 1 -regex ".*/${DAEMON_NET_PREFIX}[0-9]+" 2>/dev/null || true
    nft list tables 2>/dev/null | grep -x "table inet $DAEMON_NET_PREFIX" || true
}

# left_cgroups ID...: of these VMs. (Other daemons of this machine have theirs.)
left_cgroups() {
    local id
    for id in "$@"; do
        find /sys/fs/cgroup -depth -type d -name "holm-$id" 2>/dev/null || true
    done
}

# left_behind DATA ID...: everything that a stopped daemon must not leave, one line each; the IDs
# are those of its VMs.
left_behind() {
    left_processes | sed 's/^/process of a monitor: /'
    left_mounts "$1" | sed 's/^/mount: /'
    left_sockets "$1" | sort -u | sed 's/^/socket: /'
    left_directories "$1" | sed 's/^/directory of a VM: /'
    left_networks | sed 's/^/network of a VM: /'
    left_cgroups "${@:2}" | sed 's/^/cgroup of a VM: /'
}
