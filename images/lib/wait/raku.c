/* SPDX-License-Identifier: Apache-2.0 */

/* Raku, by what its virtual machine, MoarVM, exports. */

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <sys/random.h>
#include <unistd.h>

#include "job.h"
#include "wait.h"

typedef void *object;
typedef struct thread { /* MVMThreadContext, src/core/threadcontext.h */
    void *from_nursery[2];
    object *instance;
} * thread;

#define INSTANCE_WORDS 192 /* of MVMInstance: what we look for is among the first */

/* MVMIter, src/6model/reprs/MVMIter.h, of an array. */
struct iterator {
    void *header[3];
    uint32_t mode;
    object target;
    int64_t index, limit;
};

#define SYMBOL(ret, name, ...) \
    ret (*name)(__VA_ARGS__) = (__typeof__(name))dlsym(RTLD_DEFAULT, "MVM_" #name)

static thread find_thread(void)
{
    thread *t = dlsym(RTLD_DEFAULT, "MVM_running_threads_context"); /* of the caller */
    return t ? *t : NULL;
}

/* The machine makes a list of its arguments and a hash of its environment once, and keeps them.
 * Lets it make the one that `o` is anew, the next time that it is asked. */
static int forget(thread t, object o)
{
    for (size_t i = 0; i < INSTANCE_WORDS; i++) {
        if (t->instance[i] == o) {
            t->instance[i] = NULL;
            return 0;
        }
    }
    return -ENOTSUP;
}

/* MoarVM seeds the generator of its first thread when it starts, by the clock; so two copies of a
 * waiting process would draw the same. Its own function seeds it anew. */
void wait_raku_renew(void)
{
    int64_t seed;
    thread t = find_thread();
    SYMBOL(void, proc_seed, thread, int64_t);
    SYMBOL(object, proc_getenvhash, thread);
    if (!t)
        return;
    if (proc_seed && getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
        proc_seed(t, seed);
    if (proc_getenvhash)
        forget(t, proc_getenvhash(t));
}

/* @*ARGS is what an iterator has left that the compiler keeps as a symbol, at the first use of it.
 * So the arguments are added to the list under it. The machine makes strings of them, and of the
 * symbol's name, when it is told that it was started with them. Between that and the end nothing is
 * allocated, so nothing moves. */
int wait_raku_args(char **args, size_t n)
{
    static char language[] = "Raku", symbol[] = "$!ARGITER";
    thread t = find_thread();
    SYMBOL(void, vm_set_clargs, object *, int, char **);
    SYMBOL(object, proc_clargs, thread);
    SYMBOL(object, repr_at_pos_o, thread, object, int64_t);
    SYMBOL(object, repr_get_str, thread, object);
    SYMBOL(void, repr_push_o, thread, object, object);
    SYMBOL(object, hll_sym_get, thread, object, object);
    if (!t)
        return 0;
    if (!vm_set_clargs || !proc_clargs || !repr_at_pos_o || !repr_get_str || !repr_push_o ||
        !hll_sym_get || forget(t, proc_clargs(t)) < 0)
        return -ENOTSUP;
    char *names[] = {language, symbol}, **all = job_argv(names, 2, args, n);
    if (!all)
        return -ENOMEM;
    vm_set_clargs(t->instance, (int)n + 2, all);
    object list = proc_clargs(t); /* the program's name, and those */
    struct iterator *i = hll_sym_get(t, repr_get_str(t, repr_at_pos_o(t, list, 1)),
                                     repr_get_str(t, repr_at_pos_o(t, list, 2)));
    if (!i || i->mode != 0 || i->index != 0 || i->limit != 1)
        return -ENOTSUP;
    for (size_t k = 0; k < n; k++)
        repr_push_o(t, i->target, repr_at_pos_o(t, list, (int64_t)k + 3));
    i->limit += (int64_t)n;
    return 1; /* programs have no way to ask for what it was started with */
}
