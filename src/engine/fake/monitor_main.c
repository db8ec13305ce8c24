/* SPDX-License-Identifier: Apache-2.0 */

/* holm-fake-monitor: what the fake engine starts instead of a real monitor. It inherits the two
 * listening sockets (starter.h) and takes words like name=value; the VM's id stands first so that
 * it can be seen in a list of processes. */

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/id.h"
#include "engine/fake/machine.h"
#include "engine/fake/starter.h"

static int usage(void)
{
    fputs("holm-fake-monitor is started by holmd's fake engine, not by hand\n", stderr);
    return 2;
}

static bool take_word(struct machine_options *o, const char *word)
{
    if (strncmp(word, "template=", 9) == 0)
        o->template_dir = word + 9;
    else if (strcmp(word, "agent=never") == 0)
        o->port_fault = PORT_SILENT;
    else if (strcmp(word, "agent=garbage") == 0)
        o->port_fault = PORT_GARBAGE;
    else if (strcmp(word, "exec=reset") == 0)
        o->exec_fault = GUEST_EXEC_RESET;
    else if (strcmp(word, "exec=die") == 0)
        o->exec_fault = GUEST_EXEC_DIE;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct machine_options o = {.agent_fd = STARTER_AGENT_FD, .control_fd = STARTER_CONTROL_FD};
    struct err e = ERR_INIT;
    if (argc < 2 || !id_valid(argv[1]))
        return usage();
    for (int i = 2; i < argc; i++)
        if (!take_word(&o, argv[i]))
            return usage();
    if (fd_set_nonblock(o.agent_fd, true) < 0 || fd_set_nonblock(o.control_fd, true) < 0)
        return usage();
    signal(SIGPIPE, SIG_IGN);
    int r = machine_run(&o, &e);
    if (r < 0)
        fprintf(stderr, "%s\n", e.text);
    return r < 0;
}
