/* SPDX-License-Identifier: Apache-2.0 */

/* What `holm doctor` tells about this host. Each wall of the jail is tried, not looked up: a file
 * that exists proves little. */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "engine/qemu/launch.h"
#include "engine/qemu/qemu.h"

struct list {
    struct engine_fact *facts;
    int n;
    int max;
};

static __attribute__((format(printf, 4, 5))) void add(struct list *l, const char *name, int state,
                                                      const char *fmt, ...)
{
    if (l->n == l->max)
        return;
    struct engine_fact *f = &l->facts[l->n++];
    *f = (struct engine_fact){.name = name, .state = state};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->detail, sizeof(f->detail), fmt, ap);
    va_end(ap);
}

static void add_accelerator(struct list *l, const struct qemu *qemu)
{
    add(l, "qemu", FACT_YES, "%.100s, version %s.", qemu->binary, qemu->version);
    if (qemu->accel.device)
        add(l, "kvm device", FACT_YES, "/dev/kvm can be opened.");
    else
        add(l, "kvm device", FACT_NO,
            "/dev/kvm cannot be opened: enable virtualization in the firmware, load kvm_intel or "
            "kvm_amd, or let the host above nest.");
    if (qemu->accel.kvm)
        add(l, "accelerator", FACT_YES, "KVM: %s.", qemu->accel.reason);
    else
        add(l, "accelerator", FACT_DEGRADED,
            "TCG, 8 to 10 times slower than KVM: %s. Everything works; use a host with hardware "
            "virtualization for speed.",
            qemu->accel.reason);
}

static void add_cgroups(struct list *l, const struct cgroup_host *h)
{
    static const char *const names[CGROUP_COUNT] = {"cgroup memory", "cgroup cpu", "cgroup pids"};
    for (int c = 0; c < CGROUP_COUNT; c++) {
        if (*h->base[c])
            add(l, names[c], FACT_YES, "Bounded per VM by cgroup v%d under %.180s.", h->version,
                h->base[c]);
        else
            add(l, names[c], FACT_DEGRADED,
                "No cgroup may be made for it, so a VM's %s is bounded by its shape only: run "
                "under "
                "systemd with Delegate=yes, or set cgroup_root.",
                cgroup_name(c));
    }
}

/* Runs /usr/bin/true in a jail. */
static void add_jail(struct list *l, const struct engine *en)
{
    char dir[] = "/tmp/holm-doctor.XXXXXX", log[64];
    struct err e = ERR_INIT;
    int r = geteuid() == 0 ? 0 : err_set(&e, ERR_FORBIDDEN, "not running as root");
    if (r == 0 && !mkdtemp(dir))
        r = err_errno(&e, -errno, "make %s", dir);
    if (r == 0) {
        auto_launch struct launch launch = {
            .helper_dir = en->config.helper_dir, .vm_dir = dir, .jail = true, .uid = 65534};
        struct proc_ref proc;
        argv_add(&launch.program, "/usr/bin/true");
        r = launch_run(&launch, &proc, &e);
        auto_close int pidfd = r == 0 ? proc_ref_open(&proc) : -EBADF;
        if (pidfd >= 0)
            (void)proc_wait(pidfd, ENGINE_LAUNCH_TIMEOUT_MS, NULL);
        snprintf(log, sizeof(log), "%s/monitor.log", dir);
        unlink(log);
        rmdir(dir);
    }
    if (r == 0)
        add(l, "jail", FACT_YES,
            "Monitors run under a uid of their own without capabilities, in mount, pid, network, "
            "ipc and uts namespaces that hold nothing but /usr, read-only.");
    else
        add(l, "jail", FACT_NO, "%.180s. Run holmd as root on a kernel with namespaces.", e.text);
    if (!en->config.jail)
        add(l, "jail enabled", FACT_NO, "The configuration turns the jail off.");
}

static void add_seccomp(struct list *l)
{
    if (access("/proc/sys/kernel/seccomp/actions_avail", R_OK) == 0)
        add(l, "seccomp", FACT_YES,
            "QEMU's sandbox is on: no new programs, privileges, or scheduling changes.");
    else
        add(l, "seccomp", FACT_NO, "This kernel has no seccomp filters: use one that does.");
}

static void add_pagemap(struct list *l)
{
    uint64_t entry = 0;
    int word = 1; /* a page that is certainly present */
    auto_close int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    off_t at = (off_t)((uintptr_t)&word / (uintptr_t)sysconf(_SC_PAGESIZE) * 8);
    if (fd >= 0 && pread(fd, &entry, 8, at) == 8 && entry >> 63)
        add(l, "page map", FACT_YES, "Changed pages can be told from shared ones.");
    else
        add(l, "page map", FACT_NO,
            "/proc/PID/pagemap is not readable: VMs cannot be captured. Run holmd as root.");
}

static void add_hugepages(struct list *l)
{
    auto_buf struct buf b = {0};
    if (file_read("/sys/kernel/mm/transparent_hugepage/enabled", &b, 4096) < 0)
        add(l, "huge pages", FACT_DEGRADED,
            "This kernel has no transparent huge pages; guests run a little slower.");
    else
        add(l, "huge pages", FACT_YES, "Transparent huge pages: %.*s.",
            (int)strcspn(buf_str(&b), "\n"), buf_str(&b));
}

static void add_nested(struct list *l)
{
    static const char *const files[] = {"/sys/module/kvm_intel/parameters/nested",
                                        "/sys/module/kvm_amd/parameters/nested"};
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        auto_buf struct buf b = {0};
        if (file_read(files[i], &b, 64) == 0 && strchr("Y1", buf_str(&b)[0])) {
            add(l, "nested", FACT_YES, "Guests may run VMs of their own.");
            return;
        }
    }
    add(l, "nested", FACT_DEGRADED,
        "Guests cannot run hardware-accelerated VMs of their own; few need to.");
}

static void add_memory(struct list *l)
{
    struct sysinfo si;
    if (sysinfo(&si) == 0) {
        uint64_t free_mib = ((uint64_t)si.freeram + si.bufferram) * si.mem_unit / MIB;
        add(l, "memory", free_mib >= 1024 ? FACT_YES : FACT_DEGRADED, "%llu MiB are free%s.",
            (unsigned long long)free_mib,
            free_mib >= 1024 ? "" : ", besides caches: few VMs will fit");
    }
}

int facts_list(struct engine *en, struct engine_fact *ret, int max)
{
    const struct qemu *qemu = en->data;
    struct list l = {.facts = ret, .max = max};
    add_accelerator(&l, qemu);
    add_jail(&l, en);
    add_seccomp(&l);
    add_cgroups(&l, &qemu->cgroups);
    add_pagemap(&l);
    add_hugepages(&l);
    add_nested(&l);
    add_memory(&l);
    return l.n;
}
