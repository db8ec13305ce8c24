/* SPDX-License-Identifier: Apache-2.0 */

/* Any text is a program that comes to an end, or begins anew in time; and an archive that is
 * unpacked, or is none. */

#include <stdlib.h>
#include <string.h>

#include "engine/fake/guest.h"
#include "engine/fake/script.h"

/* Literals as the argv or env of a spec, which has them not const. */
#define STRINGS(...) ((char **)(const char *const[]){__VA_ARGS__, NULL})

static char work_dir[] = "/work";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_last(enum script_op op)
{
    return op == SCRIPT_EXIT || op == SCRIPT_SIGNAL || op == SCRIPT_DIE;
}

static void start(struct script *s, const struct exec_spec *spec, struct guest *g)
{
    struct err e = ERR_INIT;
    if (script_start(s, spec, g, &e) < 0)
        abort();
}

static void run_text(const uint8_t *data, size_t size)
{
    struct guest g = {0};
    struct script s;
    struct script_event ev = {0};
    char **argv = STRINGS("sh", "p", "arg");
    char **env = STRINGS("A=b", "=", "C");
    struct exec_spec spec = {.argv = argv, .env = env, .cwd = work_dir};
    if (files_write(&g.files, "/work/p", data, size) < 0)
        abort();
    start(&s, &spec, &g);
    /* A line yields one event at most; only "again" goes back, after a sleep. */
    bool slept = false;
    for (size_t i = 0; i <= size + 1 && !is_last(ev.op); i++) {
        script_next(&s, &ev);
        slept |= ev.op == SCRIPT_SLEEP;
    }
    if (!is_last(ev.op) && !slept)
        abort();
    if (is_last(ev.op) && (ev.number < 0 || ev.number > 255))
        abort();
    script_done(&s);
    guest_done(&g);
}

static void run_tar(const uint8_t *data, size_t size)
{
    struct guest g = {0};
    struct script s;
    struct script_event ev = {0};
    struct exec_spec spec = {.argv = STRINGS("tar", "-x", "-C", "/"), .cwd = work_dir};
    size_t at = 0;
    start(&s, &spec, &g);
    for (script_next(&s, &ev); ev.op == SCRIPT_READ; script_next(&s, &ev)) {
        size_t n = script_read(&s, (const char *)data + at, size - at, true);
        if (n > size - at)
            abort();
        at += n;
    }
    script_done(&s);
    guest_done(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    run_text(data, size);
    run_tar(data, size);
    return 0;
}
