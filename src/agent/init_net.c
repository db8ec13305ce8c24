/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/init_net.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>

#include "agent/netlink.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"

#define INTERFACE "eth0"

/* The two ends of the line to the host. */
static const struct {
    const char *address;
    int prefix;
    const char *gateway;
} lines[] = {
    {"172.16.0.2", 30, "172.16.0.1"},
    {"fd00:686f:6c6d::2", 64, "fd00:686f:6c6d::1"},
};

/* Nobody on the line advertises anything, and nobody else can have our addresses. */
static void set_sysctl(const char *name)
{
    char path[128];
    if (path_printf(path, sizeof(path), "/proc/sys/net/ipv6/conf/" INTERFACE "/%s", name) < 0)
        return;
    auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "0", 1) < 0)
        log_warn("init", "%s: %m", path);
}

static int configure(int fd, int ifindex, size_t line)
{
    struct netlink_address own, gateway;
    int r = netlink_address_parse(lines[line].address, &own);
    r = r < 0 ? r : netlink_address_parse(lines[line].gateway, &gateway);
    if (r < 0)
        return r;
    own.prefix = lines[line].prefix;
    r = netlink_add_address(fd, ifindex, &own);
    return r < 0 ? r : netlink_add_default_route(fd, ifindex, &gateway);
}

void init_net(void)
{
    auto_close int fd = netlink_open();
    int r = fd < 0 ? fd : netlink_up(fd, (int)if_nametoindex("lo"));
    if (r < 0)
        log_warn("init", "loopback interface: %s", strerror(-r));
    int ifindex = (int)if_nametoindex(INTERFACE);
    if (fd < 0 || !ifindex)
        return;
    set_sysctl("accept_ra");
    set_sysctl("autoconf");
    set_sysctl("dad_transmits");
    r = netlink_up(fd, ifindex);
    for (size_t i = 0; i < ARRAY_SIZE(lines) && r == 0; i++) {
        r = configure(fd, ifindex, i);
        /* A kernel without IPv6 is fine. */
        if (r < 0 && i > 0 && (r == -EOPNOTSUPP || r == -EAFNOSUPPORT))
            r = 0;
    }
    if (r < 0)
        log_warn("init", INTERFACE ": %s", strerror(-r));
}
