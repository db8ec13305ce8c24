/* SPDX-License-Identifier: Apache-2.0 */

/* holm-fake-monitor: what the fake engine starts instead of a real monitor. It inherits the three
 * listening sockets (starter.h) and takes words like name=value; the VM's id and directory stand
 * first so that they can be seen in a list of processes. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

static bool take_bytes(const char *text, int64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoll(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && !*end && !errno;
}

static bool take_word(struct machine_options *o, const char *word)
{
    if (strncmp(word, "template=", 9) == 0)
        o->start.template_dir = word + 9;
    else if (strncmp(word, "image=", 6) == 0)
        return take_bytes(word + 6, &o->start.image_bytes);
    else if (strncmp(word, "device=", 7) == 0)
        return take_bytes(word + 7, &o->start.device_bytes);
    else if (strcmp(word, "disk=kept") == 0)
        o->start.disk_is_kept = true;
    else if (strcmp(word, "agent=never") == 0)
        o->port_fault = PORT_SILENT;
    else if (strcmp(word, "agent=garbage") == 0)
        o->port_fault = PORT_GARBAGE;
    else if (strcmp(word, "agent=slow") == 0)
        o->agent_is_slow = true;
    else if (strcmp(word, "exec=reset") == 0)
        o->exec_fault = GUEST_EXEC_RESET;
    else if (strcmp(word, "exec=die") == 0)
        o->exec_fault = GUEST_EXEC_DIE;
    else if (strcmp(word, "grow=fail") == 0)
        o->grow_fails = true;
    else if (strcmp(word, "power=ignore") == 0)
        o->ignores_power = true;
    else if (strcmp(word, "warm=refuse") == 0)
        o->warm_fault = WARM_REFUSED;
    else if (strcmp(word, "warm=die") == 0)
        o->warm_fault = WARM_DEAD;
    else
        return false;
    return true;
}

int main(int argc, char **argv)
{
    struct machine_options o = {.listen_fds = {[MACHINE_AGENT] = STARTER_AGENT_FD,
                                               [MACHINE_CONTROL] = STARTER_CONTROL_FD,
                                               [MACHINE_CONSOLE] = STARTER_CONSOLE_FD}};
    struct err e = ERR_INIT;
    if (argc < 3 || !id_valid(argv[1]) || argv[2][0] != '/')
        return usage();
    o.start.vm_dir = argv[2];
    for (int i = 3; i < argc; i++)
        if (!take_word(&o, argv[i]))
            return usage();
    for (int i = 0; i < MACHINE_LISTENERS; i++)
        if (fd_set_nonblock(o.listen_fds[i], true) < 0)
            return usage();
    signal(SIGPIPE, SIG_IGN);
    int r = machine_run(&o, &e);
    if (r < 0)
        fprintf(stderr, "%s\n", e.text);
    return r < 0;
}
