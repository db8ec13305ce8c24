/* SPDX-License-Identifier: Apache-2.0 */
#include "api/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define BACKLOG 512

static int bad_address(const char *address, struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "listener \"%s\" is no address: write it like 127.0.0.1:8080, [::1]:8080 or "
                   "unix:/run/holm/api.sock",
                   address);
}

static int parse_port(const char *s, uint16_t *ret)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(s, &end, 10);
    if (*s < '0' || *s > '9' || *end || errno || n > 65535)
        return -EINVAL;
    *ret = (uint16_t)n;
    return 0;
}

static int parse(const char *address, struct sockaddr_storage *ret, socklen_t *ret_len)
{
    char host[64];
    const char *colon = strrchr(address, ':');
    uint16_t port;
    if (!colon || parse_port(colon + 1, &port) < 0)
        return -EINVAL;
    size_t n = (size_t)(colon - address);
    bool six = n >= 2 && address[0] == '[' && colon[-1] == ']';
    if (path_printf(host, sizeof(host), "%.*s", (int)(six ? n - 2 : n), address + six) < 0)
        return -EINVAL;
    *ret = (struct sockaddr_storage){0};
    if (six) {
        struct sockaddr_in6 *a = (struct sockaddr_in6 *)ret;
        a->sin6_family = AF_INET6;
        a->sin6_port = htons(port);
        *ret_len = sizeof(*a);
        return inet_pton(AF_INET6, host, &a->sin6_addr) == 1 ? 0 : -EINVAL;
    }
    struct sockaddr_in *a = (struct sockaddr_in *)ret;
    a->sin_family = AF_INET;
    a->sin_port = htons(port);
    *ret_len = sizeof(*a);
    const char *ip = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    return inet_pton(AF_INET, ip, &a->sin_addr) == 1 ? 0 : -EINVAL;
}

/* Asks the kernel which address it became, and writes it down. */
static int note_address(struct listener *l)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof(a);
    if (getsockname(l->fd, (struct sockaddr *)&a, &len) < 0)
        return -errno;
    char ip[INET6_ADDRSTRLEN];
    if (a.ss_family == AF_INET6) {
        const struct sockaddr_in6 *s = (const struct sockaddr_in6 *)&a;
        inet_ntop(AF_INET6, &s->sin6_addr, ip, sizeof(ip));
        l->is_loopback = IN6_IS_ADDR_LOOPBACK(&s->sin6_addr);
        snprintf(l->host, sizeof(l->host), "[%s]", ip);
        snprintf(l->address, sizeof(l->address), "[%s]:%d", ip, ntohs(s->sin6_port));
        return 0;
    }
    const struct sockaddr_in *s = (const struct sockaddr_in *)&a;
    inet_ntop(AF_INET, &s->sin_addr, ip, sizeof(ip));
    l->is_loopback = ntohl(s->sin_addr.s_addr) >> 24 == 127;
    snprintf(l->host, sizeof(l->host), "%s", ip);
    snprintf(l->address, sizeof(l->address), "%s:%d", ip, ntohs(s->sin_port));
    return 0;
}

static int bind_failed(const char *address, int r, struct err *e)
{
    switch (-r) {
    case EADDRINUSE:
        return err_set(e, ERR_CONFLICT,
                       "%s is in use: stop the program that listens there (ss -ltnp shows it), or "
                       "configure another address",
                       address);
    case EACCES:
        return err_set(e, ERR_FORBIDDEN,
                       "not allowed to listen at %s: ports below 1024 need CAP_NET_BIND_SERVICE; "
                       "configure a higher port",
                       address);
    case EADDRNOTAVAIL:
        return err_set(e, ERR_INVALID,
                       "%s is not an address of this machine (ip address shows those it has)",
                       address);
    }
    return err_errno(e, r, "listen at %s", address);
}

static int open_tcp(const char *address, struct listener *ret, struct err *e)
{
    struct sockaddr_storage a;
    socklen_t len;
    if (parse(address, &a, &len) < 0)
        return bad_address(address, e);
    auto_close int fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(e, -errno, "listen at %s", address);
    int one = 1;
    /* A restarted daemon must not wait for the old one's connections to time out. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        (a.ss_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0) ||
        bind(fd, (struct sockaddr *)&a, len) < 0 || listen(fd, BACKLOG) < 0)
        return bind_failed(address, -errno, e);
    struct listener l = {.fd = fd};
    int r = note_address(&l);
    if (r < 0)
        return err_errno(e, r, "ask for the address of %s", address);
    *ret = l;
    (void)TAKE_FD(fd);
    return 0;
}

static int open_unix(const char *address, unsigned mode, struct listener *ret, struct err *e)
{
    const char *path = address + strlen("unix:");
    if (*path != '/')
        return bad_address(address, e);
    struct listener l = {.is_unix = true, .is_loopback = true};
    if (path_printf(l.address, sizeof(l.address), "%s", address) < 0)
        return err_set(e, ERR_INVALID, "listener \"%s\": a socket's path has at most 107 bytes",
                       address);
    /* A socket that answers belongs to a daemon that runs: it is not taken away from it. */
    auto_close int probe = unix_connect(path);
    if (probe >= 0)
        return bind_failed(address, -EADDRINUSE, e);
    l.fd = unix_listen(path, mode ? mode : 0600, BACKLOG);
    if (l.fd < 0)
        return bind_failed(address, l.fd, e);
    *ret = l;
    return 0;
}

int listener_open(const char *address, unsigned unix_mode, struct listener *ret, struct err *e)
{
    if (strncmp(address, "unix:", 5) == 0)
        return open_unix(address, unix_mode, ret, e);
    return open_tcp(address, ret, e);
}

void listener_close(struct listener *l)
{
    if (l->fd >= 0)
        close(TAKE_FD(l->fd));
    if (l->is_unix)
        unlink(l->address + strlen("unix:"));
    l->is_unix = false;
}
