/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/stdin.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

int stdin_read(struct cli *cli, struct buf *ret, struct err *e)
{
    for (;;) {
        int tick_ms = cli->err.tty ? PROGRESS_TICK_MS : -1;
        int r = interrupt_wait(&cli->interrupt, STDIN_FILENO, POLLIN, tick_ms);
        progress_tick(&cli->progress);
        if (r == -ETIMEDOUT)
            continue;
        char chunk[64 << 10];
        ssize_t n = r < 0 ? r : read(STDIN_FILENO, chunk, sizeof(chunk));
        if (n < 0)
            return r < 0 ? r : err_errno(e, -errno, "read standard input");
        if (n == 0)
            return 0;
        r = buf_append(ret, chunk, (size_t)n);
        if (r == -E2BIG)
            return err_set(e, ERR_TOO_LARGE, "standard input is longer than %zu KiB",
                           ret->max_bytes >> 10);
        if (r < 0)
            return err_errno(e, r, "read standard input");
    }
}
