/* SPDX-License-Identifier: Apache-2.0 */

/* Runtimes that wait: started in a template, exercised in its clones.
 *
 * What the hand-over and the program after it execute is code that was never executed before, in
 * this process or, under emulation, by this monitor. So it is rehearsed: either by a twin, a second
 * waiting process that becomes the hello program (its pages of shared libraries are the same, and
 * the kernel's path through the hand-over is), or by the process itself where its hook can do that
 * and leave no trace. In the template several times, since caches of the runtime's own fill only
 * then; in each clone once. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "host/guest.h"
#include "host/program_priv.h"
#include "host/vm.h"

#define REHEARSALS 3

/* A compiler on a JVM is itself compiled by and by, which each further rehearsal in the template
 * saves a run. javac's hello under TCG: after 3 rehearsals 507 ms, 12: 350, 15: 382 and 405, 30:
 * 443, since what was compiled has to be translated again in each clone. */
#define COMPILER_REHEARSALS 12
#define COMPILER_REHEARSALS_MS 30000 /* no further one after that */

struct waiting {
    struct vm *vm;
    const struct language *lang;
    struct link_wait wait;
};

static struct waiting waiting_of(struct vm *vm, const struct language *lang,
                                 const struct program_wait *w)
{
    return (struct waiting){
        .vm = vm,
        .lang = lang,
        .wait = {.deadline_ms = clock_mono_ms() + HELLO_TIMEOUT_MS,
                 .cancelled = w->cancelled,
                 .arg = w->arg},
    };
}

static int start(struct waiting *k, const char *id, const char *command, const char *dir,
                 struct err *e)
{
    const struct language_warm *warm = k->lang->warm;
    const struct run_request none = {0};
    CLEANUP(strings_done) struct strings argv = {0};
    CLEANUP(strings_done) struct strings env = {0};
    strings_add_words(&argv, command, k->lang->file);
    program_env(&env, k->lang, &none, warm->env);
    if (argv.failed || env.failed)
        return err_errno(e, -ENOMEM, "start a runtime");
    const struct exec_spec spec = {
        .argv = argv.list,
        .env = env.list,
        .cwd = (char *)dir,
        .uid = USER_ID,
        .gid = USER_ID,
        .timeout_ms = HELLO_TIMEOUT_MS,
        .warm = (char *)id,
    };
    return guest_warm_start(k->vm->link, &spec, &k->wait, e);
}

static int rehearse(struct waiting *k, struct err *e)
{
    static char *no_args[] = {NULL};
    const struct run_request none = {0};
    CLEANUP(strings_done) struct strings env = {0};
    program_env(&env, k->lang, &none, "");
    if (env.failed)
        return err_errno(e, -ENOMEM, "rehearse");
    const struct exec_spec spec = {
        .argv = no_args,
        .env = env.list,
        .cwd = (char *)HELLO_DIR,
        .uid = USER_ID,
        .gid = USER_ID,
        .timeout_ms = HELLO_TIMEOUT_MS,
        .warm = (char *)WARM_RUN,
    };
    return guest_warm_rehearse(k->vm->link, &spec, &k->wait, e);
}

/* Some runtimes open the program's file first of all. */
static int put_empty(struct waiting *k, struct err *e)
{
    char path[128];
    snprintf(path, sizeof(path), WORK_DIR "/%s", k->lang->file);
    const struct guest_file file = {.path = path, .mode = 0644, .uid = USER_ID, .gid = USER_ID};
    return guest_put_file(k->vm->link, &file, k->wait.deadline_ms, e);
}

/* A twin has become the hello program a few times, and one more waits to do so in each clone. */
static int prepare_twin(struct waiting *k, const char *command, struct program_wait *w,
                        struct err *e)
{
    for (int i = 0; i < REHEARSALS; i++) {
        int r = start(k, WARM_TWIN, command, HELLO_DIR, e);
        r = r < 0 ? r : program_hello_by(k->vm, k->lang, WARM_TWIN, w, e);
        if (r < 0)
            return r;
    }
    return start(k, WARM_TWIN, command, HELLO_DIR, e);
}

static int prepare_self(struct waiting *k, struct err *e)
{
    int64_t until_ms = clock_mono_ms() + COMPILER_REHEARSALS_MS;
    int r = start(k, WARM_RUN, k->lang->warm->run, WORK_DIR, e);
    for (int i = 0; r == 0 && i < COMPILER_REHEARSALS; i++) {
        if (i >= REHEARSALS && clock_mono_ms() > until_ms)
            break;
        k->wait.deadline_ms = clock_mono_ms() + HELLO_TIMEOUT_MS;
        r = rehearse(k, e);
    }
    return r;
}

int program_prepare(struct vm *vm, const struct language *lang, struct program_wait *w,
                    struct err *e)
{
    const struct language_warm *warm = lang->warm;
    struct waiting k = waiting_of(vm, lang, w);
    int r = put_empty(&k, e);
    if (r < 0)
        return r;
    if (!warm->rehearses_itself) {
        r = prepare_twin(&k, warm->run, w, e);
        return r < 0 ? r : start(&k, WARM_RUN, warm->run, WORK_DIR, e);
    }
    r = prepare_self(&k, e);
    if (r < 0 || !*warm->twin)
        return r;
    r = prepare_twin(&k, warm->twin, w, e);
    if (r == 0 || (e->class != ERR_CONFLICT && e->class != ERR_INVALID))
        return r;
    log_warn("program", "language=%s has no twin: %s", lang->name, e->text);
    return 0; /* an older image: what runs programs waits all the same */
}

static int exercise_compiler(struct vm *vm, const struct language *lang, struct program_wait *w,
                             struct err *e)
{
    struct waiting k = waiting_of(vm, lang, w);
    int r = rehearse(&k, e);
    return r == 0 && *lang->warm->twin ? program_hello_by(vm, lang, WARM_TWIN, w, e) : r;
}

int program_exercise(struct vm *vm, const struct language *lang, struct program_wait *w,
                     struct err *e)
{
    if (!lang->warm || !lang->warm->rehearses_itself)
        return program_hello_by(vm, lang, lang->warm ? WARM_TWIN : NULL, w, e);
    int r = exercise_compiler(vm, lang, w, e);
    return r < 0 && e->class == ERR_CONFLICT ? program_hello(vm, lang, w, e) : r;
}
