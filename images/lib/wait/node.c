/* SPDX-License-Identifier: Apache-2.0 */

/* The end of a Node process. When the program has ended, and the listeners to that have run, Node
 * takes down all that it has built up, which takes longer than a small program runs. Then it exits,
 * and the kernel takes down the same. So here it ends as by process.exit(), which leaves the most
 * of that out. What a program could tell is the file of a Unix socket that it listens on: that
 * would stay. Then Node goes on as ever.
 *
 * What C++ calls Maybe<int> is returned as a structure of C is. */

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "wait.h"

#define SPIN_EVENT_LOOP "_ZN4node13SpinEventLoopEPNS_11EnvironmentE"
#define RUN_AT_EXIT "_ZN4node9RunAtExitEPNS_11EnvironmentE"
#define EXIT "_ZN4node11Environment4ExitEi"
#define FIND(name) WAIT_FIND(node, "", name)

struct maybe_int {
    bool has_value;
    int value;
};

static struct {
    /* libuv's; a handle and a loop are opaque */
    void *(*uv_default_loop)(void);
    void (*uv_walk)(void *loop, void (*on_handle)(void *handle, void *arg), void *arg);
    int (*uv_pipe_getsockname)(void *pipe, char *name, size_t *size);
    int (*uv_handle_get_type)(void *handle);
} node;

#define UV_NAMED_PIPE 7 /* enum uv_handle_type, uv.h */

static void note_socket(void *handle, void *arg)
{
    char name[128];
    size_t size = sizeof(name);
    if (node.uv_handle_get_type(handle) == UV_NAMED_PIPE &&
        node.uv_pipe_getsockname(handle, name, &size) == 0 && size > 0)
        *(bool *)arg = true;
}

/* True also when it cannot be told. */
static bool has_unix_socket(void)
{
    bool has = false;
    if (!FIND(uv_default_loop) || !FIND(uv_walk) || !FIND(uv_pipe_getsockname) ||
        !FIND(uv_handle_get_type))
        return true;
    node.uv_walk(node.uv_default_loop(), note_socket, &has);
    return has;
}

/* node::SpinEventLoop(node::Environment *): returns the exit code, once there is nothing to do. */
struct maybe_int spin_event_loop(void *environment) __asm__(SPIN_EVENT_LOOP);
struct maybe_int spin_event_loop(void *environment)
{
    struct maybe_int (*next)(void *) = (__typeof__(next))dlsym(RTLD_NEXT, SPIN_EVENT_LOOP);
    void (*run_at_exit)(void *) = (__typeof__(run_at_exit))dlsym(RTLD_DEFAULT, RUN_AT_EXIT);
    void (*end)(void *, int) = (__typeof__(end))dlsym(RTLD_DEFAULT, EXIT);
    if (!next)
        wait_fail("node", ENOTSUP);
    struct maybe_int code = next(environment);
    /* Not the event loop of a worker. */
    if (code.has_value && gettid() == getpid() && run_at_exit && end && !has_unix_socket()) {
        run_at_exit(environment);
        end(environment, code.value);
    }
    return code;
}
