/* SPDX-License-Identifier: Apache-2.0 */

/* What a VM costs the host, from /proc, its disk's layers and its monitor. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "engine/qemu/disk.h"
#include "engine/qemu/layers.h"
#include "engine/qemu/qemu.h"

static int read_proc(pid_t pid, const char *name, struct buf *b)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    return file_read(path, b, 64 * KIB);
}

/* The value of a "Name:  N kB" line, in bytes. */
static uint64_t rollup_bytes(const char *text, const char *name)
{
    const char *p = strstr(text, name);
    uint64_t kib = 0;
    return p && sscanf(p + strlen(name), "%" SCNu64, &kib) == 1 ? kib * KIB : 0;
}

/* Fields 14 and 15 of /proc/PID/stat: user and system time, in ticks. */
static uint64_t cpu_us(const char *stat_text)
{
    uint64_t user = 0, system = 0;
    const char *p = strrchr(stat_text, ')');
    if (!p || sscanf(p + 1, " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64 " %" SCNu64,
                     &user, &system) != 2)
        return 0;
    return (user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

int stats_read(struct engine *en, const struct monitor *m, struct monitor_stats *ret, struct err *e)
{
    auto_buf struct buf stat_text = {0};
    auto_buf struct buf rollup = {0};
    /* Held open while /proc is read, so that the pid cannot become another's unnoticed... */
    auto_close int pidfd = proc_ref_open(&m->proc);
    int r = pidfd < 0 ? pidfd : read_proc(m->proc.pid, "stat", &stat_text);
    if (r == 0)
        r = read_proc(m->proc.pid, "smaps_rollup", &rollup);
    struct proc_ref now;
    /* ... and checked again, since a pidfd does not keep a reaped pid from being reused. */
    if (r == 0 && (proc_ref_of(m->proc.pid, &now) < 0 || now.start_ticks != m->proc.start_ticks))
        r = -ESRCH;
    if (r == -ESRCH || r == -ENOENT)
        return err_set(e, ERR_UNAVAILABLE, "the monitor has ended");
    if (r < 0)
        return err_errno(e, r, "read statistics of process %d", m->proc.pid);
    uint64_t io_bytes = 0;
    auto_qmp struct qmp q = QMP_INIT;
    r = qemu_connect(m, &q, e);
    if (r == 0)
        r = disk_io_bytes(&q, &io_bytes, e);
    if (r < 0)
        return err_wrap(e, r, "statistics");
    const char *text = buf_str(&rollup);
    *ret = (struct monitor_stats){
        .cpu_us = cpu_us(buf_str(&stat_text)),
        .pss_bytes = rollup_bytes(text, "\nPss:"),
        .private_bytes =
            rollup_bytes(text, "\nPrivate_Clean:") + rollup_bytes(text, "\nPrivate_Dirty:"),
        .disk_bytes = layers_own_bytes(m->vm_dir),
        .io_bytes = io_bytes,
    };
    return 0;
}
