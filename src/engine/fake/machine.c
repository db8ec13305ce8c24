/* SPDX-License-Identifier: Apache-2.0 */

/* Four descriptors are watched, each in a slot of its own: the two listening sockets, the port's
 * connection and one control connection (others wait in the backlogs). A paused machine watches the
 * control sockets only, and its guest's time stands still. */

#include "engine/fake/machine.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "engine/fake/bounds.h"

enum slot { SLOT_AGENT, SLOT_CONTROL, SLOT_PORT, SLOT_CALLER, SLOT_COUNT };

struct watch {
    int fd; /* watched at present; negative: none */
    uint32_t events;
};

struct machine {
    int epoll_fd;
    int agent_fd, control_fd;
    int caller_fd; /* negative: none */
    struct buf request;
    struct watch watches[SLOT_COUNT];
    struct port port;
    struct guest guest;
    bool is_paused;
    int64_t paused_us; /* since when */
    bool quit;
};

/* --- what the engine asks --- */

struct answer {
    struct err e;
    struct buf text; /* after "ok" */
};

static void set_paused(struct machine *m, bool paused)
{
    int64_t now_us = clock_mono_us();
    if (m->is_paused && !paused)
        guest_skip(&m->guest, now_us - m->paused_us);
    if (!m->is_paused)
        m->paused_us = now_us;
    m->is_paused = paused;
}

/* The guest stands still all the while, since this is its only thread. */
static int save(struct machine *m, const char *path, struct answer *a)
{
    auto_buf struct buf state = {.max_bytes = FAKE_STATE_MAX_BYTES};
    int64_t start_us = clock_mono_us();
    int r = guest_save(&m->guest, &state);
    r = r < 0 ? r : file_write_atomic(path, state.data, state.len, 0600);
    if (r < 0)
        return err_errno(&a->e, r, "write %s", path);
    return buf_printf(&a->text, " %" PRId64 " %zu", clock_mono_us() - start_us, state.len);
}

static int carry_out(struct machine *m, const char *request, struct answer *a)
{
    static const char save_word[] = "save ";
    if (strncmp(request, save_word, strlen(save_word)) == 0)
        return save(m, request + strlen(save_word), a);
    if (strcmp(request, "state") == 0)
        return buf_append_str(&a->text, m->is_paused ? " paused" : " running");
    if (strcmp(request, "stats") == 0)
        return buf_printf(&a->text, " %zu", m->guest.files.bytes);
    if (strcmp(request, "pause") == 0 || strcmp(request, "resume") == 0) {
        set_paused(m, request[0] == 'p');
        return 0;
    }
    /* The guest of a power button shuts down at once; a paused one cannot. */
    if (strcmp(request, "power") == 0) {
        if (!m->is_paused)
            m->quit = true;
        return 0;
    }
    if (strcmp(request, "quit") == 0) {
        m->quit = true;
        return 0;
    }
    return err_set(&a->e, ERR_INVALID, "unknown request");
}

static void caller_close(struct machine *m)
{
    cleanup_close(&m->caller_fd);
    m->caller_fd = -EBADF;
    buf_clear(&m->request);
}

/* The answer fits into any socket's buffer; a caller that has gone is none of our business. */
static void answer_caller(struct machine *m)
{
    struct answer a = {.e = ERR_INIT};
    auto_buf struct buf line = {0};
    m->request.data[m->request.len - 1] = '\0';
    int r = carry_out(m, m->request.data, &a);
    if (r < 0)
        buf_printf(&line, "error %s\n", a.e.text[0] ? a.e.text : "out of memory");
    else
        buf_printf(&line, "ok%s\n", buf_str(&a.text));
    if (!line.failed)
        (void)!send(m->caller_fd, line.data, line.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_done(&a.text);
    caller_close(m);
}

static void caller_read(struct machine *m)
{
    char *into = buf_reserve(&m->request, 512);
    ssize_t n = into ? read(m->caller_fd, into, 512) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        caller_close(m);
        return;
    }
    m->request.len += (size_t)n;
    if (m->request.data[m->request.len - 1] == '\n')
        answer_caller(m);
}

/* --- the loop --- */

static int watch(struct machine *m, enum slot slot, int fd, uint32_t events)
{
    struct watch *w = &m->watches[slot];
    struct epoll_event ev = {.events = events, .data.u32 = slot};
    if (w->fd == fd && w->events == events)
        return 0;
    int op = fd < 0 ? EPOLL_CTL_DEL : w->fd == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    /* A descriptor that was closed meanwhile is forgotten by epoll already; when its number came
     * back for the next connection, that one has to be added. */
    if (w->fd >= 0 && w->fd != fd)
        epoll_ctl(m->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    *w = (struct watch){.fd = fd, .events = events};
    if (op == EPOLL_CTL_DEL)
        return 0;
    int r = epoll_ctl(m->epoll_fd, op, fd, &ev);
    if (r < 0 && op == EPOLL_CTL_MOD && errno == ENOENT)
        r = epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
    return r < 0 ? -errno : 0;
}

static int watch_all(struct machine *m)
{
    bool runs = !m->is_paused;
    uint32_t port_events = m->port.is_full ? EPOLLIN | EPOLLOUT : EPOLLIN;
    /* Like a real port, one connection at a time: the next one waits in the backlog. */
    int r = watch(m, SLOT_AGENT, runs && m->port.fd < 0 ? m->agent_fd : -EBADF, EPOLLIN);
    r = r < 0 ? r : watch(m, SLOT_PORT, runs ? m->port.fd : -EBADF, port_events);
    r = r < 0 ? r : watch(m, SLOT_CONTROL, m->caller_fd < 0 ? m->control_fd : -EBADF, EPOLLIN);
    return r < 0 ? r : watch(m, SLOT_CALLER, m->caller_fd, EPOLLIN);
}

/* Negative when whoever wanted to connect has gone again. */
static int take_connection(int listen_fd)
{
    return accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* A new connection may have the number of the one before, of which epoll knows nothing more. */
static void forget(struct machine *m, enum slot slot)
{
    m->watches[slot].fd = -EBADF;
}

static void on_event(struct machine *m, enum slot slot)
{
    int fd;
    switch (slot) {
    case SLOT_AGENT:
        fd = take_connection(m->agent_fd);
        if (fd >= 0) {
            port_connect(&m->port, fd);
            forget(m, SLOT_PORT);
        }
        break;
    case SLOT_CONTROL:
        m->caller_fd = take_connection(m->control_fd);
        forget(m, SLOT_CALLER);
        break;
    case SLOT_PORT:
        if (m->port.fd >= 0 && !m->is_paused)
            port_read(&m->port);
        break;
    case SLOT_CALLER:
        if (m->caller_fd >= 0)
            caller_read(m);
        break;
    case SLOT_COUNT:
        break;
    }
}

static int timeout_ms(const struct machine *m)
{
    int64_t due_us = m->is_paused ? 0 : guest_due_us(&m->guest);
    if (!due_us)
        return -1;
    int64_t left_us = due_us - clock_mono_us();
    if (left_us <= 0)
        return 0;
    int64_t ms = (left_us + 999) / 1000;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

/* Programs whose time has come, then what there is to send, then an end if the guest came to one.
 */
static void turn(struct machine *m)
{
    if (m->is_paused)
        return;
    guest_wake(&m->guest);
    port_flush(&m->port);
    enum guest_end end = m->guest.end;
    bool is_sent = m->port.fd < 0 || m->port.out.len == 0;
    if (end == GUEST_DIED || (end == GUEST_WANTS_OFF && is_sent)) {
        m->quit = true;
    } else if (end == GUEST_WANTS_REBOOT && is_sent) {
        port_hang_up(&m->port);
        guest_boot(&m->guest);
    }
}

static int loop(struct machine *m, struct err *e)
{
    struct epoll_event batch[SLOT_COUNT];
    while (!m->quit) {
        int r = watch_all(m);
        int n = r < 0 ? 0 : epoll_wait(m->epoll_fd, batch, SLOT_COUNT, timeout_ms(m));
        if (r < 0 || (n < 0 && errno != EINTR))
            return err_errno(e, r < 0 ? r : -errno, "epoll");
        for (int i = 0; i < n && !m->quit; i++)
            on_event(m, batch[i].data.u32);
        turn(m);
    }
    return 0;
}

static int load(struct machine *m, const char *template_dir, struct err *e)
{
    char path[PATH_MAX];
    auto_buf struct buf state = {0};
    if (!template_dir) {
        guest_boot(&m->guest);
        return 0;
    }
    int r = path_printf(path, sizeof(path), "%s/state", template_dir);
    r = r < 0 ? r : file_read(path, &state, FAKE_STATE_MAX_BYTES);
    if (r < 0)
        return err_errno(e, r, "read %s/state", template_dir);
    r = guest_load(&m->guest, state.data, state.len, e);
    return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

int machine_run(const struct machine_options *options, struct err *e)
{
    struct machine m = {
        .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
        .agent_fd = options->agent_fd,
        .control_fd = options->control_fd,
        .caller_fd = -EBADF,
        .request.max_bytes = FAKE_CONTROL_MAX_BYTES,
        .guest.exec_fault = options->exec_fault,
    };
    for (int i = 0; i < SLOT_COUNT; i++)
        m.watches[i].fd = -EBADF;
    port_init(&m.port, &m.guest, options->port_fault);
    int r = m.epoll_fd < 0 ? err_errno(e, -errno, "epoll") : load(&m, options->template_dir, e);
    r = r < 0 ? r : loop(&m, e);
    port_hang_up(&m.port);
    caller_close(&m);
    buf_done(&m.request);
    guest_done(&m.guest);
    cleanup_close(&m.epoll_fd);
    cleanup_close(&m.agent_fd);
    cleanup_close(&m.control_fd);
    return r;
}
