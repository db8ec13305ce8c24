/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/control.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "engine/fake/bounds.h"
#include "engine/fake/starter.h"

static int gone(struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE, "the fake monitor is gone");
}

static int read_line(int fd, struct buf *line, struct err *e)
{
    int64_t deadline_ms = clock_mono_ms() + FAKE_CONTROL_TIMEOUT_MS;
    char chunk[512];
    while (line->len == 0 || line->data[line->len - 1] != '\n') {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n = poll(&p, 1, clock_left_ms(deadline_ms));
        if (n == 0)
            return err_set(e, ERR_TIMEOUT, "the fake monitor does not answer");
        if (n < 0 && errno == EINTR)
            continue;
        ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return gone(e);
        if (buf_append(line, chunk, (size_t)got) < 0)
            return err_set(e, ERR_UNAVAILABLE, "the fake monitor's answer is too long");
    }
    line->data[--line->len] = '\0';
    return 0;
}

/* "error CLASS SENTENCE". */
static int refused(const char *line, struct err *e)
{
    int class = 0, at = 0;
    if (sscanf(line, "error %d %n", &class, &at) < 1 || at == 0 || class <= ERR_NONE ||
        class >= ERR_CLASS_COUNT)
        return err_set(e, ERR_INTERNAL, "the fake monitor: %.400s", line);
    return err_set(e, (enum err_class) class, "%.400s", line + at);
}

int control_call(const char *vm_dir, const char *request, struct buf *answer, struct err *e)
{
    char path[PATH_MAX];
    auto_buf struct buf line = {.max_bytes = FAKE_CONTROL_MAX_BYTES};
    int r = path_printf(path, sizeof(path), "%s/" STARTER_CONTROL_SOCKET, vm_dir);
    auto_close int fd = r < 0 ? r : unix_connect(path);
    if (fd == -ENAMETOOLONG)
        return err_errno(e, fd, "%s", path);
    if (fd < 0)
        return gone(e);
    if (buf_printf(&line, "%s\n", request) < 0)
        return err_errno(e, -E2BIG, "a request to the fake monitor");
    if (send(fd, line.data, line.len, MSG_NOSIGNAL) != (ssize_t)line.len)
        return gone(e);
    buf_clear(&line);
    r = read_line(fd, &line, e);
    if (r < 0)
        return r;
    if (strncmp(line.data, "ok", 2) != 0)
        return refused(line.data, e);
    const char *text = line.data + 2;
    return buf_append_str(answer, text[0] == ' ' ? text + 1 : text) < 0
               ? err_errno(e, -ENOMEM, "answer")
               : 0;
}
