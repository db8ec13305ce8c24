/* SPDX-License-Identifier: Apache-2.0 */
#include "api/stub_host.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"

struct host {
    int unused;
};

static struct host the_host;
sem_t stub_started, stub_cancelled;
static sem_t released;
static atomic_bool stopping;

struct host *stub_host_new(void)
{
    sem_init(&stub_started, 0, 0);
    sem_init(&stub_cancelled, 0, 0);
    sem_init(&released, 0, 0);
    atomic_store(&stopping, false);
    return &the_host;
}

void stub_release(void)
{
    sem_post(&released);
}

void stub_stop(void)
{
    atomic_store(&stopping, true);
}

bool host_is_stopping(const struct host *h)
{
    return atomic_load(&stopping);
}

#define UNUSABLE(word)                                                                             \
    {                                                                                              \
        .name = word, .aliases = "", .title = word, .extension = "." word, .image = word "-image", \
        .file = "main", .run = word, .version = word, .hello = "", .memory_mib = 64                \
    }

static const struct language languages[] = {
    {
        .name = "python",
        .aliases = "py python3",
        .title = "Python 3",
        .extension = ".py",
        .image = "python",
        .file = "main.py",
        .run = "python3 {file}",
        .version = "python3 --version",
        .hello = "print('Hello, World!')",
        .memory_mib = 256,
    },
    {
        .name = "c",
        .aliases = "",
        .title = "C (GCC)",
        .extension = ".c",
        .image = "c",
        .file = "main.c",
        .compile = "gcc -o main main.c",
        .run = "./main",
        .version = "gcc --version",
        .hello = "int main(void) { return 0; }",
        .memory_mib = 256,
    },
    UNUSABLE("slow"),
    UNUSABLE("gone"),
    UNUSABLE("broken"),
};

const struct language *host_language(size_t index)
{
    return index < sizeof(languages) / sizeof(languages[0]) ? &languages[index] : NULL;
}

const struct language *host_language_find(const char *name)
{
    const struct language *l;
    for (size_t i = 0; (l = host_language(i)); i++) {
        if (strcmp(l->name, name) == 0 ||
            (l == languages && (strcmp(name, "py") == 0 || strcmp(name, "python3") == 0)))
            return l;
    }
    return NULL;
}

void host_language_status(struct host *h, const struct language *lang, struct language_status *ret)
{
    *ret = (struct language_status){.state = LANGUAGE_READY, .pooled = 2};
    if (strcmp(lang->name, "slow") == 0)
        ret->state = LANGUAGE_PREPARING;
    if (strcmp(lang->name, "gone") == 0) {
        ret->state = LANGUAGE_MISSING;
        snprintf(ret->detail, sizeof(ret->detail), "its image is not here");
    }
    if (strcmp(lang->name, "broken") == 0) {
        ret->state = LANGUAGE_FAILED;
        snprintf(ret->detail, sizeof(ret->detail), "it never said hello");
    }
}

void host_language_version(struct host *h, const struct language *lang,
                           char ret[LANGUAGE_VERSION_SIZE])
{
    snprintf(ret, LANGUAGE_VERSION_SIZE, "%s", lang == languages ? "3.11.2" : "");
}

void host_metrics(struct host *h, struct buf *ret)
{
    buf_append_str(ret, "stub_vms 0\n");
}

void run_result_done(struct run_result *r)
{
    buf_done(&r->out);
    buf_done(&r->err);
}

static int print(const struct run_request *rq, struct run_result *ret, int stream, const char *data,
                 size_t len)
{
    if (rq->output)
        return rq->output(rq->arg, stream, data, len);
    return buf_append(stream == 1 ? &ret->out : &ret->err, data, len);
}

static void print_pairs(struct buf *b, const char *what, const struct run_pair *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "%s %s=", what, p[i].name);
        buf_append(b, p[i].data, p[i].len);
        buf_append_str(b, "\n");
    }
}

static int run_echo(const struct run_request *rq, struct run_result *ret)
{
    auto_buf struct buf b = {0};
    buf_printf(&b, "language %s\ntimeout %d\ncode_len %zu\n", rq->language, rq->timeout_ms,
               rq->code_len);
    for (size_t i = 0; i < rq->n_args; i++)
        buf_printf(&b, "arg %s\n", rq->args[i]);
    print_pairs(&b, "env", rq->env, rq->n_env);
    print_pairs(&b, "file", rq->files, rq->n_files);
    print_pairs(&b, "stdin", &(struct run_pair){"data", rq->stdin_data, rq->stdin_len},
                rq->stdin_data != NULL);
    if (rq->cold)
        buf_append_str(&b, "cold\n");
    const struct run_limits *l = rq->limits;
    if (l && (l->memory_bytes || l->processes || l->file_bytes || l->output_bytes))
        buf_printf(&b, "limits %lld %lld %lld %lld\n", (long long)l->memory_bytes,
                   (long long)l->processes, (long long)l->file_bytes, (long long)l->output_bytes);
    return print(rq, ret, 1, b.data, b.len);
}

/* Every mark at once. */
static int run_marked(struct run_result *ret)
{
    ret->out_of_memory = true;
    ret->signal = SIGKILL;
    ret->exit_code = 128 + SIGKILL;
    ret->cpu_us = 1500000;
    ret->memory_peak_bytes = 64 * MIB;
    return 0;
}

/* A host asks `cancelled` once a while; so does this one. */
static int run_until(const struct run_request *rq, bool endless, struct err *e)
{
    struct run_result none = {0};
    const struct timespec once_a_while = {.tv_nsec = 1000000};
    sem_post(&stub_started);
    while (sem_trywait(&released) < 0) {
        bool failed = endless && print(rq, &none, 1, "more\n", 5) < 0;
        if (failed || (rq->cancelled && rq->cancelled(rq->arg))) {
            sem_post(&stub_cancelled);
            run_result_done(&none);
            return err_set(e, ERR_UNAVAILABLE, "cancelled");
        }
        if (!endless)
            nanosleep(&once_a_while, NULL);
        buf_clear(&none.out);
    }
    run_result_done(&none);
    return 0;
}

static int run_events(const struct run_request *rq, struct run_result *ret)
{
    int r = print(rq, ret, 1, "o1", 2);
    r = r < 0 ? r : print(rq, ret, 2, "e1", 2);
    return r < 0 ? r : print(rq, ret, 1, "o2", 2);
}

static int run_failing(const char *code, struct err *e)
{
    if (strcmp(code, "full") == 0) {
        err_set(e, ERR_FULL, "no room for another machine");
        e->retry_after_s = 7;
        return -EAGAIN;
    }
    if (strcmp(code, "unavailable") == 0)
        return err_set(e, ERR_UNAVAILABLE, "the machine died");
    if (strcmp(code, "internal") == 0)
        return err_errno(e, -EIO, "write the overlay");
    if (strcmp(code, "silent") == 0)
        return -ENOSPC;
    return err_field(e, "files", "file name \"../x\" leaves the directory");
}

static int run_odd(const struct run_request *rq, struct run_result *ret)
{
    if (strcmp(rq->code, "bytes") == 0)
        return print(rq, ret, 1, "a\xff\xc3\xa9\xe2\x82z\0b", 9);
    if (strcmp(rq->code, "timeout") == 0) {
        ret->timed_out = true;
        ret->signal = SIGKILL;
        ret->exit_code = 124;
        if (!rq->output)
            buf_append_str(&ret->err, "\nExecution timed out");
        return print(rq, ret, 1, "so far", 6);
    }
    if (strcmp(rq->code, "signal") == 0) {
        ret->signal = SIGSEGV;
        ret->exit_code = 128 + SIGSEGV;
        return 0;
    }
    ret->out_truncated = ret->err_truncated = true;
    char *room = buf_reserve(&ret->out, RUN_OUTPUT_MAX_BYTES);
    memset(room, 'x', RUN_OUTPUT_MAX_BYTES);
    ret->out.len += RUN_OUTPUT_MAX_BYTES;
    return 0;
}

static bool is_one_of(const char *code, const char *const *list)
{
    while (*list && strcmp(*list, code) != 0)
        list++;
    return *list;
}

int host_run(struct host *h, const struct run_request *rq, struct run_result *ret, struct err *e)
{
    static const char *const failing[] = {"full",   "unavailable",  "internal",
                                          "silent", "invalid-file", NULL};
    static const char *const odd[] = {"bytes", "timeout", "signal", "flood", NULL};
    struct language_status status;
    ret->load_us = 124600;
    ret->exec_us = 45400;
    host_language_status(h, host_language_find(rq->language), &status);
    if (status.state == LANGUAGE_FAILED)
        return err_set(e, ERR_UNAVAILABLE, "%s", status.detail);
    if (status.state == LANGUAGE_PREPARING) {
        int r = run_failing("full", e);
        snprintf(e->text, sizeof(e->text), "%s is still being prepared", rq->language);
        e->retry_after_s = 5;
        return r;
    }
    if (is_one_of(rq->code, failing))
        return run_failing(rq->code, e);
    if (is_one_of(rq->code, odd))
        return run_odd(rq, ret);
    if (strcmp(rq->code, "echo") == 0 || strncmp(rq->code, "echo\0", 5) == 0)
        return run_echo(rq, ret);
    if (strcmp(rq->code, "starved") == 0)
        return run_marked(ret);
    if (strcmp(rq->code, "hello") == 0)
        return print(rq, ret, 1, "Hello, World!\n", 14);
    if (strcmp(rq->code, "events") == 0)
        return run_events(rq, ret);
    if (strcmp(rq->code, "half") == 0) {
        print(rq, ret, 1, "half", 4);
        return err_set(e, ERR_UNAVAILABLE, "the machine died");
    }
    if (strcmp(rq->code, "block") == 0 || strcmp(rq->code, "wait") == 0)
        return run_until(rq, false, e);
    if (strcmp(rq->code, "endless") == 0)
        return run_until(rq, true, e);
    ret->exit_code = 1;
    return print(rq, ret, 2, "what?\n", 6);
}

/* Each entry is the run itself with its input; "broken" does not compile, "third" fails at the
 * third one. */
int host_run_batch(struct host *h, const struct run_request *rq, const struct run_input *inputs,
                   size_t n, struct run_result *results, struct err *e)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct run_request one = *rq;
        one.stdin_data = inputs[i].data;
        one.stdin_len = inputs[i].len;
        r = host_run(h, &one, &results[i], e);
        if (r == 0 && strcmp(rq->code, "broken") == 0) {
            results[i].compile_failed = true;
            results[i].exit_code = 1;
        }
        if (r == 0 && strcmp(rq->code, "third") == 0 && i == 2)
            r = err_set(e, ERR_UNAVAILABLE, "the machine died");
        if (r == 0 && rq->ended && rq->ended(rq->arg, &results[i]) < 0)
            r = -ECANCELED;
    }
    for (size_t i = 0; r < 0 && i < n; i++)
        run_result_done(&results[i]);
    return r;
}
