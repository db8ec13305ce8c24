/* SPDX-License-Identifier: Apache-2.0 */

/* One program, several inputs, one VM.
 *
 * What is compiled is compiled once, as a step of its own. Before the second and each later entry
 * the VM is tidied: what the one before left in the working directory and where everybody may write
 * is removed, and its files are there again, from a copy of what the compiler left or put anew.
 * What it left running was killed when it ended. */

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "host/guest.h"
#include "host/program_priv.h"
#include "host/vm.h"

#define COPY_DIR "/root/.holm-batch" /* root's alone */
#define TIDY_TIMEOUT_MS 60000

static const char copy_script[] = "cp -a " WORK_DIR " " COPY_DIR;

/* Whatever cannot be removed was not the program's. */
static const char tidy_script[] =
    "find " WORK_DIR " /tmp /var/tmp /dev/shm -mindepth 1 -user user -delete 2>/dev/null; "
    "[ ! -d " COPY_DIR " ] || cp -a " COPY_DIR "/. " WORK_DIR;

/* A script of ours in the guest, as root. */
static int tidy(struct vm *vm, const char *script, struct program_wait *w, struct err *e)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    const char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    struct exec_spec spec = {
        .argv = (char **)argv,
        .env = (char **)env,
        .cwd = (char *)(uintptr_t) "/",
        .timeout_ms = TIDY_TIMEOUT_MS,
    };
    struct guest_exec x = {
        .spec = &spec,
        .deadline_ms = clock_mono_ms() + TIDY_TIMEOUT_MS,
        .cancelled = w->cancelled,
        .arg = w->arg,
    };
    struct exec_exit exit = {0};
    int r = guest_exec(vm->link, &x, &exit, e);
    if (r < 0 && e->class == ERR_TIMEOUT)
        return err_set(e, ERR_UNAVAILABLE, "the VM did not answer");
    if (r == 0 && (exit.code != 0 || exit.timed_out))
        return err_set(e, ERR_UNAVAILABLE, "the VM could not be tidied for the next input");
    return r;
}

/* Compiles; *ret_failed: it did not, and `built` says why. */
static int compile(struct vm *vm, const struct run_request *rq, const struct program_batch *b,
                   struct program_wait *w, struct run_result *built, struct err *e)
{
    struct run_request quiet = *rq;
    quiet.stdin_len = 0;
    quiet.output = NULL;
    struct collector c = {
        .dir = WORK_DIR,
        .rq = &quiet,
        .step = PROGRAM_COMPILE,
        .kill_rest = true,
        .wait = w,
        .result = built,
    };
    int r = program_collect(vm, vm->lang, &c, e);
    built->compile_failed = built->exit_code != 0 || built->timed_out;
    if (r == 0 && !built->compile_failed && b->n > 1)
        r = tidy(vm, copy_script, w, e);
    return r;
}

/* What the compiler said comes first in an entry's output, as it does when both are one command. */
static int give_messages(const struct run_request *rq, const struct run_result *built,
                         struct run_result *ret, struct err *e)
{
    if (!built->err.len)
        return 0;
    if (rq->output && rq->output(rq->arg, 2, built->err.data, built->err.len) < 0) {
        err_set(e, ERR_UNAVAILABLE, "ended by the receiver of its output");
        return -ECANCELED;
    }
    ret->err_truncated = built->err_truncated;
    if (!rq->output && buf_append(&ret->err, built->err.data, built->err.len) < 0)
        return err_errno(e, -ENOMEM, "run");
    return 0;
}

/* The result of an entry whose program could not be compiled. */
static void blame_compiler(const struct run_result *built, struct run_result *ret)
{
    ret->exit_code = built->exit_code;
    ret->signal = built->signal;
    ret->timed_out = built->timed_out;
    ret->exec_us = built->exec_us;
    ret->cpu_us = built->cpu_us;
    ret->memory_peak_bytes = built->memory_peak_bytes;
    ret->out_of_memory = built->out_of_memory;
    ret->compile_failed = true;
}

/* What all entries have in common. */
struct entries {
    struct vm *vm;
    const struct run_request *rq;
    const struct program_batch *b;
    const struct run_result *built;
    struct program_wait *w;
};

static int start_entry(const struct entries *en, size_t i, struct err *e)
{
    const struct language *lang = en->vm->lang;
    struct run_request one = *en->rq;
    one.stdin_data = en->b->inputs[i].data;
    one.stdin_len = en->b->inputs[i].len;
    struct collector c = {
        .dir = WORK_DIR,
        .rq = &one,
        .step = lang->compile ? PROGRAM_START : PROGRAM_WHOLE,
        .kill_rest = true,
        .wait = en->w,
        .result = &en->b->results[i],
        .err_bytes = en->built->err.len,
    };
    int r = i ? tidy(en->vm, tidy_script, en->w, e) : 0;
    return r == 0 ? program_collect(en->vm, lang, &c, e) : r;
}

static int run_entry(const struct entries *en, size_t i, struct err *e)
{
    const struct run_request *rq = en->rq;
    struct run_result *ret = &en->b->results[i];
    int r = give_messages(rq, en->built, ret, e);
    if (r == 0 && en->built->compile_failed)
        blame_compiler(en->built, ret);
    else if (r == 0)
        r = start_entry(en, i, e);
    if (r == 0)
        program_mark_timeout(rq, en->w, ret);
    if (r == 0 && rq->ended && rq->ended(rq->arg, ret) < 0) {
        err_set(e, ERR_UNAVAILABLE, "ended by the receiver of its output");
        r = -ECANCELED;
    }
    return r;
}

static int run_entries(const struct entries *en, struct err *e)
{
    struct run_result *results = en->b->results;
    int r = 0;
    for (size_t i = 0; r == 0 && i < en->b->n; i++) {
        results[i].load_us = results[0].load_us;
        results[i].from_pool = results[0].from_pool;
        r = run_entry(en, i, e);
    }
    return r;
}

int program_run_batch(struct vm *vm, const struct run_request *rq, const struct program_batch *b,
                      struct program_wait *w, struct err *e)
{
    const int64_t share = RUN_BATCH_OUTPUT_MAX_BYTES / 2 / (int64_t)b->n;
    if (!rq->output && w->limits.output_bytes > share)
        w->limits.output_bytes = share;
    CLEANUP(run_result_done) struct run_result built = {0};
    const struct entries en = {.vm = vm, .rq = rq, .b = b, .built = &built, .w = w};
    int r = vm->lang->compile ? compile(vm, rq, b, w, &built, e) : 0;
    return r == 0 ? run_entries(&en, e) : r;
}

int program_check_batch(const struct run_request *rq, const struct run_input *inputs, size_t n,
                        struct err *e)
{
    size_t total = 0;
    int r = 0;
    for (size_t i = 0; i < n; i++)
        total += inputs[i].len;
    if (n > RUN_BATCH_MAX)
        r = err_field(e, "stdin", "stdin has more than %d elements", RUN_BATCH_MAX);
    else if (total > RUN_STDIN_MAX_BYTES)
        r = err_field(e, "stdin", "the elements of stdin have more than %llu bytes together",
                      RUN_STDIN_MAX_BYTES);
    if (r < 0 && e)
        e->class = ERR_TOO_LARGE;
    if (r == 0 && rq->timeout_ms / 1000 * (int64_t)n > RUN_BATCH_MAX_S)
        return err_field(e, "timeout", "the timeouts of all elements of stdin exceed %d s together",
                         RUN_BATCH_MAX_S);
    return r;
}
