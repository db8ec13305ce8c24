# SPDX-License-Identifier: Apache-2.0
# VMs that live, of all accounts, over the API of a daemon that runs here. HOLM is the program, and
# the daemon's own key is found in HOLM_DATA.
#
# The admin sees only VMs of its own, so each account gets a key for as long as we need one.
# shellcheck shell=bash disable=SC2034  # used by those who source this

# States (of /metrics) in which there is, or soon will be, a monitor.
VMS_ALIVE=(building starting running pausing paused suspending resuming stopping deleting)

# vms_count URL STATE...: how many are in these. Prints nothing when the daemon does not answer.
vms_count() {
    local url=$1
    shift
    curl -fsS --max-time 10 "$url/metrics" 2>/dev/null | awk -v wanted=" $* " '
        /^holm_living_vms\{/ {
            split($1, part, "\"")
            seen = 1
            if (index(wanted, " " part[2] " ")) n += $2
        }
        END { if (seen) print n + 0 }' || true
}

# vms_ids URL [STATUS...]: ids of the VMs of HOLM_API_KEY's account, all or those with a STATUS.
vms_ids() {
    local url=$1
    shift
    "$HOLM" --url "$url" vm list --json | python3 -c '
import json, sys
for vm in json.load(sys.stdin):
    if len(sys.argv) == 1 or vm["status"] in sys.argv[1:]:
        print(vm["id"])' "$@"
}

# vms_each_account URL COMMAND...: with HOLM_API_KEY set to a key of one account after the other.
vms_each_account() {
    local url=$1 account accounts made status=0
    shift
    accounts=$("$HOLM" --url "$url" account list --json | python3 -c '
import json, sys
for account in json.load(sys.stdin):
    print(account["id"])') || return
    for account in $accounts; do
        made=$("$HOLM" --url "$url" key create --account "$account" --json 'demo, ending VMs' |
            python3 -c 'import json, sys; key = json.load(sys.stdin); print(key["id"], key["key"])') || return
        HOLM_API_KEY=${made#* } "$@" || status=$?
        "$HOLM" --url "$url" key revoke --force "${made%% *}" || status=$?
        ((status == 0)) || return "$status"
    done
}

# vms_suspend_account URL, vms_delete_account URL: what can be of one account.
vms_suspend_account() {
    local ids
    ids=$(vms_ids "$1" running paused) || return
    # shellcheck disable=SC2086  # words are wanted
    [[ -z $ids ]] || "$HOLM" --url "$1" vm suspend $ids
}

vms_delete_account() {
    local ids
    ids=$(vms_ids "$1") || return
    # shellcheck disable=SC2086  # words are wanted
    [[ -z $ids ]] || "$HOLM" --url "$1" vm delete --force $ids
}

# vms_rest URL ACTION SECONDS: suspends (or deletes) all VMs, and waits for those that were on their
# way somewhere. Fails when one cannot be, or some are still alive after so long.
vms_rest() {
    local url=$1 action=$2 end=$((SECONDS + $3)) alive
    while alive=$(vms_count "$url" "${VMS_ALIVE[@]}") && [[ $alive != 0 ]]; do
        if [[ -z $alive ]] || ((SECONDS >= end)); then
            echo "holm: ${alive:-an unknown number of} VMs are still alive" >&2
            return 1
        fi
        vms_each_account "$url" "vms_${action}_account" "$url" || return
        sleep 0.1
    done
}
