# SPDX-License-Identifier: Apache-2.0
# Running the tasks of a build side by side, and showing how far they are.
#
# A task is a background subshell with a process group of its own, so that all its children can be
# ended together. It reports "NAME <tab> step|exit <tab> TEXT" lines into one FIFO; the main shell
# alone keeps the state below and writes to the terminal. It waits for events, not by polling;
# the read's timeout only redraws the clock and notices a task that died without a word.
# shellcheck shell=bash

declare -a TASKS=()
declare -A TASK_STATE=() # waiting, running, done, failed or skipped
declare -A TASK_NEEDS=() # name of a task that must be done before
declare -A TASK_PID=() TASK_STEP=() TASK_STEP_AT_S=() TASK_AT_S=()

LOG_TAIL_LINES=20
REDRAW_S=0.5
LIVE_LINES=0

# tasks_init: make the event FIFO inside WORK.
tasks_init() {
    mkfifo "$WORK/events"
    exec {EVENTS}<>"$WORK/events"
    LIVE=0
    if [[ -t 1 && ${TERM:-dumb} != dumb ]]; then LIVE=1; fi
}

# tasks_add NAME [NEEDS]
tasks_add() {
    TASKS+=("$1")
    TASK_STATE[$1]=waiting
    TASK_NEEDS[$1]=${2-}
}

# tasks_add_first NAME: as tasks_add, for what others wait for.
tasks_add_first() {
    tasks_add "$1"
    TASKS=("$1" "${TASKS[@]:0:${#TASKS[@]}-1}")
}

# progress WORD...: a line for the program that follows the build, if there is one.
progress() {
    [[ -n $PROGRESS ]] || return 0
    local IFS=$'\t'
    printf '%s\n' "$*" >&"$PROGRESS"
}

# progress_count: how many of the tasks are done.
progress_count() {
    local name ended=0
    for name in "${TASKS[@]}"; do
        [[ ${TASK_STATE[$name]} == "done" ]] && ended=$((ended + 1))
    done
    progress progress tasks "$ended" "${#TASKS[@]}"
}

# step TEXT: called inside a task.
step() {
    printf '== %s\n' "$1"
    printf '%s\tstep\t%s\n' "$TASK" "$1" >&"$EVENTS"
}

# say TEXT...: a line that stays, above the live ones.
say() {
    live_clear
    printf '%s\n' "$*"
}

live_clear() {
    ((LIVE_LINES > 0)) || return 0
    printf '\e[%dA\e[J' "$LIVE_LINES"
    LIVE_LINES=0
}

live_draw() {
    local name
    ((LIVE)) || return 0
    live_clear
    for name in "${TASKS[@]}"; do
        [[ ${TASK_STATE[$name]} == running ]] || continue
        printf '  %-14s %-40.40s %4d s\n' "$name" "${TASK_STEP[$name]}" \
            $((SECONDS - TASK_AT_S[$name]))
        LIVE_LINES=$((LIVE_LINES + 1))
    done
}

# step_finished NAME: the plain line at the end of a step, with its own time.
step_finished() {
    local name=$1
    if ! ((LIVE)) && [[ -n ${TASK_STEP[$name]-} ]]; then
        say "[$SECONDS s] $name: ${TASK_STEP[$name]} -" \
            "done in $((SECONDS - TASK_STEP_AT_S[$name])) s"
    fi
}

# task_start NAME: `set -m` gives the subshell a process group; without it a background job of a
# script would also ignore SIGINT.
task_start() {
    local name=$1
    TASK_STATE[$name]=running TASK_STEP[$name]='' TASK_AT_S[$name]=$SECONDS
    mkdir -p "$WORK/$name"
    set -m
    if [[ -n $PROGRESS ]]; then
        # Who follows it wants to see it, too. The pipe is in the same process group.
        (task_body "$name" "$WORK/$name" 2>&1 | tee "$LOGS/$name.log") </dev/null &
    else
        (task_body "$name" "$WORK/$name") </dev/null >"$LOGS/$name.log" 2>&1 &
    fi
    set +m
    TASK_PID[$name]=$!
}

# task_body NAME WORK: runs in the subshell.
task_body() {
    TASK=$1
    trap - INT TERM HUP
    trap 'printf "%s\texit\t%s\n" "$TASK" "$?" >&"$EVENTS"' EXIT
    case $1 in
    kernel) build_kernel "$2" ;;
    base)
        recipe_load base
        build_base "$2"
        ;;
    *)
        recipe_load "$1"
        if ((VERSIONS)); then
            versions_of_published "$1" "$2"
        else
            build_image "$1" "$2"
            versions_record "$1" "$2/tree" "$2" || echo "warning: $1: no versions were noted"
        fi
        ;;
    esac
}

# task_exited NAME STATUS
task_exited() {
    local name=$1 status=$2
    [[ ${TASK_STATE[$name]} == running ]] || return 0
    wait "${TASK_PID[$name]}" 2>/dev/null || true
    remove_tree "$WORK/$name"
    if ((status == 0)); then
        step_finished "$name"
        TASK_STATE[$name]="done"
        progress "done" "$name"
        progress_count
        say "$name: ready in $((SECONDS - TASK_AT_S[$name])) s"
    else
        TASK_STATE[$name]=failed
        task_report_failure "$name" "$status"
    fi
}

# task_report_failure NAME STATUS: what broke, what it said, and what to do about it.
task_report_failure() {
    local name=$1 status=$2 step=${TASK_STEP[$1]:-start} log=$LOGS/$1.log hint options=''
    [[ $RECIPES == "$IMAGES" ]] || options=" --recipes $RECIPES"
    case $step in
    *install* | *download* | *unpack* | find*)
        hint="check the network and 'apt-get update'" ;;
    customize) hint="see what $(recipe_dir "$name")/customize needs (network?)" ;;
    *) hint="check the free space (df -h $DATA)" ;;
    esac
    # Every run makes these two when needed; they are not named.
    [[ $name != kernel && $name != base ]] || name=''
    progress failed "$1" "$step" "$(grep -v '^[[:space:]]*$' "$log" | tail -n 1 | tr -d '\t' | cut -c -400)"
    live_clear
    {
        printf '%s: FAILED in step "%s" (exit status %s). The last lines of its log:\n' \
            "$1" "$step" "$status"
        tail -n "$LOG_TAIL_LINES" "$log" | sed 's/^/    | /'
        printf '    full log: %s\n    next: %s, then run: %s --data %s%s\n' \
            "$log" "$hint" "$0" "$DATA" "$options${name:+ $name}"
    } >&2
}

# tasks_start_ready: fill the free slots with tasks whose need is met.
tasks_start_ready() {
    local name need running=0
    for name in "${TASKS[@]}"; do
        [[ ${TASK_STATE[$name]} == running ]] && running=$((running + 1))
    done
    for name in "${TASKS[@]}"; do
        [[ ${TASK_STATE[$name]} == waiting ]] || continue
        need=${TASK_NEEDS[$name]}
        if [[ -n $need && ${TASK_STATE[$need]} == failed ]]; then
            TASK_STATE[$name]=skipped
            say "$name: not built, because $need failed"
        elif ((running < JOBS)) && [[ -z $need || ${TASK_STATE[$need]} == "done" ]]; then
            task_start "$name"
            running=$((running + 1))
        fi
    done
    RUNNING=$running
}

# event_handle NAME KIND TEXT
event_handle() {
    local name=$1 kind=$2 text=$3
    if [[ $kind == exit ]]; then
        task_exited "$name" "$text"
        return
    fi
    step_finished "$name"
    TASK_STEP[$name]=$text TASK_STEP_AT_S[$name]=$SECONDS
    progress step "$name" "$text"
    ((LIVE)) || say "[$SECONDS s] $name: $text"
}

# tasks_reap_lost: a task that was killed outright cannot report; its process is gone, though. One that
# has reported a moment ago is gone too: only when nothing is left to be read was there no report.
tasks_reap_lost() {
    local name
    for name in "${TASKS[@]}"; do
        if [[ ${TASK_STATE[$name]} == running ]] &&
            ! kill -0 "${TASK_PID[$name]}" 2>/dev/null && ! read -r -t 0 -u "$EVENTS"; then
            task_exited "$name" 137
        fi
    done
}

# tasks_run: until nothing is left to run. Must not be called in a condition: bash would ignore
# `set -e` in there, in the tasks as well, and a failed build would be published.
tasks_run() {
    local name kind text line part='' RUNNING
    tasks_start_ready
    while ((RUNNING > 0)); do
        live_draw
        if IFS= read -r -t "$REDRAW_S" -u "$EVENTS" line; then
            IFS=$'\t' read -r name kind text <<<"$part$line"
            part=''
            event_handle "$name" "$kind" "$text"
        else
            # What had come of a line when the time was over is not read again.
            part+=$line
            tasks_reap_lost
        fi
        tasks_start_ready
    done
    live_clear
}

# tasks_all_done: nothing failed and nothing was skipped.
tasks_all_done() {
    [[ ! "${TASK_STATE[*]}" =~ failed|skipped ]]
}

# tasks_kill: end every running task and all its children.
tasks_kill() {
    local name
    for name in "${TASKS[@]}"; do
        [[ ${TASK_STATE[$name]} == running ]] || continue
        kill -TERM -- "-${TASK_PID[$name]}" 2>/dev/null || true
        wait "${TASK_PID[$name]}" 2>/dev/null || true
    done
}
