/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/console.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "engine/fake/bounds.h"

void console_init(struct console *c)
{
    *c = (struct console){.fd = -EBADF, .out.max_bytes = FAKE_CONSOLE_MAX_BYTES};
}

void console_connect(struct console *c, int fd)
{
    assert(c->fd < 0);
    c->fd = fd;
}

void console_hang_up(struct console *c)
{
    cleanup_close(&c->fd);
    c->fd = -EBADF;
    c->is_full = false;
    buf_clear(&c->out);
}

void console_write(struct console *c, const void *data, size_t len)
{
    if (c->fd >= 0)
        (void)buf_append(&c->out, data, len);
}

void console_read(struct console *c)
{
    char in[4096];
    ssize_t n = read(c->fd, in, sizeof(in));
    if (n > 0)
        console_write(c, in, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        console_hang_up(c);
}

void console_flush(struct console *c)
{
    c->is_full = false;
    while (c->fd >= 0 && c->out.len && !c->is_full) {
        ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);
        if (n >= 0)
            buf_consume(&c->out, (size_t)n);
        else if (errno == EAGAIN)
            c->is_full = true;
        else if (errno != EINTR)
            console_hang_up(c);
    }
}
