/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/port.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"

#define CLASS_DIR "/sys/class/virtio-ports"

int port_events_open(void)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = 1};
    auto_close int fd =
        socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

/* What was announced does not matter: the device is looked for again. An overflow (ENOBUFS) is an
 * announcement like any other. */
static void drain(int fd)
{
    char message[4096];
    while (recv(fd, message, sizeof(message), 0) >= 0 || errno == ENOBUFS || errno == EINTR)
        ;
}

int port_wait(int events_fd, int64_t deadline_ms, bool (*there)(void *arg), void *arg)
{
    while (!there(arg)) {
        struct pollfd p = {.fd = events_fd, .events = POLLIN};
        int n = poll(&p, 1, clock_left_ms(deadline_ms));
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -ETIMEDOUT;
        drain(events_fd);
    }
    return 0;
}

static bool has_name(const char *port)
{
    char path[512];
    auto_buf struct buf name = {0};
    return path_printf(path, sizeof(path), CLASS_DIR "/%s/name", port) == 0 &&
           file_read(path, &name, 256) == 0 && strcmp(buf_str(&name), PORT_NAME "\n") == 0;
}

int port_open(void)
{
    auto_closedir DIR *dir = opendir(CLASS_DIR);
    if (!dir)
        return -errno;
    for (struct dirent *de; (de = readdir(dir));) {
        char path[512];
        if (de->d_name[0] == '.' || !has_name(de->d_name))
            continue;
        int r = path_printf(path, sizeof(path), "/dev/%s", de->d_name);
        int fd = r < 0 ? r : open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
    }
    return -ENOENT;
}

static bool port_there(void *arg)
{
    int *fd = arg;
    *fd = port_open();
    return *fd >= 0;
}

int port_open_wait(int events_fd, int64_t deadline_ms)
{
    int fd = -ENOENT;
    int r = port_wait(events_fd, deadline_ms, port_there, &fd);
    return r < 0 ? r : fd;
}
