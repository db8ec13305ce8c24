/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <unistd.h>

#include "cli/cli.h"

int main(int argc, char **argv)
{
    /* With one of 0, 1, 2 closed, the next file opened would take its place and get its data. */
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_WRONLY : O_RDONLY) != fd)
            return CLI_EXIT_FAILED;
    }
    return cli_main(argc, argv);
}
