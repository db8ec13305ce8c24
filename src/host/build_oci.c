/* SPDX-License-Identifier: Apache-2.0 */
#include "host/build_oci.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "engine/qemu/launch.h"
#include "host/host_priv.h"
#include "host/image_rows.h"

#define MKFS_TIMEOUT_MS 120000
#define LOOK_EVERY_MS 250 /* at the free room */
#define BLOCKS_A_MIB 256
#define SIZE_DEFAULT_MIB                                                    \
    2048 /* as images by recipe have it; what is larger gets a quarter more \
          */
#define JOURNAL_MIB 8
#define INODES_SPARE 65536

/* What it takes of the host, in the admission's eyes. */
static const struct machine_shape shape = {.vcpus = 1, .memory_mib = VM_MEMORY_MIN_MIB};

/* One run of holm-oci. */
struct unpack {
    struct build *build;
    const char *work;
    uid_t uid;
    int archive, out; /* `out` negative: only a plan */
    int64_t out_bytes;
    /* What it said. */
    bool ok;
    uint64_t inodes, blocks;
    struct err failed;
};

/* Beside the other helpers; in a build tree not. */
static int find_program(const struct config *config, char helper_dir[PATH_MAX], char ret[PATH_MAX],
                        struct err *e)
{
    static const char *const places[] = {"holm-oci", "../oci/holm-oci"};
    host_helper_dir(config, helper_dir, PATH_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        if (path_printf(ret, PATH_MAX, "%s/%s", helper_dir, places[i]) == 0 &&
            access(ret, X_OK) == 0)
            return 0;
    }
    return err_set(e, ERR_UNAVAILABLE, "holm-oci is not in %s", helper_dir);
}

/* --- what it says --- */

static void take_line(struct unpack *u, char *line)
{
    unsigned long long a, b;
    char class[16];
    int at = 0;
    if (sscanf(line, "progress %llu %llu", &a, &b) == 2)
        build_progress(u->build, (int64_t)a, (int64_t)b);
    else if (sscanf(line, "size %llu %llu", &a, &b) == 2) {
        u->inodes = a;
        u->blocks = b;
        u->ok = true;
    } else if (strcmp(line, "ok") == 0) {
        u->ok = true;
    } else if (sscanf(line, "error %15s %n", class, &at) == 1 && at > 0) {
        bool is_full = strcmp(class, err_class_name(ERR_FULL)) == 0;
        err_set(&u->failed, is_full ? ERR_FULL : ERR_INVALID, "%.500s", line + at);
    }
}

static void take_lines(struct unpack *u, struct buf *b)
{
    for (char *nl; b->len && (nl = memchr(b->data, '\n', b->len));) {
        *nl = '\0';
        take_line(u, b->data);
        buf_consume(b, (size_t)(nl + 1 - b->data));
    }
}

/* Until its end. A small archive may unpack to what the disk has, of which VMs live: so the room is
 * looked at while it works, and at its end. */
static int follow(struct unpack *u, int fd, struct err *e)
{
    auto_buf struct buf lines = {.max_bytes = 2 * BUILD_LINE_MAX_BYTES};
    int64_t until_ms = clock_mono_ms() + BUILD_TIMEOUT_MS;
    for (;;) {
        struct pollfd p[] = {{.fd = fd, .events = POLLIN},
                             {.fd = build_cancel_fd(u->build), .events = POLLIN}};
        int left_ms = clock_left_ms(until_ms);
        int n = poll(p, 2, left_ms < LOOK_EVERY_MS ? left_ms : LOOK_EVERY_MS);
        if (left_ms == 0)
            return err_set(e, ERR_TIMEOUT, "unpacking it takes too long");
        if (n > 0 && p[1].revents)
            return err_set(e, ERR_CONFLICT, "it was cancelled");
        int r = u->out < 0 ? 0 : build_check_room(u->out, 0, e);
        if (r < 0)
            return r;
        if (n < 0 || !p[0].revents)
            continue;
        char *room = buf_reserve(&lines, BUILD_LINE_MAX_BYTES);
        ssize_t got = room ? read(fd, room, BUILD_LINE_MAX_BYTES) : -1;
        if (got <= 0)
            return got == 0 ? 0 : err_set(e, ERR_INTERNAL, "holm-oci says what it should not");
        lines.len += (size_t)got;
        take_lines(u, &lines);
    }
}

/* --- running it --- */

static int prepare(const struct unpack *u, struct launch *l, char helper_dir[PATH_MAX],
                   struct err *e)
{
    char program[PATH_MAX];
    const struct config *c = build_host(u->build)->config;
    int r = find_program(c, helper_dir, program, e);
    if (r < 0)
        return r;
    l->helper_dir = helper_dir;
    l->vm_dir = u->work;
    l->jail = c->jail;
    l->uid = u->uid;
    l->file_bytes = (uint64_t)u->out_bytes + LOG_LINE_MAX_BYTES * 16ULL;
    l->memory_bytes = OCI_MEMORY_MAX_BYTES;
    if (c->jail)
        argv_add(&l->binds, "%s", program);
    argv_add(&l->program, "%s", c->jail ? "/holm-oci" : program);
    argv_add(&l->program, "%s", u->out < 0 ? "plan" : "fill");
    int fd = launch_give(l, u->archive, e);
    if (fd < 0)
        return fd;
    argv_add(&l->program, "%d", fd);
    if (u->out < 0)
        return 0;
    fd = launch_give(l, u->out, e);
    if (fd >= 0)
        argv_add(&l->program, "%d", fd);
    return fd < 0 ? fd : 0;
}

static int unpack(struct unpack *u, struct err *e)
{
    char helper_dir[PATH_MAX];
    int fds[2];
    struct proc_ref proc;
    auto_launch struct launch l = {0};
    u->ok = false;
    int r = prepare(u, &l, helper_dir, e);
    if (r < 0)
        return r;
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(e, -errno, "pipe");
    auto_close int in = fds[0];
    auto_close int out = fds[1];
    l.out_fd = out;
    r = launch_run(&l, &proc, e);
    if (r < 0)
        return r;
    close(TAKE_FD(out));
    r = follow(u, in, e);
    auto_close int pidfd = proc_ref_open(&proc);
    if (pidfd >= 0)
        (void)proc_kill_wait(pidfd, ENGINE_KILL_TIMEOUT_MS);
    if (r < 0)
        return r;
    if (u->failed.class) {
        if (e)
            *e = u->failed;
        return u->failed.class == ERR_FULL ? -ENOSPC : -EINVAL;
    }
    return u->ok ? 0
                 : err_set(e, ERR_INVALID,
                           "it cannot be unpacked: holm-oci ended without a word "
                           "(more memory than it may have?)");
}

/* --- the file system --- */

static int size_of(const struct unpack *u, int asked_mib)
{
    uint64_t mib = u->blocks / BLOCKS_A_MIB + u->inodes / 4096 + JOURNAL_MIB;
    mib += mib / 4 + 64;
    if (mib < SIZE_DEFAULT_MIB)
        mib = SIZE_DEFAULT_MIB;
    if (mib > BUILD_SIZE_MAX_MIB)
        mib = BUILD_SIZE_MAX_MIB;
    return asked_mib ? asked_mib : (int)mib;
}

static int make_empty(struct unpack *u, const char *path, int size_mib, struct err *e)
{
    char inodes[32], journal[32];
    const int journal_mib = size_mib < 64 ? 4 : JOURNAL_MIB;
    auto_close int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    u->out_bytes = (int64_t)size_mib << 20;
    if (fd < 0 || ftruncate(fd, u->out_bytes) < 0)
        return err_errno(e, -errno, "make the file system");
    /* A small one is given as many as mke2fs finds right, and what is in it. */
    uint64_t usual = (uint64_t)size_mib * 64, wanted = u->inodes + INODES_SPARE;
    if (size_mib < 512)
        wanted = u->inodes + u->inodes / 4 + 64;
    snprintf(inodes, sizeof(inodes), "%llu", (unsigned long long)(usual > wanted ? usual : wanted));
    snprintf(journal, sizeof(journal), "size=%d", journal_mib);
    const char *const argv[] = {"/usr/sbin/mke2fs",
                                "-q",
                                "-F",
                                "-t",
                                "ext4",
                                "-b",
                                "4096",
                                "-m",
                                "0",
                                "-L",
                                "holm",
                                "-N",
                                inodes,
                                "-J",
                                journal,
                                "-E",
                                "lazy_itable_init=0,lazy_journal_init=0",
                                path,
                                NULL};
    int r = proc_run(argv, MKFS_TIMEOUT_MS, NULL, e);
    if (r < 0)
        return err_wrap(e, r, "make a file system of %d MiB", size_mib);
    u->out = TAKE_FD(fd);
    return 0;
}

static int write_json(const struct container *c, const char *dir, const char *rootfs, struct err *e)
{
    char path[PATH_MAX], when[CLOCK_RFC3339_SIZE];
    struct stat st;
    if (stat(rootfs, &st) < 0)
        return err_errno(e, -errno, "look at %s", rootfs);
    clock_rfc3339(clock_real_ns(), when);
    json_t *o = json_pack("{s:s, s:s, s:[], s:s, s:I, s:I}", "name", c->name, "source",
                          c->kind == UPLOAD_OCI ? "oci" : "dockerfile", "languages", "created_at",
                          when, "size_bytes", (json_int_t)st.st_size, "allocated_bytes",
                          (json_int_t)st.st_blocks * 512);
    auto_free char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
    json_decref(o);
    path_printf(path, sizeof(path), "%s/image.json", dir);
    int r = text ? file_write_atomic(path, text, strlen(text), 0644) : -ENOMEM;
    return r < 0 ? err_errno(e, r, "write image.json") : 0;
}

/* The directory takes the former one's place in one step; that is removed with the work. */
static int publish(const struct container *c, struct host *h, const char *dir, struct err *e)
{
    char to[PATH_MAX];
    image_path(h, c->name, "", to);
    if (chmod(dir, 0755) < 0)
        return err_errno(e, -errno, "publish the image");
    if (rename(dir, to) == 0)
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return err_errno(e, -errno, "publish the image");
    if (renameat2(AT_FDCWD, dir, AT_FDCWD, to, RENAME_EXCHANGE) < 0)
        return err_errno(e, -errno, "publish the image");
    return 0;
}

static int fill(struct unpack *u, const struct container *c, const char *rootfs, struct err *e)
{
    build_step(u->build, "look at the layers");
    int r = unpack(u, e);
    if (r < 0)
        return r;
    int size_mib = size_of(u, c->size_mib);
    build_logf(u->build, "%llu files, %llu MiB; a file system of %d MiB\n",
               (unsigned long long)u->inodes, (unsigned long long)u->blocks / BLOCKS_A_MIB,
               size_mib);
    build_step(u->build, "make the file system");
    r = make_empty(u, rootfs, size_mib, e);
    if (r < 0)
        return r;
    build_step(u->build, "unpack the layers");
    r = unpack(u, e);
    if (r == 0 && (fchmod(u->out, 0444) < 0 || fsync(u->out) < 0))
        r = err_errno(e, -errno, "write the file system");
    return r;
}

int container_make(struct build *b, const struct container *c, const char *archive, struct err *e)
{
    struct host *h = build_host(b);
    char dir[PATH_MAX], rootfs[PATH_MAX];
    struct unpack u = {.build = b, .work = c->work, .out = -EBADF};
    int r = path_printf(dir, sizeof(dir), "%s/out", c->work);
    r = r < 0 ? r : path_printf(rootfs, sizeof(rootfs), "%s/rootfs.ext4", dir);
    r = r < 0 ? r : dir_make(dir, 0700);
    if (r < 0)
        return err_errno(e, r, "make room for an image");
    auto_close int fd = open(archive, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, -errno, "open what was uploaded");
    u.archive = fd;
    r = admission_take(&h->admission, &shape, NULL, &u.uid, e);
    if (r < 0)
        return r;
    r = fill(&u, c, rootfs, e);
    cleanup_close(&u.out);
    admission_give_back(&h->admission, &shape, u.uid);
    if (r == 0)
        r = write_json(c, dir, rootfs, e);
    if (r == 0)
        build_step(b, "publish");
    return r < 0 ? r : publish(c, h, dir, e);
}
