/* SPDX-License-Identifier: Apache-2.0 */

/* What this host can and cannot do, without starting or changing anything: the engine's facts,
 * whether the kernel and the images are there, whether VMs can have networks. */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/engine.h"
#include "host/config.h"
#include "host/host.h"
#include "host/host_priv.h"
#include "host/languages.h"
#include "host/net_nft.h"
#include "host/net_ns.h"

#define FACTS_MAX 64
#define FACTS_OWN_MAX 16 /* of FACTS_MAX */
#define DISK_FREE_GIB 5  /* less is told */

DEFINE_AUTO(struct engine *, engine_free)

static const char *const state_names[] = {
    [FACT_YES] = "yes", [FACT_NO] = "no", [FACT_DEGRADED] = "degraded"};

static void add(struct engine_fact *facts, int *n, const struct engine_fact *fact)
{
    if (*n < FACTS_MAX)
        facts[(*n)++] = *fact;
}

static __attribute__((format(printf, 5, 6))) void
say(struct engine_fact *facts, int *n, const char *name, int state, const char *fmt, ...)
{
    struct engine_fact f = {.name = name, .state = state};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f.detail, sizeof(f.detail), fmt, ap);
    va_end(ap);
    add(facts, n, &f);
}

/* --- images --- */

static void add_images(const struct config *c, struct engine_fact *facts, int *n)
{
    struct engine_fact f = {.name = "images", .state = FACT_YES};
    const struct language_image *image;
    int there = 0, total = 0, missing = 0;
    char path[PATH_MAX], names[160] = "";
    for (; (image = languages_image(languages_in_use(), (size_t)total)); total++) {
        path_printf(path, sizeof(path), "%s/images/%s/rootfs.ext4", c->data_dir, image->name);
        if (access(path, R_OK) == 0) {
            there++;
        } else if (image->is_default) { /* others are the owner's choice */
            size_t len = strlen(names);
            snprintf(names + len, sizeof(names) - len, "%s%s", missing++ ? " " : "", image->name);
        }
    }
    if (missing)
        f.state = there ? FACT_DEGRADED : FACT_NO;
    snprintf(f.detail, sizeof(f.detail), "%d of %d languages' images are in %.120s/images%s%s%s",
             there, total, c->data_dir, missing ? "; run images/build " : "", names,
             missing || there == total ? "" : "; images/build --all makes all");
    add(facts, n, &f);
}

static void add_kernel(const struct config *c, struct engine_fact *facts, int *n)
{
    struct engine_fact f = {.name = "guest kernel", .state = FACT_YES};
    char path[PATH_MAX];
    path_printf(path, sizeof(path), "%s/kernel/version", c->data_dir);
    auto_buf struct buf b = {0};
    if (file_read(path, &b, 4096) < 0) {
        f.state = FACT_NO;
        snprintf(f.detail, sizeof(f.detail), "no guest kernel in %.120s/kernel; run images/build",
                 c->data_dir);
    } else {
        snprintf(f.detail, sizeof(f.detail), "%.*s", (int)strcspn(buf_str(&b), "\n"), buf_str(&b));
    }
    add(facts, n, &f);
}

/* --- disk --- */

/* The data directory may not be there yet; then what it will be made in. */
static void add_disk(const struct config *c, struct engine_fact *facts, int *n)
{
    char dir[PATH_MAX];
    struct statvfs fs;
    path_printf(dir, sizeof(dir), "%s", c->data_dir);
    int r;
    while ((r = statvfs(dir, &fs)) < 0 && errno == ENOENT) {
        char *slash = strrchr(dir, '/');
        if (!slash || !slash[1])
            break;
        slash[slash == dir] = '\0';
    }
    if (r < 0)
        return;
    uint64_t free_gib = (uint64_t)fs.f_bavail * fs.f_frsize / GIB;
    bool enough = free_gib >= DISK_FREE_GIB;
    say(facts, n, "disk", enough ? FACT_YES : FACT_DEGRADED, "%llu GiB are free for %.120s%s.",
        (unsigned long long)free_gib, c->data_dir,
        enough ? "" : ": disks, snapshots and suspended VMs may not fit");
}

/* --- networks --- */

static bool has_capability(uint64_t mask, int capability)
{
    return mask >> capability & 1;
}

static uint64_t own_capabilities(void)
{
    auto_buf struct buf b = {0};
    unsigned long long mask = 0;
    if (file_read("/proc/self/status", &b, 64 * KIB) < 0)
        return 0;
    const char *line = strstr(buf_str(&b), "CapEff:");
    return line && sscanf(line, "CapEff: %llx", &mask) == 1 ? mask : 0;
}

/* Returns whether netfilter may be asked at all. */
static bool add_rights(struct engine_fact *facts, int *n)
{
    uint64_t mask = own_capabilities();
    if (has_capability(mask, CAP_NET_ADMIN) && has_capability(mask, CAP_SYS_ADMIN))
        say(facts, n, "network rights", FACT_YES, "CAP_NET_ADMIN and CAP_SYS_ADMIN are there.");
    else
        say(facts, n, "network rights", FACT_NO,
            "VMs have no network without CAP_NET_ADMIN and CAP_SYS_ADMIN: run holmd as root, or "
            "give them to its container.");
    if (has_capability(mask, CAP_SYS_RESOURCE))
        say(facts, n, "disk growth", FACT_YES, "CAP_SYS_RESOURCE is there.");
    else
        say(facts, n, "disk growth", FACT_DEGRADED,
            "Without CAP_SYS_RESOURCE the disk of a VM that runs grows to %llu GiB at most; beyond "
            "that it has to be stopped.",
            ENGINE_DISK_ROOM_BYTES / GIB);
    return has_capability(mask, CAP_NET_ADMIN);
}

static void add_tun(struct engine_fact *facts, int *n)
{
    auto_close int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        say(facts, n, "tun device", FACT_YES, "/dev/net/tun can be opened.");
    else
        say(facts, n, "tun device", FACT_NO,
            "VMs have no network: /dev/net/tun: %s. Load the module tun, or give the device to "
            "holmd's container.",
            strerror(errno));
}

static void add_nftables(struct engine_fact *facts, int *n)
{
    struct nft_ctx *nft = NULL;
    struct err why = ERR_INIT;
    int r = net_nft_open(&nft);
    if (r < 0)
        err_errno(&why, r, "its socket");
    else
        r = net_nft_run(nft, "list tables\n", &why);
    if (nft)
        net_nft_close(nft);
    if (r == 0)
        say(facts, n, "nftables", FACT_YES, "The kernel answers for its tables.");
    else
        say(facts, n, "nftables", FACT_NO,
            "VMs have no network: %.150s. Load the module nf_tables.", why.text);
}

static void add_forwarding(struct engine_fact *facts, int *n)
{
    char v4 = net_ns_sysctl_get("ipv4/ip_forward");
    char v6_off = net_ns_sysctl_get("ipv6/conf/all/disable_ipv6");
    say(facts, n, "ip forwarding", FACT_YES, "net.ipv4.ip_forward is %s.",
        v4 == '1' ? "on" : "off; holmd turns it on when it starts");
    if (v6_off == '0')
        say(facts, n, "ipv6", FACT_YES, "VMs have IPv6 inside; outside as far as this host has.");
    else
        say(facts, n, "ipv6", FACT_DEGRADED,
            "This host has no IPv6 (net.ipv6.conf.all.disable_ipv6): VMs have IPv4 only.");
}

static void add_resolver(const struct config *c, struct engine_fact *facts, int *n)
{
    auto_buf struct buf b = {0};
    char address[80] = "";
    if (c->network_resolver[0]) {
        say(facts, n, "resolver", FACT_YES, "VMs' questions go to %.80s (network.resolver).",
            c->network_resolver);
        return;
    }
    (void)file_read("/etc/resolv.conf", &b, 64 * KIB);
    char *rest = b.data;
    for (char *line; rest && !address[0] && (line = strsep(&rest, "\n"));)
        (void)sscanf(line, " nameserver %79s", address);
    if (address[0])
        say(facts, n, "resolver", FACT_YES, "VMs' questions go to %s (/etc/resolv.conf).", address);
    else
        say(facts, n, "resolver", FACT_DEGRADED,
            "VMs cannot look up names: /etc/resolv.conf names no nameserver, and network.resolver "
            "is not set.");
}

static void add_networks(const struct config *c, struct engine_fact *facts, int *n)
{
    bool may_ask = add_rights(facts, n);
    if (!c->network) {
        say(facts, n, "networks", FACT_DEGRADED, "The configuration turns VMs' networks off.");
        return;
    }
    add_tun(facts, n);
    if (may_ask)
        add_nftables(facts, n);
    add_forwarding(facts, n);
    add_resolver(c, facts, n);
}

/* --- all of it --- */

static int open_engine(const struct config *c, const char *helper_dir, struct engine **ret,
                       struct err *e)
{
    struct engine_config ec = {
        .qemu_binary = c->qemu,
        .accel = c->accelerator,
        .helper_dir = helper_dir,
        .jail = c->jail,
    };
    return engine_new(c->engine, &ec, ret, e);
}

static json_t *facts_to_json(const struct engine_fact *facts, int n)
{
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s}", "name", facts[i].name, "state",
                                        state_names[facts[i].state], "detail", facts[i].detail));
    return list;
}

int host_doctor(const struct config *config, struct buf *ret, struct err *e)
{
    char helper_dir[PATH_MAX];
    struct engine_fact facts[FACTS_MAX];
    int n = 0;
    struct err why = ERR_INIT;
    CLEANUP(engine_freep) struct engine *en = NULL;
    int r = host_helper_dir(config, helper_dir, sizeof(helper_dir));
    if (r < 0)
        return err_errno(e, r, "find the helper programs");
    r = open_engine(config, helper_dir, &en, &why);
    if (r < 0) {
        struct engine_fact f = {.name = "engine", .state = FACT_NO};
        snprintf(f.detail, sizeof(f.detail), "%.250s", why.text);
        add(facts, &n, &f);
    } else {
        n = engine_facts(en, facts, FACTS_MAX - FACTS_OWN_MAX);
    }
    add_kernel(config, facts, &n);
    add_images(config, facts, &n);
    add_disk(config, facts, &n);
    add_networks(config, facts, &n);
    json_t *doc = json_pack("{s:s, s:s, s:s, s:s, s:o}", "version", HOLM_VERSION, "engine",
                            config->engine, "accelerator", en ? en->accel : "none", "data_dir",
                            config->data_dir, "facts", facts_to_json(facts, n));
    char *text = doc ? json_dumps(doc, JSON_INDENT(2)) : NULL;
    json_decref(doc);
    if (!text)
        return err_errno(e, -ENOMEM, "doctor");
    r = buf_printf(ret, "%s\n", text);
    free(text);
    return r;
}
