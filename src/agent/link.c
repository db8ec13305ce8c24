/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/link.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/routes.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "wire/hello.h"

/* Sent bytes wait here at most; streams are pulled from only below it. A port takes 32 KiB a time.
 */
#define OUT_HIGH_BYTES (128 * KIB)
/* Room above that for one frame, and for hello answers that nobody reads. */
#define OUT_MAX_BYTES (256 * KIB)
/* Read at once; a virtio port hands out a page at a time anyway. */
#define IN_BYTES (64 * KIB)
/* Reads before the other events get their turn. */
#define READS_PER_EVENT 64
/* A port that stays hung up for this long has lost its client. */
#define HANG_UP_MS 50
/* Says that there is no session here. A client in its hello skips it, to one that believes itself
 * in a session it is no HTTP/2. */
#define COMPLAINT "HOLM/1 -\n"

struct link {
    struct loop_watch watch; /* first: a pointer to it is a pointer to all */
    struct agent *agent;
    struct link *prev, *next;
    enum link_kind kind;
    struct hello_server hello;
    struct agent_server *server; /* NULL: no session */
    int lone_hellos;             /* reads in a row that were nothing but a hello */
    struct buf out;
    size_t out_start; /* so much of it was sent */
    bool want_read;   /* stopped reading in mid-way, must go on without a new event */
    bool want_write;  /* the last write did not take all */
    bool dead;
    bool complained; /* since the last hello or session */
    struct loop_timer hang_up;
};

struct agent *link_agent(const struct link *l)
{
    return l->agent;
}

struct link *link_next(const struct link *l)
{
    return l->next;
}

bool link_is_dead(const struct link *l)
{
    return l->dead;
}

bool link_has_session(const struct link *l)
{
    return l->server != NULL;
}

/* Ends the session; its streams' `closed` makes orphans of its programs. */
static void end_session(struct link *l)
{
    agent_server_free(TAKE_PTR(l->server));
    l->hello = (struct hello_server){0};
    l->lone_hellos = 0;
    l->complained = false;
    buf_clear(&l->out);
    l->out_start = 0;
}

/* The peer is gone. */
static void hang_up(struct link *l)
{
    end_session(l);
    l->want_read = false;
    l->want_write = false;
    if (l->kind == LINK_SOCKET)
        l->dead = true;
}

/* A port tells of its connections out of line: a hang-up, or that and an open, may be seen after
 * the first bytes of the next client, even after its session has begun. Hence only a hang-up that
 * lasts counts; whoever comes sooner says hello, which ends the former session as well. */
static void on_hang_up_timer(struct loop_timer *t)
{
    struct link *l = (struct link *)((char *)t - offsetof(struct link, hang_up));
    struct pollfd p = {.fd = l->watch.fd, .events = POLLIN};
    if (poll(&p, 1, 0) >= 0 && (p.revents & POLLHUP) && l->server)
        hang_up(l);
}

static void peer_is_gone(struct link *l)
{
    if (l->kind == LINK_SOCKET)
        hang_up(l);
    else if (!l->hang_up.due_ms)
        loop_timer_start(&l->agent->loop, &l->hang_up, HANG_UP_MS);
}

static int start_session(struct link *l)
{
    int r = agent_server_new(&routes_server_ops, l, &l->server);
    l->lone_hellos = 0;
    return r < 0 ? r : agent_server_feed(l->server, HELLO_PREFACE, HELLO_PREFACE_LEN);
}

/* Bytes that begin neither a hello nor a session: somebody believes to be in one. */
static void complain(struct link *l)
{
    if (l->complained || l->hello.scan.matched || l->hello.preface_matched)
        return;
    l->complained = true;
    buf_append_str(&l->out, COMPLAINT);
}

/* Outside a session: answers hellos. Returns how many bytes were used. */
static size_t input_hello(struct link *l, const uint8_t *data, size_t len)
{
    size_t used;
    char line[HELLO_LINE_SIZE];
    switch (hello_server_feed(&l->hello, data, len, &used)) {
    case HELLO_MORE:
        complain(l);
        break;
    case HELLO_LINE:
        l->complained = false;
        hello_line(l->hello.scan.nonce, line);
        buf_append_str(&l->out, line); /* when there is no room: it will be repeated */
        break;
    case HELLO_SESSION:
        if (start_session(l) < 0)
            end_session(l);
        break;
    }
    return used;
}

/* A hello in the middle of a frame's payload looks like payload. A client that waits for its answer
 * sends nothing else, so two reads in a row that were a hello and nothing besides mean that the
 * hang-up was missed. (Payload can be made to look so; whoever does it ends its own session.) */
static bool is_hello_in_session(struct link *l, const uint8_t *data, size_t len)
{
    l->lone_hellos = hello_is_lines(data, len) ? l->lone_hellos + 1 : 0;
    return l->lone_hellos >= 2;
}

void link_input(struct link *l, const void *data, size_t len)
{
    const uint8_t *p = data;
    if (l->server && is_hello_in_session(l, p, len))
        end_session(l);
    while (len) {
        size_t used = len;
        if (!l->server) {
            used = input_hello(l, p, len);
        } else if (agent_server_feed(l->server, p, len) < 0) {
            /* No HTTP/2 any more: look for a hello in these same bytes. */
            end_session(l);
            used = 0;
        }
        p += used;
        len -= used;
    }
}

static void read_all(struct link *l)
{
    static uint8_t in[IN_BYTES]; /* one thread, and never used across calls */
    l->want_read = false;
    for (int i = 0; i < READS_PER_EVENT; i++) {
        ssize_t n = read(l->watch.fd, in, sizeof(in));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            peer_is_gone(l);
            return;
        }
        link_input(l, in, (size_t)n);
    }
    l->want_read = true;
}

static void on_ready(struct loop_watch *w, uint32_t events)
{
    struct link *l = (struct link *)w;
    /* A port reports the hang-up for as long as nobody is connected; edge-triggered, each change
     * is seen once. */
    if (events & EPOLLHUP)
        peer_is_gone(l);
    if (!l->dead)
        read_all(l);
    if (events & EPOLLOUT)
        l->want_write = false;
}

/* Makes sure that there is something to send, if the session has anything. */
static int gather(struct link *l)
{
    if (l->out_start < l->out.len)
        return 0;
    buf_clear(&l->out);
    l->out_start = 0;
    return l->server ? agent_server_pull(l->server, &l->out, OUT_HIGH_BYTES) : 0;
}

/* Moves bytes from the session to the peer until either has had enough. */
static int flush_out(struct link *l)
{
    for (;;) {
        int r = gather(l);
        if (r < 0 || l->out.len == l->out_start)
            return r;
        ssize_t n = write(l->watch.fd, l->out.data + l->out_start, l->out.len - l->out_start);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            l->want_write = true;
            return 0;
        }
        if (n < 0)
            return -errno;
        l->out_start += (size_t)n;
    }
}

void link_flush(struct link *l)
{
    if (l->want_read && !l->dead)
        read_all(l);
    if (l->dead || l->want_write)
        return;
    if (flush_out(l) < 0) {
        peer_is_gone(l);
        return;
    }
    if (l->server && agent_server_is_done(l->server) && l->out.len == l->out_start)
        end_session(l);
    /* Reads left for later get their turn by an event of their own. */
    if (l->want_read)
        loop_rewatch(&l->agent->loop, &l->watch, EPOLLIN | EPOLLOUT | EPOLLET);
}

int link_new(struct agent *a, int fd, enum link_kind kind, struct link **ret)
{
    auto_close int own_fd = fd;
    auto_free struct link *l = calloc(1, sizeof(*l));
    if (!l)
        return -ENOMEM;
    int r = fd_set_nonblock(own_fd, true);
    if (r < 0)
        return r;
    *l = (struct link){
        .watch = {.fd = own_fd, .ready = on_ready},
        .agent = a,
        .kind = kind,
        .hello.preface_allowed = kind == LINK_SOCKET,
        .out.max_bytes = OUT_MAX_BYTES,
        .hang_up.fire = on_hang_up_timer,
        .next = a->links,
    };
    r = loop_watch(&a->loop, &l->watch, EPOLLIN | EPOLLOUT | EPOLLET);
    if (r < 0)
        return r;
    if (l->next)
        l->next->prev = l;
    a->links = l;
    TAKE_FD(own_fd);
    *ret = TAKE_PTR(l);
    return 0;
}

void link_free(struct link *l)
{
    agent_server_free(TAKE_PTR(l->server));
    loop_unwatch(&l->agent->loop, &l->watch);
    loop_timer_stop(&l->agent->loop, &l->hang_up);
    close(l->watch.fd);
    if (l->prev)
        l->prev->next = l->next;
    else
        l->agent->links = l->next;
    if (l->next)
        l->next->prev = l->prev;
    buf_done(&l->out);
    free(l);
}
