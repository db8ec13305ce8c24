/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/confirm.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* One line, without its end; what is too long for an answer is cut. */
static int read_line(struct cli *cli, char *ret, size_t size)
{
    size_t len = 0;
    for (;;) {
        char c;
        int r = interrupt_wait(&cli->interrupt, STDIN_FILENO, POLLIN, -1);
        if (r == -ETIMEDOUT)
            continue;
        if (r < 0)
            return r;
        if (read(STDIN_FILENO, &c, 1) != 1 || c == '\n')
            break;
        if (len + 1 < size)
            ret[len++] = c;
    }
    ret[len] = '\0';
    return 0;
}

int confirm(struct cli *cli, const struct options *o, const char *what, struct err *e)
{
    char answer[16];
    auto_buf struct buf safe = {0};
    if (options_has(o, "force") || !cli->err.tty || !isatty(STDIN_FILENO))
        return 0;
    term_safe(&safe, what);
    progress_erase(&cli->progress);
    fprintf(cli->err.file, "%s? [y/N] ", buf_str(&safe));
    fflush(cli->err.file);
    int r = read_line(cli, answer, sizeof(answer));
    if (r < 0)
        return r;
    if (!strcasecmp(answer, "y") || !strcasecmp(answer, "yes"))
        return 0;
    return err_set(e, ERR_CONFLICT, "nothing was done");
}
