/* SPDX-License-Identifier: Apache-2.0 */

/* holm-agent: process 1 of a guest's initramfs, or a server on a socket for tests on a host. */

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/guest.h"
#include "agent/init.h"
#include "agent/link.h"
#include "agent/listen.h"
#include "base/log.h"

static const char usage[] =
    "Usage: holm-agent --listen PATH | --fd N | --port [--guest]\n"
    "\n"
    "Runs commands and moves files for a host, over HTTP/2.\n"
    "\n"
    "  --listen PATH  serve each connection to a Unix socket\n"
    "  --fd N         serve the connected stream socket N, end with it\n"
    "  --port         serve this guest's virtio-serial port org.holm.agent\n"
    "  --guest        with --listen and --fd: this machine's clock, random generator and power\n"
    "                 are the agent's to touch\n"
    "  --version      print the version, and exit\n"
    "  --help         print this text, and exit\n"
    "\n"
    "As process 1 it takes no arguments: it mounts the root and starts the image's init.\n";

struct arguments {
    const char *listen;
    int fd;
    bool port;
    bool guest;
};

/* 0: go on; 1: done; 2: wrong usage. */
static int parse(int argc, char **argv, struct arguments *ret)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},
        {"fd", required_argument, NULL, 'f'},
        {"port", no_argument, NULL, 'p'},
        {"guest", no_argument, NULL, 'g'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *ret = (struct arguments){.fd = -1};
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        switch (c) {
        case 'l':
            ret->listen = optarg;
            break;
        case 'f':
            ret->fd = atoi(optarg);
            break;
        case 'p':
            ret->port = true;
            break;
        case 'g':
            ret->guest = true;
            break;
        case 'v':
            puts("holm-agent " HOLM_VERSION);
            return 1;
        case 'h':
            fputs(usage, stdout);
            return 1;
        default:
            return 2;
        }
    }
    return (ret->listen != NULL) + (ret->fd >= 0) + ret->port == 1 && optind == argc ? 0 : 2;
}

static int serve_host(const struct arguments *args)
{
    struct agent_options options = {.guest = args->guest, .init = REPORT_INIT_IMAGE};
    struct agent agent;
    struct listener listener;
    struct link *link;
    struct err e = ERR_INIT;
    int r = agent_init(&agent, &options, &e);
    if (r < 0) {
        fprintf(stderr, "holm-agent: %s\n", e.text);
        return 1;
    }
    if (args->listen)
        r = listener_init(&listener, &agent, args->listen);
    else
        r = link_new(&agent, args->fd, LINK_SOCKET, &link);
    agent.stop_without_links = !args->listen;
    r = r < 0 ? r : agent_run(&agent);
    if (r < 0)
        fprintf(stderr, "holm-agent: %s\n", strerror(-r));
    if (args->listen && r >= 0) {
        listener_done(&listener);
        unlink(args->listen);
    }
    agent_done(&agent);
    return r < 0;
}

/* The pipes of programs must not land on 0 to 2, where a child's dup2 would tear them down. */
static void fill_std_fds(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd < 3);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    struct arguments args;
    if (getpid() == 1) {
        int r = init_main(argv[0]);
        log_error("init", "cannot go on: %s", strerror(-r));
        sync();
        reboot(RB_POWER_OFF);
        return 1;
    }
    fill_std_fds();
    int r = parse(argc, argv, &args);
    if (r == 2)
        fputs(usage, stderr);
    if (r)
        return r == 2 ? 2 : 0;
    if (args.port)
        return guest_serve(REPORT_INIT_IMAGE) < 0;
    return serve_host(&args);
}
