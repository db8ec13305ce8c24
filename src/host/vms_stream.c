/* SPDX-License-Identifier: Apache-2.0 */

/* Streams into and out of VMs: one face for files, tar archives, terminals and the serial console.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/limits.h"
#include "host/console.h"
#include "host/vms_guest.h"
#include "host/vms_use.h"

#define WORDS_MAX_BYTES 512 /* of what a tar says on its standard error */

/* What the agent packs and unpacks is like a file; a tar is the guest's own program. */
enum kind { FILE_READ, FILE_WRITE, TAR_READ, TAR_WRITE, TERMINAL, CONSOLE };

struct vm_stream {
    enum kind kind;
    struct use use; /* not of a console */
    struct link_stream *file;
    struct guest_program *program;
    struct console_reader *console;
    char **env;
    struct buf words; /* a tar's last ones */
};

static bool host_ends(void *arg)
{
    const struct host *h = arg;
    return h->aborting;
}

/* How long the next step may take: a transfer must move, a terminal may be silent. */
static struct link_wait patience(const struct vm_stream *s)
{
    int64_t ms = s->kind == TERMINAL ? GUEST_FOREVER_MS : GUEST_STREAM_STALL_MS;
    return (struct link_wait){
        .deadline_ms = clock_mono_ms() + ms, .cancelled = host_ends, .arg = s->use.host};
}

void vm_stream_free(struct vm_stream *s)
{
    if (!s)
        return;
    link_stream_free(s->file);
    if (s->program) {
        guest_program_free(s->program);
        s->use.inst->execs--;
    }
    console_close(s->console);
    use_free_env(s->env);
    buf_done(&s->words);
    use_end(&s->use);
    free(s);
}

DEFINE_AUTO(struct vm_stream *, vm_stream_free)
#define auto_stream CLEANUP(vm_stream_freep)

static int stream_new(struct host *h, const char *account, const char *id, enum kind kind,
                      struct vm_stream **ret, struct err *e)
{
    auto_stream struct vm_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(e, -ENOMEM, "stream");
    s->kind = kind;
    s->words.max_bytes = WORDS_MAX_BYTES;
    int r = kind == CONSOLE ? 0 : use_begin(h, account, id, &s->use, e);
    if (r == 0)
        *ret = TAKE_PTR(s);
    return r;
}

/* --- opening --- */

int host_vm_file_read(struct host *h, const char *account, const char *id,
                      const struct guest_range *g, struct vm_stream **ret, struct err *e)
{
    auto_stream struct vm_stream *s = NULL;
    int r = stream_new(h, account, id, FILE_READ, &s, e);
    if (r < 0)
        return r;
    struct link_wait w = patience(s);
    r = guest_open_read(s->use.link, g, &w, &s->file, e);
    if (r == 0)
        *ret = TAKE_PTR(s);
    return r;
}

int host_vm_file_write(struct host *h, const char *account, const char *id,
                       const struct guest_file *f, struct vm_stream **ret, struct err *e)
{
    auto_stream struct vm_stream *s = NULL;
    int r = stream_new(h, account, id, FILE_WRITE, &s, e);
    if (r < 0)
        return r;
    struct link_wait w = patience(s);
    r = guest_open_write(s->use.link, f, &w, &s->file, e);
    if (r == 0)
        *ret = TAKE_PTR(s);
    return r;
}

int host_vm_pack(struct host *h, const char *account, const char *id, const struct guest_tree *t,
                 struct vm_stream **ret, struct err *e)
{
    auto_stream struct vm_stream *s = NULL;
    int r = stream_new(h, account, id, FILE_READ, &s, e);
    if (r < 0)
        return r;
    struct link_wait w = patience(s);
    r = guest_open_pack(s->use.link, t, &w, &s->file, e);
    if (r == 0)
        *ret = TAKE_PTR(s);
    return r;
}

int host_vm_unpack(struct host *h, const char *account, const char *id, const struct guest_tree *t,
                   struct vm_stream **ret, struct err *e)
{
    auto_stream struct vm_stream *s = NULL;
    int r = stream_new(h, account, id, FILE_WRITE, &s, e);
    if (r < 0)
        return r;
    struct link_wait w = patience(s);
    r = guest_open_unpack(s->use.link, t, &w, &s->file, e);
    if (r == 0)
        *ret = TAKE_PTR(s);
    return r;
}

static int open_program(struct vm_stream *s, struct exec_spec *spec, struct err *e)
{
    int r = use_env(&s->use, NULL, &s->env, e);
    if (r < 0)
        return r;
    spec->env = s->env;
    spec->login = true;
    struct link_wait w = patience(s);
    r = guest_program_open(s->use.link, spec, &w, &s->program, e);
    if (r < 0)
        return r;
    s->use.inst->execs++;
    s->use.inst->commands++;
    return 0;
}

static int open_tar(struct vm_stream *s, char *const *argv, struct err *e)
{
    struct exec_spec spec = {
        .argv = (char **)argv, .user = (char *)"root", .has_stdin = s->kind == TAR_WRITE};
    return open_program(s, &spec, e);
}

int host_vm_tar_read(struct host *h, const char *account, const char *id, const char *path,
                     struct vm_stream **ret, struct err *e)
{
    auto_stream struct vm_stream *s = NULL;
    struct guest_stat st;
    int r = host_vm_stat(h, account, id, path, &st, e);
    if (r == 0 && st.type != GUEST_DIR)
        r = err_set(e, ERR_CONFLICT, "%.200s is no directory", path);
    if (r == 0)
        r = stream_new(h, account, id, TAR_READ, &s, e);
    const char *const argv[] = {"tar", "-c", "-C", path, ".", NULL};
    if (r == 0)
        r = open_tar(s, (char *const *)argv, e);
    if (r == 0)
        *ret = TAKE_PTR(s);
    return r;
}

int host_vm_tar_write(struct host *h, const char *account, const char *id, const char *path,
                      struct vm_stream **ret, struct err *e)
{
    auto_stream struct vm_stream *s = NULL;
    int r = stream_new(h, account, id, TAR_WRITE, &s, e);
    const char *const argv[] = {"sh",  "-c", "mkdir -p -- \"$1\" && exec tar -x -C \"$1\"",
                                "tar", path, NULL};
    if (r == 0)
        r = open_tar(s, (char *const *)argv, e);
    if (r == 0)
        *ret = TAKE_PTR(s);
    return r;
}

/* The login shell is what /etc/passwd says; a shell that is asked for nothing finds it. */
static const char *const login_shell[] = {"sh", "-c", "exec \"${SHELL:-/bin/sh}\" -l", NULL};

int host_vm_terminal(struct host *h, const char *account, const char *id,
                     const struct vm_terminal *t, struct vm_stream **ret, struct err *e)
{
    auto_stream struct vm_stream *s = NULL;
    int r = stream_new(h, account, id, TERMINAL, &s, e);
    if (r < 0)
        return r;
    auto_free char **argv = use_argv(t->argv, t->n_argv);
    if (!argv)
        return err_errno(e, -ENOMEM, "terminal");
    struct exec_spec spec = {
        .argv = t->n_argv ? argv : (char **)login_shell,
        .user = (char *)(t->user ? t->user : "root"),
        .has_stdin = true,
        .pty_rows = t->rows > 0 ? t->rows : 24,
        .pty_cols = t->cols > 0 ? t->cols : 80,
    };
    r = open_program(s, &spec, e);
    if (r == 0)
        *ret = TAKE_PTR(s);
    return r;
}

int host_vm_console(struct host *h, const char *account, const char *id, struct vm_stream **ret,
                    struct err *e)
{
    struct vm_info info;
    auto_stream struct vm_stream *s = NULL;
    int r = host_vm_get(h, account, id, &info, e);
    if (r < 0)
        return r;
    vm_info_done(&info);
    r = stream_new(h, account, id, CONSOLE, &s, e);
    if (r == 0)
        r = console_open(h->consoles, id, &s->console, e);
    if (r == 0)
        *ret = TAKE_PTR(s);
    return r;
}

/* --- moving bytes --- */

static int ended(struct err *e)
{
    err_set(e, ERR_UNAVAILABLE, "the stream was ended");
    return -ECANCELED;
}

/* A tar that failed says why; its reader must not take half an archive for a whole one. */
static int check_tar(struct vm_stream *s, struct err *e)
{
    struct exec_exit x;
    guest_program_exit(s->program, &x);
    if (x.code == 0)
        return 0;
    for (char *p = s->words.data; p && *p; p++)
        *p = (unsigned char)*p < ' ' || *p == 0x7f ? ' ' : *p;
    return err_set(e, ERR_CONFLICT, "tar ended with %d: %s", x.code, buf_str(&s->words));
}

/* The end is 0. What a tar has to say is kept, and no output. */
static ssize_t read_program(struct vm_stream *s, void *buf, size_t max, struct err *e)
{
    for (;;) {
        int stream = 1;
        struct link_wait w = patience(s);
        ssize_t n = guest_program_read(s->program, buf, max, &stream, &w, e);
        if (n > 0 && stream == 2 && s->kind != TERMINAL) {
            (void)buf_append(&s->words, buf, (size_t)n < 200 ? (size_t)n : 200);
            continue;
        }
        return n == 0 && s->kind == TAR_READ ? check_tar(s, e) : n;
    }
}

ssize_t vm_stream_read(struct vm_stream *s, void *buf, size_t max, struct err *e)
{
    struct link_wait w = patience(s);
    switch (s->kind) {
    case FILE_READ:
        return link_stream_read(s->file, buf, max, &w, e);
    case TAR_READ:
    case TERMINAL:
        return read_program(s, buf, max, e);
    case CONSOLE: {
        ssize_t n = console_read(s->console, buf, max);
        return n < 0 ? ended(e) : n;
    }
    default:
        assert(!"a stream for writing");
        return -EBADF;
    }
}

static int write_some(struct vm_stream *s, const void *data, size_t len, struct err *e)
{
    struct link_wait w = patience(s);
    switch (s->kind) {
    case FILE_WRITE:
        return link_stream_write(s->file, data, len, &w, e);
    case TAR_WRITE:
    case TERMINAL:
        return guest_program_write(s->program, data, len, &w, e);
    case CONSOLE:
        return console_write(s->console, data, len) < 0 ? ended(e) : 0;
    default:
        assert(!"a stream for reading");
        return -EBADF;
    }
}

static int finish_tar(struct vm_stream *s, struct err *e)
{
    char room[256];
    struct link_wait w = patience(s);
    int r = guest_program_end_input(s->program, &w, e);
    r = r == -EPIPE ? 0 : r; /* it has ended already, and says why */
    ssize_t n = 1;
    while (r == 0 && n > 0)
        n = read_program(s, room, sizeof(room), e);
    if (r == 0 && n < 0)
        r = (int)n;
    return r < 0 ? r : check_tar(s, e);
}

int vm_stream_finish(struct vm_stream *s, struct err *e)
{
    struct link_wait w = patience(s);
    switch (s->kind) {
    case FILE_WRITE: {
        int r = link_stream_end(s->file, &w, e);
        /* An agent that refused has answered already, and that answer is what counts. */
        int f = r == 0 || r == -EPIPE ? guest_finish_write(s->file, &w, e) : r;
        return f;
    }
    case TAR_WRITE:
        return finish_tar(s, e);
    case TERMINAL:
        return guest_program_end_input(s->program, &w, e);
    default:
        return 0;
    }
}

/* A guest that takes no more has answered already, and says why: its disk is full, say. */
int vm_stream_write(struct vm_stream *s, const void *data, size_t len, struct err *e)
{
    struct err why = ERR_INIT;
    int r = write_some(s, data, len, e);
    bool is_upload = s->kind == FILE_WRITE || s->kind == TAR_WRITE;
    if (r == -EPIPE && is_upload && vm_stream_finish(s, &why) < 0 && e)
        *e = why;
    return r;
}

int vm_stream_resize(struct vm_stream *s, int rows, int cols, struct err *e)
{
    struct link_wait w = patience(s);
    return s->kind == TERMINAL ? guest_program_resize(s->program, rows, cols, &w, e) : 0;
}

void vm_stream_exit(const struct vm_stream *s, struct exec_exit *ret)
{
    *ret = (struct exec_exit){0};
    if (s->program)
        guest_program_exit(s->program, ret);
}

void vm_stream_shutdown(struct vm_stream *s)
{
    if (s->file)
        link_stream_shutdown(s->file);
    if (s->program)
        guest_program_shutdown(s->program);
    if (s->console)
        console_shutdown(s->console);
}
