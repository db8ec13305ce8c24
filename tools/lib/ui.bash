# SPDX-License-Identifier: Apache-2.0
# What ./demo, ./test and .ci/run show while they work.
#
# On a terminal: a heading "[n/m] what", under it one live line with the time and the last line that
# the tool printed. Otherwise: plain lines, one when a step starts and one when it is done.
# shellcheck shell=bash disable=SC2034  # used by those who source this

UI_LIVE=0
UI_STEP=0
UI_STEPS=0
UI_TAIL_LINES=25
if [[ -t 1 && ${TERM:-dumb} != dumb ]]; then UI_LIVE=1; fi

# ui_now_ms: milliseconds of a clock for differences.
ui_now_ms() {
    local t=${EPOCHREALTIME/[.,]/}
    printf '%s' "$((t / 1000))"
}

# ui_seconds MS: "3.4 s".
ui_seconds() {
    printf '%d.%d s' $(($1 / 1000)) $(($1 % 1000 / 100))
}

# ui_step TITLE: the next of UI_STEPS.
ui_step() {
    UI_STEP=$((UI_STEP + 1))
    UI_STEP_AT_MS=$(ui_now_ms)
    local heading="[$UI_STEP/$UI_STEPS] $1"
    if ((UI_LIVE)); then heading=$'\e[1m'$heading$'\e[0m'; fi
    printf '%s\n' "$heading"
}

# ui_done [TEXT]: ends a step.
ui_done() {
    ui_live ''
    printf '      %s (%s)\n' "${1:-done}" "$(ui_seconds $(($(ui_now_ms) - UI_STEP_AT_MS)))"
}

# ui_say TEXT...: a line below the step's heading.
ui_say() {
    ui_live ''
    printf '      %s\n' "$*"
}

# ui_live TEXT: replaces the live line; '' removes it. Nothing off a terminal.
ui_live() {
    local width=${COLUMNS:-80} text=${1//[[:cntrl:]]/ }
    ((UI_LIVE)) || return 0
    if [[ -z $text ]]; then
        printf '\r\e[K'
    else
        printf '\r\e[K      %s' "${text:0:width-8}"
    fi
}

# ui_run LOG COMMAND...: runs it with its output in LOG; the live line is the last line of it. The
# exit status is the command's. It is waited for by reading; the timeout only redraws.
ui_run() {
    local log=$1 status='' last events at_ms
    shift
    at_ms=$(ui_now_ms)
    : >"$log"
    if ! ((UI_LIVE)); then
        "$@" >"$log" 2>&1 </dev/null
        return
    fi
    exec {events}< <(status=0; "$@" >"$log" 2>&1 </dev/null || status=$?; echo "$status")
    until IFS= read -r -t 0.5 -u "$events" status; do
        last=$(tail -c 400 "$log" | tr '\r' '\n' | grep -v '^[[:space:]]*$' | tail -n 1 || true)
        ui_live "$(ui_seconds $(($(ui_now_ms) - at_ms)))  ${last:-...}"
    done
    exec {events}<&-
    ui_live ''
    return "$status"
}

# ui_fail LOG WHAT NEXT: what broke, the end of its log, what to do; does not return.
ui_fail() {
    local log=$1 what=$2 next=$3
    ui_live ''
    {
        printf '\nFAILED: %s\n' "$what"
        if [[ -n $log && -s $log ]]; then
            printf 'The last lines of %s:\n' "$log"
            tail -n "$UI_TAIL_LINES" "$log" | sed 's/^/    | /'
        fi
        printf 'What to do: %s\n' "$next"
    } >&2
    exit 1
}
