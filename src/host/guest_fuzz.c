/* SPDX-License-Identifier: Apache-2.0 */

/* Answers of a hostile guest to the typed calls: the first byte says to which, the rest is the
 * body. */
#include <assert.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "host/guest.h"
#include "host/test_agent.h"

#define LONG_MS 60000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct link *guest;
static struct test_agent_answer answers[3];

static int64_t soon(void)
{
    return clock_mono_ms() + LONG_MS;
}

static void start(void)
{
    static const struct test_agent_options options = {.answers = answers};
    static struct test_agent agent;
    static struct link_loop *loop;
    signal(SIGPIPE, SIG_IGN);
    if (link_loop_new(&loop, NULL) < 0 ||
        link_open(loop, test_agent_start(&agent, &options), LONG_MS, &guest, NULL) < 0)
        abort();
}

static void call_stat(void)
{
    struct guest_stat st;
    guest_get_stat(guest, "/", soon(), &st, NULL);
}

static void call_list(void)
{
    json_t *list = NULL;
    guest_list_dir(guest, "/", soon(), &list, NULL);
    json_decref(list);
}

static void call_job(void)
{
    struct guest_jobs jobs = {0};
    guest_job_list(guest, "a", soon(), &jobs, NULL);
    guest_jobs_done(&jobs);
}

static void call_jobs(void)
{
    struct guest_jobs jobs = {0};
    guest_job_list(guest, NULL, soon(), &jobs, NULL);
    guest_jobs_done(&jobs);
}

static int64_t job_end;

static int take_job(void *arg, int stream, int64_t offset, const void *data, size_t len)
{
    assert((stream == 1 || stream == 2) && len && offset >= job_end);
    job_end = offset + (int64_t)len;
    return 0;
}

static void call_job_output(void)
{
    struct guest_job_output o = {.output = take_job, .deadline_ms = soon()};
    job_end = 0;
    int r = guest_job_output(guest, "a", &o, NULL);
    assert(r <= 0);
}

static int take(void *arg, int stream, const void *data, size_t len)
{
    assert((stream == 1 || stream == 2) && len);
    return 0;
}

static char *argv[] = {(char *)(uintptr_t) "x", NULL};

static void call_exec(void)
{
    struct exec_spec spec = {.argv = argv};
    struct guest_exec x = {.spec = &spec, .output = take, .deadline_ms = soon()};
    struct exec_exit exit = {.code = -1};
    if (guest_exec(guest, &x, &exit, NULL) == 0)
        assert(exit.code >= 0 && exit.code <= 255);
}

static void call_program(void)
{
    struct exec_spec spec = {.argv = argv};
    struct guest_program *p = NULL;
    struct link_wait w = {.deadline_ms = soon()};
    char buf[7];
    int stream = 0;
    if (guest_program_open(guest, &spec, &w, &p, NULL) < 0)
        return;
    for (ssize_t n; (n = guest_program_read(p, buf, sizeof(buf), &stream, &w, NULL)) > 0;)
        assert(n <= (ssize_t)sizeof(buf) && (stream == 1 || stream == 2));
    guest_program_free(p);
}

static void call_grow(void)
{
    guest_grow(guest, 1, soon(), NULL);
}

static void call_ready(void)
{
    struct agent_report report;
    guest_wait_ready(guest, soon(), &report, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const calls[])(void) = {call_stat,       call_list, call_job,
                                          call_jobs,       call_exec, call_program,
                                          call_job_output, call_grow, call_ready};
    if (size < 2)
        return 0;
    if (!guest)
        start();
    const char *text = (const char *)data + 1;
    answers[0] = (struct test_agent_answer){"GET", "/", 200, text, size - 1};
    answers[1] = (struct test_agent_answer){"POST", "/", 200, text, size - 1};
    calls[data[0] % ARRAY_SIZE(calls)]();
    return 0;
}
