/* SPDX-License-Identifier: Apache-2.0 */

/* Any text is a program that comes to an end. */

#include <stdlib.h>
#include <string.h>

#include "engine/fake/guest.h"
#include "engine/fake/script.h"

/* Literals as the argv or env of a spec, which has them not const. */
#define STRINGS(...) ((char **)(const char *const[]){__VA_ARGS__, NULL})

static char work_dir[] = "/work";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct guest g = {0};
    struct script s;
    struct script_event ev = {0};
    char **argv = STRINGS("sh", "p", "arg");
    char **env = STRINGS("A=b", "=", "C");
    struct exec_spec spec = {.argv = argv, .env = env, .cwd = work_dir};
    if (files_write(&g.files, "/work/p", data, size) < 0 || script_start(&s, &spec, &g) < 0)
        abort();
    /* A line yields one event at most. */
    for (size_t i = 0; i <= size + 1; i++) {
        script_next(&s, &ev);
        if (ev.op == SCRIPT_EXIT || ev.op == SCRIPT_SIGNAL || ev.op == SCRIPT_DIE)
            break;
    }
    if (ev.op != SCRIPT_EXIT && ev.op != SCRIPT_SIGNAL && ev.op != SCRIPT_DIE)
        abort();
    if (ev.number < 0 || ev.number > 255)
        abort();
    script_done(&s);
    guest_done(&g);
    return 0;
}
