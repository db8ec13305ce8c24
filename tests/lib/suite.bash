# SPDX-License-Identifier: Apache-2.0
# A directory for one run of a suite of VM tests, with an installed Holm and a data directory in it,
# all of which is gone at the end, also when the run is interrupted. ROOT is the source tree.
# shellcheck shell=bash

HOLM_DATA=${HOLM_DATA:-/var/lib/holm}
SUITE=''
SUITE_CHILD=''
# Monitors of tests run under these uids (tests/e2e/lib/holm.mjs, tests/bench/lib). Two runs at the
# same time need two ranges.
SUITE_UID_FIRST=${HOLM_TEST_UID_FIRST:-1980000000}
SUITE_UID_COUNT=4096

# suite_new NAME: sets SUITE. The path is short, because sockets live below it.
suite_new() {
    ((EUID == 0)) || { echo "Bail out! must run as root" && exit 1; }
    SUITE=$(mktemp -d "${TMPDIR:-/var/tmp}/holm-$1-XXXXXX")
    chmod 0755 "$SUITE"
    mkdir -p "$SUITE/tmp"
    trap suite_end EXIT
    trap 'suite_interrupt INT 130' INT
    trap 'suite_interrupt TERM 143' TERM
}

# suite_run COMMAND...: in the background, so that a signal to us reaches it and is waited for.
suite_run() {
    local status=0
    "$@" &
    SUITE_CHILD=$!
    wait "$SUITE_CHILD" || status=$?
    SUITE_CHILD=''
    return "$status"
}

suite_interrupt() {
    trap '' INT TERM
    if [[ -n $SUITE_CHILD ]]; then
        kill -TERM "$SUITE_CHILD" 2>/dev/null || true
        wait "$SUITE_CHILD" 2>/dev/null || true
    fi
    exit "$2"
}

# suite_monitors: pids of monitors of this run: a test's uid, and open files below SUITE.
suite_monitors() {
    local status uid dir
    for status in /proc/[0-9]*/status; do
        uid=$(awk '/^Uid:/ { print $2 }' "$status" 2>/dev/null) || continue
        dir=${status%/status}
        if [[ -n $uid ]] && ((uid >= SUITE_UID_FIRST && uid < SUITE_UID_FIRST + SUITE_UID_COUNT)) &&
            [[ -n $(find "$dir/fd" -lname "$SUITE/*" -print -quit 2>/dev/null) ]]; then
            printf '%s\n' "${dir#/proc/}"
        fi
    done
}

# suite_end: what a failed test left is ended here; the tests themselves check that nothing is.
suite_end() {
    local pid mount dir
    for pid in $(suite_monitors); do kill -KILL "$pid" 2>/dev/null || true; done
    for dir in "$SUITE"/data/vms/*/; do
        find /sys/fs/cgroup -depth -type d -name "holm-$(basename "$dir")" -exec rmdir {} \; 2>/dev/null || true
    done
    while read -r mount; do
        umount -l "$mount" 2>/dev/null || true
    done < <(awk -v d="$SUITE/" 'index($5 "/", d) == 1 { print $5 }' /proc/self/mountinfo | sort -r)
    rm -rf --one-file-system "${SUITE:?}"
}

# suite_install: what `meson install` installs, below SUITE/root.
suite_install() {
    meson install -C "$ROOT/build" --no-rebuild --quiet --destdir "$SUITE/root" >"$SUITE/install.log" 2>&1 ||
        { sed 's/^/# /' "$SUITE/install.log" && echo 'Bail out! meson install failed' && exit 1; }
}

# suite_kernel DIR: HOLM_DATA's kernel with an initramfs of this build's agent.
suite_kernel() {
    local dir=$1 name
    mkdir -p "$dir"
    for name in vmlinuz version config modules; do ln -s "$HOLM_DATA/kernel/$name" "$dir/$name"; done
    "$ROOT/images/initramfs" --agent "$ROOT/build/src/agent/holm-agent" --kernel "$dir" --out "$dir/initrd.img"
}

# suite_data: a data directory whose images are HOLM_DATA's.
suite_data() {
    local image
    [[ -e $HOLM_DATA/kernel/vmlinuz && -e $HOLM_DATA/images/python/rootfs.ext4 ]] ||
        { echo "Bail out! no images in $HOLM_DATA: run images/build" && exit 1; }
    mkdir -p "$SUITE/data/images"
    for image in "$HOLM_DATA"/images/*/; do
        ln -s "${image%/}" "$SUITE/data/images/$(basename "$image")"
    done
    suite_kernel "$SUITE/data/kernel"
}
