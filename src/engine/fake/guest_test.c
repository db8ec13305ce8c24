/* SPDX-License-Identifier: Apache-2.0 */

/* A guest's memory, saved and loaded. */

#include "base/test.h"

#include <errno.h>

#include "base/clock.h"
#include "engine/fake/guest.h"
#include "engine/fake/pack.h"
#include "engine/fake/program.h"
#include "engine/fake/warm.h"

/* Literals as the argv of a spec, which has them not const. */
#define STRINGS(...) ((char **)(const char *const[]){__VA_ARGS__, NULL})

static struct program *start(struct guest *g, const char *text, char *job)
{
    auto_buf struct buf json = {0};
    struct err e = ERR_INIT;
    struct exec_spec given = {.argv = STRINGS("sh", "-c", text), .has_stdin = true, .job = job},
                     spec = {0};
    struct program *p = NULL;
    assert_int_equal(0, exec_spec_encode(&given, &json, &e));
    assert_int_equal(0, exec_spec_decode(json.data, json.len, &spec, &e));
    assert_int_equal(0, program_start(g, &spec, &p, &e));
    if (job)
        assert_int_equal(0, jobs_add(g, p));
    else
        p->owner = PROGRAM_ORPHAN;
    return p;
}

/* As the state has it: a count, then each. */
static void wait_for(struct guest *g, const char *id, const char *program)
{
    auto_buf struct buf state = {0};
    auto_buf struct buf json = {0};
    assert_int_equal(
        0, exec_spec_encode(&(struct exec_spec){.argv = STRINGS(program, "main")}, &json, NULL));
    pack_u32(&state, 1);
    pack_str(&state, id);
    pack_i64(&state, 7);
    pack_bytes(&state, json.data, json.len);
    assert_int_equal(0, warms_load(g, &(struct unpack){(uint8_t *)state.data, state.len, false}));
}

static void assert_waits(struct guest *g, const char *id, const char *program)
{
    struct err e = ERR_INIT;
    struct exec_spec spec = {.argv = calloc(1, sizeof(char *)), .warm = strdup(id)};
    assert_int_equal(0, warm_take(g, &spec, &e));
    assert_string_equal(program, spec.argv[0]);
    assert_string_equal("main", spec.argv[1]);
    assert_null(spec.warm);
    exec_spec_done(&spec);
    spec = (struct exec_spec){.argv = calloc(1, sizeof(char *)), .warm = strdup(id)};
    assert_int_equal(-EBUSY, warm_take(g, &spec, &e));
    exec_spec_done(&spec);
}

static void test_a_guest_is_saved_and_loaded(void **state)
{
    struct guest g = {0}, h = {0};
    struct err e = ERR_INIT;
    auto_buf struct buf saved = {0};
    char job[] = "j1";
    guest_boot(&g);
    guest_identify(&g, "abc", "name");
    assert_int_equal(0, vars_set(&g.vars, "colour", "blue"));
    assert_int_equal(0, vars_set(&g.vars, "empty", ""));
    start(&g, "print waits\nsleep 100000", NULL);
    start(&g, "print one\neprint two\nprint three\nhang", job);
    start(&g, "ticker 1000 beat", NULL);
    wait_for(&g, "run", "python3");
    wait_for(&g, "twin", "node");
    guest_wake(&g);
    assert_int_equal(0, guest_save(&g, &saved));
    assert_int_equal(0, guest_load(&h, saved.data, saved.len, &e));
    assert_string_equal(g.boot_id, h.boot_id);
    assert_string_equal("abc", h.id);
    assert_string_equal("name", h.hostname);
    assert_string_equal("blue", vars_get(&h.vars, "colour"));
    assert_string_equal("", vars_get(&h.vars, "empty"));
    assert_string_equal("one\ntwo\nthree\n", buf_str(&jobs_find(&h.jobs, "j1")->output));
    assert_int_equal(3, jobs_find(&h.jobs, "j1")->n_marks);
    assert_non_null(jobs_find(&h.jobs, "j1")->program);
    assert_true(guest_due_us(&h) > clock_mono_us());
    assert_waits(&h, "twin", "node");
    assert_waits(&h, "run", "python3");
    guest_done(&h);
    for (size_t len = 0; len < saved.len; len++) {
        assert_int_equal(-EINVAL, guest_load(&h, saved.data, len, &e));
        assert_int_equal(ERR_INVALID, e.class);
        assert_true(h.vars.n == 0 && h.jobs.n == 0 && !h.programs && !h.warms);
    }
    guest_done(&g);
}

static void test_orphans_are_let_go_or_killed(void **state)
{
    struct guest g = {0};
    int64_t n;
    guest_boot(&g);
    start(&g, "cat\ncount n\nhang", NULL);
    start(&g, "count n\nflood 10000000\ncount n", NULL);
    guest_wake(&g);
    /* The flood has filled its pipe. */
    assert_string_equal("1", vars_get(&g.vars, "n"));
    programs_settle(&g, true);
    guest_wake(&g);
    assert_int_equal(0, vars_add(&g.vars, "n", 0, &n));
    assert_int_equal(3, n);
    assert_non_null(g.programs);
    assert_null(g.programs->next);
    programs_settle(&g, false); /* it is nobody's who waits any more */
    assert_non_null(g.programs);
    start(&g, "hang", NULL);
    programs_settle(&g, false);
    assert_null(g.programs->next);
    guest_boot(&g);
    assert_null(g.programs);
    guest_done(&g);
}

static void test_orphans_do_not_wait_for_ever(void **state)
{
    struct guest g = {0};
    char job[] = "j";
    guest_boot(&g);
    start(&g, "hang", NULL);
    start(&g, "hang", job);
    guest_session_ended(&g);
    guest_skip(&g, -(AGENT_ORPHAN_TIMEOUT_MS - 1000) * INT64_C(1000));
    guest_wake(&g);
    assert_non_null(g.programs->next);
    guest_session_begins(&g); /* in time */
    guest_skip(&g, -AGENT_ORPHAN_TIMEOUT_MS * INT64_C(1000));
    guest_wake(&g);
    assert_non_null(g.programs->next);
    guest_session_ended(&g);
    guest_skip(&g, -AGENT_ORPHAN_TIMEOUT_MS * INT64_C(1000));
    guest_wake(&g);
    assert_int_equal(PROGRAM_JOB, g.programs->owner);
    assert_null(g.programs->next);
    guest_done(&g);
}

static void test_only_what_computes_takes_time(void **state)
{
    struct guest g = {0};
    guest_boot(&g);
    start(&g, "busy 5", NULL);
    start(&g, "sleep 5", NULL);
    guest_wake(&g);
    int64_t end_us = clock_mono_us() + 10000000;
    assert_int_equal(5000, guest_cpu_us(&g, end_us));
    guest_done(&g);
}

static void test_the_last_of_a_long_output_is_kept(void **state)
{
    struct guest g = {0};
    char job[] = "long";
    guest_boot(&g);
    start(&g, "eprint first\nflood 200000000\neprint last", job);
    while (jobs_find(&g.jobs, job)->program)
        guest_wake(&g);
    const struct job *j = jobs_find(&g.jobs, job);
    assert_true(j->output.len >= AGENT_JOB_SEGMENT_BYTES);
    assert_true(j->output.len < 2 * AGENT_JOB_SEGMENT_BYTES + 1024 * 1024);
    assert_int_equal(200000011, j->first_offset + (int64_t)j->output.len);
    assert_int_equal(2, j->n_marks);
    assert_int_equal(FRAME_STDOUT, j->marks[0].type);
    assert_memory_equal(j->output.data + j->output.len - 5, "last\n", 5);
    guest_done(&g);
}

static void test_there_is_room_for_so_many_jobs(void **state)
{
    struct guest g = {0};
    struct err e = ERR_INIT;
    char name[8];
    guest_boot(&g);
    for (int i = 0; i < AGENT_JOBS_MAX; i++) {
        snprintf(name, sizeof(name), "j%d", i);
        start(&g, i == 5 ? "exit 3" : "hang", name);
    }
    assert_int_equal(-EBUSY, jobs_check(&g.jobs, "j3", &e));
    assert_int_equal(ERR_CONFLICT, e.class);
    assert_int_equal(-EBUSY, jobs_check(&g.jobs, "more", &e));
    guest_wake(&g); /* one ends */
    assert_int_equal(0, jobs_check(&g.jobs, "more", &e));
    strcpy(name, "more");
    start(&g, "hang", name);
    assert_null(jobs_find(&g.jobs, "j5"));
    assert_non_null(jobs_find(&g.jobs, "j4"));
    assert_int_equal(AGENT_JOBS_MAX, g.jobs.n);
    guest_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_guest_is_saved_and_loaded),
        cmocka_unit_test(test_orphans_are_let_go_or_killed),
        cmocka_unit_test(test_orphans_do_not_wait_for_ever),
        cmocka_unit_test(test_only_what_computes_takes_time),
        cmocka_unit_test(test_the_last_of_a_long_output_is_kept),
        cmocka_unit_test(test_there_is_room_for_so_many_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
