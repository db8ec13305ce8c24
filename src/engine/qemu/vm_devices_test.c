/* SPDX-License-Identifier: Apache-2.0 */

/* The devices of a real guest: console and network card. Part of qemu_vm_test. */

#include "engine/qemu/test_rig.h"

#include <arpa/inet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

/* Reads from a stream until `word` has come; what came is in `out`. */
static void read_until(int fd, const char *word, struct buf *out)
{
    while (!strstr(buf_str(out), word)) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 60000) != 1)
            fail_msg("waited for \"%s\", got only: %s", word, buf_str(out));
        char *room = buf_reserve(out, 4096);
        ssize_t n = read(fd, room, 4096);
        assert_true(n > 0);
        out->len += (size_t)n;
        out->data[out->len] = '\0';
    }
}

static int connect_console(const struct monitor *m)
{
    struct err e = ERR_INIT;
    int fd = engine_connect_console(t.en, m, &e);
    if (fd < 0)
        fail_msg("connect: %s", e.text);
    return fd;
}

void test_console(void **state)
{
    struct monitor m = rig_restore(t.first);
    auto_close int fd = rig_connect(&m);
    for (int i = 0; i < 2; i++) { /* whoever hung up may come again */
        auto_close int console = connect_console(&m);
        auto_buf struct buf out = {0};
        rig_assert_says(fd,
                        "rm -f /tmp/said; (exec 4<>/dev/ttyS0; echo ready >&4; read x <&4; "
                        "echo $x >/tmp/said) >/dev/null 2>&1 & echo",
                        "\n");
        read_until(console, "ready\r\n", &out);
        assert_int_equal(fd_write_all(console, "over\n", 5), 0);
        rig_assert_says(fd, "while ! [ -s /tmp/said ]; do usleep 10000; done; cat /tmp/said",
                        "over\n");
    }
    /* A guest that writes while nobody listens goes on. */
    rig_assert_says(fd, "dd if=/dev/zero of=/dev/ttyS0 bs=1k count=100 2>/dev/null; echo done",
                    "done\n");
    rig_kill(&m);
    struct err e = ERR_INIT;
    assert_true(engine_connect_console(t.en, &m, &e) < 0);
    assert_int_equal(e.class, ERR_UNAVAILABLE);
}

/* Brings up the host's end of the guest's network, 172.16.0.1/30. */
static int configure(const char *name)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xac100001)};
    auto_close int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq ifr = {0};
    snprintf(ifr.ifr_name, IFNAMSIZ, "%s", name);
    memcpy(&ifr.ifr_addr, &a, sizeof(a));
    if (ioctl(s, SIOCSIFADDR, &ifr) < 0)
        return -errno;
    a.sin_addr.s_addr = htonl(0xfffffffc);
    memcpy(&ifr.ifr_netmask, &a, sizeof(a));
    if (ioctl(s, SIOCSIFNETMASK, &ifr) < 0)
        return -errno;
    ifr.ifr_flags = IFF_UP;
    return ioctl(s, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

/* Makes a tap in a network namespace of its own, which lives as long as the descriptor. */
static int make_tap(short flags)
{
    auto_close int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    assert_int_equal(unshare(CLONE_NEWNET), 0);
    auto_close int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    struct ifreq ifr = {.ifr_name = "tap0", .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | flags)};
    int r = fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0 ? -errno : configure("tap0");
    assert_int_equal(setns(own, CLONE_NEWNET), 0);
    assert_int_equal(r, 0);
    return TAKE_FD(fd);
}

/* A card that was captured without a network has one in the clone, at the same address. */
void test_network(void **state)
{
    static const char *const ping =
        "ifconfig eth0 172.16.0.2 netmask 255.255.255.252 up; cat /sys/class/net/eth0/address; "
        "ping -c 1 -W 2 172.16.0.1 | grep -c 'bytes from'";
    auto_close int tap = make_tap(0);
    char id[ID_SIZE], dir[256];
    struct vm_spec spec = rig_spec(id, dir);
    spec.template_dir = t.first;
    spec.tap_fd = tap;
    struct monitor m;
    OK(engine_restore(t.en, &spec, &m, &e));
    t.all[t.n++] = m;
    auto_close int fd = rig_connect(&m);
    rig_assert_says(fd, ping, "02:68:6f:6c:6d:01\n1\n");
    rig_kill(&m);
    rig_assert_says(t.parent_fd, ping, "02:68:6f:6c:6d:01\n0\n");

    auto_close int other = make_tap(IFF_VNET_HDR);
    spec = rig_spec(id, dir);
    spec.template_dir = t.first;
    spec.tap_fd = other;
    struct err e = ERR_INIT;
    assert_true(engine_restore(t.en, &spec, &m, &e) < 0);
    assert_int_equal(e.class, ERR_INTERNAL);
    assert_non_null(strstr(e.text, "not a plain tap"));
}
