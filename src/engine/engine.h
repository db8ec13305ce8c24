/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How a VM is run: a struct of callbacks behind one choke point.
 *
 * The host never touches a monitor but through the functions below; they check their arguments,
 * trace each call (LOG_DEBUG, with its duration) and hand over to the engine's own operations. An
 * engine keeps no table of VMs: all it needs to find one again after the daemon was killed is
 * `struct monitor`, which the host stores.
 *
 * Files. A VM has a private directory (`vm_dir`, made by the host, owned by root 0700). The engine
 * puts there what it needs: the disk overlay, the agent's and monitor's sockets, the serial log.
 * Everything else a monitor sees is read-only.
 *
 * A *template* is a directory that `engine_capture` filled: memory image, device state, frozen
 * disk, and whatever the engine wants to know again. Restoring copies none of its memory: clones
 * map it privately. Templates and VMs hold hard links to what they stand on, so any of them, and
 * the image, may be removed or replaced (by rename, never written in place) at any time; they
 * should be on one file system.
 *
 * Threads: any thread; calls for one VM must not run at the same time (the host's VM lock sees to
 * it). Calls block. Errors: 0 or negative errno with `e` set; after a failed boot or restore no
 * process, mount, namespace, cgroup or file of that VM is left but vm_dir itself, which the host
 * removes. */

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "base/proc.h"

struct engine;

struct machine_shape {
    int vcpus;
    int memory_mib;
};

/* What to run. Strings are borrowed for the call. */
struct vm_spec {
    const char *id;     /* ID_LEN characters */
    const char *vm_dir; /* absolute, exists, private to this VM */
    struct machine_shape shape;
    /* boot: absolute path of the image's raw ext4; read only. NULL: the disk that is in vm_dir
     * already, of a VM that was stopped or whose monitor was lost */
    const char *rootfs;
    uint64_t disk_bytes;      /* boot: size of the disk, at least the image's; 0: as it is */
    const char *kernel;       /* boot: absolute path */
    const char *initrd;       /* boot: absolute path */
    const char *template_dir; /* restore: absolute path of a captured directory */
    uid_t uid; /* the uid and gid the monitor runs under, of this VM alone; 0: no change (fake only)
                */
    bool ephemeral; /* the disk's content need not survive a host crash: flushes are skipped */
    /* Of the VM's network card: a descriptor of a tap device, which stays the caller's. 0: the card
     * is there, as in every machine, but what it sends goes nowhere. */
    int tap_fd;
};

/* A running monitor; plain data, stored by the host in its database. */
struct monitor {
    char id[ID_SIZE];
    char vm_dir[PATH_MAX / 4];
    struct proc_ref proc; /* the monitor process */
    uid_t uid;
    struct machine_shape shape;
};

struct monitor_stats {
    uint64_t cpu_us;        /* host CPU time of the monitor */
    uint64_t pss_bytes;     /* proportional share of resident memory */
    uint64_t private_bytes; /* memory that only this VM has */
    uint64_t disk_bytes;    /* blocks of the overlays that are this VM's own */
    uint64_t io_bytes;      /* read and written by the guest's disk since its monitor started */
};

/* What a capture is for. */
enum capture_kind {
    CAPTURE_DURABLE,   /* a snapshot: synced and checksummed, complete before the call returns */
    CAPTURE_TRANSIENT, /* a fork's template: need not survive a crash of the host */
    CAPTURE_SUSPEND,   /* durable, and the guest stays paused: nothing it does is lost by a kill */
};

struct capture_times {
    int64_t pause_us; /* how long the guest stood still; until now when it is not resumed */
    int64_t total_us;
    uint64_t dirty_pages;
};

/* Where a monitor stands, asked of the monitor itself. */
enum monitor_state { MONITOR_GONE, MONITOR_RUNNING, MONITOR_PAUSED };

/* A fact about this host for `holm doctor`. */
struct engine_fact {
    const char *name; /* "kvm", "seccomp", "cgroup memory", ... */
    enum { FACT_YES, FACT_NO, FACT_DEGRADED } state;
    char detail[256]; /* a sentence: what was seen, and what to do when it is not FACT_YES */
};

/* Arguments of engine_new; strings are borrowed for the engine's life. */
struct engine_config {
    const char *qemu_binary; /* "qemu-system-x86_64" or a path */
    const char *accel;       /* "auto", "kvm" or "tcg" */
    const char *cgroup_root; /* where to make cgroups, NULL: find it */
    const char *helper_dir; /* where Holm's own helper files live (preload library, fake monitor) */
    bool jail;              /* false only in tests that run without privileges */
};

struct engine_ops {
    const char *name;
    int (*init)(struct engine *en, struct err *e);
    void (*done)(struct engine *en);
    int (*boot)(struct engine *en, const struct vm_spec *spec, struct monitor *ret, struct err *e);
    int (*restore)(struct engine *en, const struct vm_spec *spec, struct monitor *ret,
                   struct err *e);
    int (*pause)(struct engine *en, const struct monitor *m, struct err *e);
    int (*resume)(struct engine *en, const struct monitor *m, struct err *e);
    int (*capture)(struct engine *en, const struct monitor *m, const char *out_dir,
                   enum capture_kind kind, struct capture_times *ret, struct err *e);
    int (*flatten)(struct engine *en, const struct monitor *m, struct err *e);
    int (*resize_disk)(struct engine *en, const struct monitor *m, uint64_t bytes, struct err *e);
    int (*connect_console)(struct engine *en, const struct monitor *m, struct err *e);
    int (*power_button)(struct engine *en, const struct monitor *m, struct err *e);
    int (*kill)(struct engine *en, const struct monitor *m, struct err *e);
    int (*state)(struct engine *en, const struct monitor *m, enum monitor_state *ret,
                 struct err *e);
    int (*stats)(struct engine *en, const struct monitor *m, struct monitor_stats *ret,
                 struct err *e);
    int (*connect_agent)(struct engine *en, const struct monitor *m, struct err *e);
    int (*fingerprint)(struct engine *en, char *ret, size_t size, struct err *e);
    int (*facts)(struct engine *en, struct engine_fact *ret, int max);
};

struct engine {
    const struct engine_ops *ops;
    struct engine_config config;
    const char *accel; /* "kvm", "tcg", or "none"; set by init */
    void *data;        /* the engine's own */
};

extern const struct engine_ops engine_qemu_ops, engine_fake_ops;

/* Makes an engine by name ("qemu", "fake"). For qemu this finds the binary and measures the
 * accelerator. */
int engine_new(const char *name, const struct engine_config *config, struct engine **ret,
               struct err *e);
void engine_free(struct engine *en); /* NULL is fine; VMs go on running */

/* Starts a guest from its kernel; returns when the monitor runs (the guest is still booting). */
int engine_boot(struct engine *en, const struct vm_spec *spec, struct monitor *ret, struct err *e);

/* Starts a guest from a template; returns when the monitor has been started and the agent's socket
 * can be connected. That the guest really runs is known when its agent answers. */
int engine_restore(struct engine *en, const struct vm_spec *spec, struct monitor *ret,
                   struct err *e);

int engine_pause(struct engine *en, const struct monitor *m, struct err *e);  /* idempotent */
int engine_resume(struct engine *en, const struct monitor *m, struct err *e); /* idempotent */

/* Saves the VM into the new directory `out_dir` (made by the call, gone again when it fails), as a
 * template. The guest is stopped for the time of `ret->pause_us` and then is as before: running or
 * paused (CAPTURE_SUSPEND: paused; running again when the call fails); its disk goes on in a new
 * overlay. Memory is taken copy-on-write: only pages dirtied since its own template are read and
 * stored. */
int engine_capture(struct engine *en, const struct monitor *m, const char *out_dir,
                   enum capture_kind kind, struct capture_times *ret, struct err *e);

/* Each capture adds a layer to the VM's disk. Merges the VM's own layers of a running or paused VM
 * into few when there are many (ENGINE_LAYERS_FLATTEN), so that captures never run out of room;
 * templates that share a layer keep it. Does nothing when there are few. May take long; the guest
 * goes on meanwhile. Killed half way it leaves a disk that works. */
int engine_flatten(struct engine *en, const struct monitor *m, struct err *e);

/* Makes the disk of a running or paused VM larger; the guest sees it at once. Smaller is
 * ERR_INVALID. */
int engine_resize_disk(struct engine *en, const struct monitor *m, uint64_t bytes, struct err *e);

int engine_power_button(struct engine *en, const struct monitor *m, struct err *e);

/* Ends the monitor and removes everything of this VM outside vm_dir. Idempotent: gone already is 0.
 * With pid 0 (it is not known whether one was started) it removes what has the VM's name. */
int engine_kill(struct engine *en, const struct monitor *m, struct err *e);

int engine_state(struct engine *en, const struct monitor *m, enum monitor_state *ret,
                 struct err *e);
int engine_stats(struct engine *en, const struct monitor *m, struct monitor_stats *ret,
                 struct err *e);

/* Returns a connected stream socket to the guest's agent (the caller closes), or a negative errno.
 * One at a time: a second connection waits, connected but unheard, until the first is closed. When
 * the monitor has ended this is ERR_UNAVAILABLE and tells its last words. */
int engine_connect_agent(struct engine *en, const struct monitor *m, struct err *e);

/* Likewise a connected stream socket to the guest's serial console, both ways, one at a time. What
 * the guest writes while nobody is connected is lost. */
int engine_connect_console(struct engine *en, const struct monitor *m, struct err *e);

/* A line that changes whenever templates captured before can no longer be restored: engine, its
 * version, accelerator, CPU model, machine type. */
int engine_fingerprint(struct engine *en, char *ret, size_t size, struct err *e);

/* Fills at most `max` facts about this host; returns how many. */
int engine_facts(struct engine *en, struct engine_fact *ret, int max);
