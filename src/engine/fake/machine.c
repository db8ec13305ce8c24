/* SPDX-License-Identifier: Apache-2.0 */

/* Each descriptor has a slot of its own: the listening sockets, and one connection of each (others
 * wait in the backlogs). A paused machine watches the engine's only, and its guest's time stands
 * still. */

#include "engine/fake/machine.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "engine/fake/bounds.h"
#include "engine/fake/console.h"
#include "engine/fake/slow.h"

/* A listener's slot is its own number, its connection's is this much more. */
#define CONNECTION MACHINE_LISTENERS
#define SLOT_COUNT (2 * MACHINE_LISTENERS)

struct watch {
    int fd; /* watched at present; negative: none */
    uint32_t events;
};

struct machine {
    int epoll_fd;
    int listen_fds[MACHINE_LISTENERS];
    int caller_fd; /* of the engine; negative: none */
    struct buf request;
    struct watch watches[SLOT_COUNT];
    struct port port;
    struct console console;
    struct board board;
    bool is_slow;
    struct slow slow;
};

/* --- the engine's connection --- */

static void caller_close(struct machine *m)
{
    cleanup_close(&m->caller_fd);
    m->caller_fd = -EBADF;
    buf_clear(&m->request);
}

/* The answer fits into any socket's buffer; a caller that has gone is none of our business. */
static void answer_caller(struct machine *m)
{
    struct err e = ERR_INIT;
    auto_buf struct buf answer = {0};
    auto_buf struct buf line = {0};
    m->request.data[m->request.len - 1] = '\0';
    int r = board_ask(&m->board, m->request.data, &answer, &e);
    if (r < 0)
        buf_printf(&line, "error %d %s\n", e.class ? e.class : ERR_INTERNAL,
                   e.text[0] ? e.text : "out of memory");
    else
        buf_printf(&line, "ok%s\n", buf_str(&answer));
    if (!line.failed)
        (void)!send(m->caller_fd, line.data, line.len, MSG_NOSIGNAL | MSG_DONTWAIT);
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

/* What a slot is to wait for. */
static struct watch wanted(const struct machine *m, int slot)
{
    int i = slot < CONNECTION ? slot : slot - CONNECTION;
    const int fds[MACHINE_LISTENERS] = {m->port.fd, m->caller_fd, m->console.fd};
    const bool full[MACHINE_LISTENERS] = {m->port.is_full, false, m->console.is_full};
    struct watch w = {.fd = -EBADF, .events = EPOLLIN};
    if (m->board.is_paused && i != MACHINE_CONTROL)
        return w;
    /* Like a real port, one connection at a time: the next one waits in the backlog. */
    if (slot < CONNECTION) {
        w.fd = fds[i] < 0 ? m->listen_fds[i] : -EBADF;
    } else {
        w.fd = fds[i];
        w.events = full[i] ? EPOLLIN | EPOLLOUT : EPOLLIN;
    }
    return w;
}

static int watch(struct machine *m, int slot, const struct watch *want)
{
    struct watch *w = &m->watches[slot];
    struct epoll_event ev = {.events = want->events, .data.u32 = (uint32_t)slot};
    if (want->fd < 0 || (w->fd == want->fd && w->events == want->events))
        return 0;
    int op = w->fd == want->fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    *w = *want;
    int r = epoll_ctl(m->epoll_fd, op, want->fd, &ev);
    if (r < 0 && op == EPOLL_CTL_MOD && errno == ENOENT)
        r = epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, want->fd, &ev);
    return r < 0 ? -errno : 0;
}

/* All that is over first: the number of a connection that was closed may be another slot's by now,
 * and must not be taken from that one afterwards. */
static int watch_all(struct machine *m)
{
    int r = 0;
    for (int i = 0; i < SLOT_COUNT; i++) {
        struct watch want = wanted(m, i), *w = &m->watches[i];
        if (w->fd >= 0 && w->fd != want.fd) {
            epoll_ctl(m->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
            w->fd = -EBADF;
        }
    }
    for (int i = 0; r == 0 && i < SLOT_COUNT; i++) {
        struct watch want = wanted(m, i);
        r = watch(m, i, &want);
    }
    return r;
}

static void on_connection(struct machine *m, enum machine_listener which)
{
    /* Negative when whoever wanted to connect has gone again. */
    int fd = accept4(m->listen_fds[which], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    /* It may have the number of the one before, of which epoll knows nothing more. */
    m->watches[CONNECTION + which].fd = -EBADF;
    if (which == MACHINE_AGENT)
        port_connect(&m->port, fd);
    else if (which == MACHINE_CONSOLE)
        console_connect(&m->console, fd);
    else
        m->caller_fd = fd;
}

static void on_bytes(struct machine *m, enum machine_listener which)
{
    bool runs = !m->board.is_paused;
    if (which == MACHINE_AGENT && m->port.fd >= 0 && runs)
        port_read(&m->port);
    else if (which == MACHINE_CONSOLE && m->console.fd >= 0 && runs)
        console_read(&m->console);
    else if (which == MACHINE_CONTROL && m->caller_fd >= 0)
        caller_read(m);
}

static void on_event(struct machine *m, int slot)
{
    if (slot < CONNECTION)
        on_connection(m, (enum machine_listener)slot);
    else
        on_bytes(m, (enum machine_listener)(slot - CONNECTION));
}

static int timeout_ms(const struct machine *m)
{
    int64_t due_us = m->board.is_paused ? 0 : guest_due_us(&m->board.guest);
    if (m->is_slow && (!due_us || due_us > slow_due_us(&m->slow)))
        due_us = slow_due_us(&m->slow);
    if (!due_us)
        return -1;
    int64_t left_us = due_us - clock_mono_us();
    if (left_us <= 0)
        return 0;
    int64_t ms = (left_us + 999) / 1000;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

static void end_slowness(struct machine *m)
{
    if (!m->is_slow || !slow_is_over(&m->slow))
        return;
    m->is_slow = false;
    m->port.fault = PORT_FINE;
}

/* Programs whose time has come, then what there is to send, then an end if the guest came to one.
 */
static void turn(struct machine *m)
{
    struct guest *g = &m->board.guest;
    end_slowness(m);
    if (m->board.is_paused)
        return;
    guest_wake(g);
    port_flush(&m->port);
    console_flush(&m->console);
    bool is_sent = m->port.fd < 0 || m->port.out.len == 0;
    if (g->end == GUEST_DIED || (g->end == GUEST_WANTS_OFF && is_sent)) {
        m->board.quit = true;
    } else if (g->end == GUEST_WANTS_REBOOT && is_sent) {
        port_hang_up(&m->port);
        guest_boot(g);
    }
    if (g->disk.log_bytes > FAKE_DISK_LOG_MAX_BYTES)
        disk_compact(&g->disk, &g->files);
}

static int loop(struct machine *m, struct err *e)
{
    struct epoll_event batch[SLOT_COUNT];
    while (!m->board.quit) {
        int r = watch_all(m);
        int n = r < 0 ? 0 : epoll_wait(m->epoll_fd, batch, SLOT_COUNT, timeout_ms(m));
        if (r < 0 || (n < 0 && errno != EINTR))
            return err_errno(e, r < 0 ? r : -errno, "epoll");
        for (int i = 0; i < n && !m->board.quit; i++)
            on_event(m, (int)batch[i].data.u32);
        turn(m);
    }
    return 0;
}

static void init(struct machine *m, const struct machine_options *o)
{
    *m = (struct machine){
        .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
        .caller_fd = -EBADF,
        .request.max_bytes = FAKE_CONTROL_MAX_BYTES,
        .is_slow = o->agent_is_slow,
        .board.guest.exec_fault = o->exec_fault,
        .board.guest.grow_fails = o->grow_fails,
        .board.guest.ignores_power = o->ignores_power,
        .board.guest.warm_fault = o->warm_fault,
        .board.guest.console = &m->console,
    };
    memcpy(m->listen_fds, o->listen_fds, sizeof(m->listen_fds));
    for (int i = 0; i < SLOT_COUNT; i++)
        m->watches[i].fd = -EBADF;
    console_init(&m->console);
    port_init(&m->port, &m->board.guest, m->is_slow ? PORT_SILENT : o->port_fault);
    if (m->is_slow)
        slow_start(&m->slow);
}

int machine_run(const struct machine_options *o, struct err *e)
{
    struct machine m;
    init(&m, o);
    int r = m.epoll_fd < 0 ? err_errno(e, -errno, "epoll") : board_begin(&m.board, &o->start, e);
    r = r < 0 ? r : loop(&m, e);
    port_hang_up(&m.port);
    console_hang_up(&m.console);
    buf_done(&m.console.out);
    caller_close(&m);
    buf_done(&m.request);
    board_done(&m.board);
    cleanup_close(&m.epoll_fd);
    for (int i = 0; i < MACHINE_LISTENERS; i++)
        cleanup_close(&m.listen_fds[i]);
    return r;
}
