/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/limits.h"
#include "engine/qemu/launch.h"
#include "host/host_priv.h"

/* What it takes of the host, in the admission's eyes. */
static const struct machine_shape reader_shape = {.vcpus = 1, .memory_mib = VM_MEMORY_MIN_MIB};

/* debugfs -c: the bitmaps are not looked at, which only writing would need. Reading is all it does
 * without -w. */
static const char script[] = "debugfs -c -R \"$1\" \"$2\" | $3";

int image_reader_open(struct image_reader *rd, struct host *h, const char *dir, struct err *e)
{
    char id[ID_SIZE];
    id_new(id);
    int r = admission_take(&h->admission, &reader_shape, NULL, &rd->uid, e);
    if (r < 0)
        return r;
    rd->host = h;
    rd->deadline_ms = clock_mono_ms() + IMAGE_READ_ALL_TIMEOUT_MS;
    path_printf(rd->rootfs, sizeof(rd->rootfs), "%s/rootfs.ext4", dir);
    path_printf(rd->scratch, sizeof(rd->scratch), "%s/.read-%s", dir, id);
    r = dir_make(rd->scratch, 0700);
    return r < 0 ? err_errno(e, r, "make room for what is read of its root file system") : 0;
}

void image_reader_close(struct image_reader *rd)
{
    if (!rd->host)
        return;
    dir_remove(rd->scratch);
    admission_give_back(&rd->host->admission, &reader_shape, rd->uid);
    rd->host = NULL;
}

/* Until its end, the deadline or the bound. */
static int collect(struct image_reader *rd, int fd, struct buf *ret, struct err *e)
{
    int64_t until_ms = clock_mono_ms() + IMAGE_READ_TIMEOUT_MS;
    until_ms = until_ms < rd->deadline_ms ? until_ms : rd->deadline_ms;
    for (;;) {
        int left_ms = clock_left_ms(until_ms);
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (rd->host->aborting || left_ms == 0)
            return err_set(e, ERR_INVALID, "its root file system takes too long to be read");
        if (poll(&p, 1, left_ms < 200 ? left_ms : 200) <= 0)
            continue;
        char *room = buf_reserve(ret, 4096);
        ssize_t n = room ? read(fd, room, 4096) : 0;
        if (!room)
            return err_set(e, ERR_INVALID, "a file of its modules is larger than %zu MiB",
                           ret->max_bytes >> 20);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? 0 : err_errno(e, -errno, "read a root file system");
        ret->len += (size_t)n;
        ret->data[ret->len] = '\0';
    }
}

static void build(struct image_reader *rd, const char *request, const char *filter,
                  struct launch *l, char helper_dir[PATH_MAX])
{
    const struct config *c = rd->host->config;
    host_helper_dir(c, helper_dir, PATH_MAX);
    l->helper_dir = helper_dir;
    l->vm_dir = rd->scratch;
    l->jail = c->jail;
    l->uid = rd->uid;
    l->file_bytes = LOG_LINE_MAX_BYTES * 16ULL;
    l->memory_bytes = IMAGE_READ_MEMORY_MAX_BYTES;
    if (c->jail)
        argv_add(&l->binds, "%s", rd->rootfs);
    argv_add(&l->program, "/bin/sh");
    argv_add(&l->program, "-c");
    argv_add(&l->program, "%s", script);
    argv_add(&l->program, "sh");
    argv_add(&l->program, "%s", request);
    argv_add(&l->program, "%s", c->jail ? "/rootfs.ext4" : rd->rootfs);
    argv_add(&l->program, "%s", filter);
}

static int run(struct image_reader *rd, const char *request, const char *filter, struct buf *ret,
               struct err *e)
{
    char helper_dir[PATH_MAX];
    int fds[2];
    struct proc_ref proc;
    auto_launch struct launch l = {0};
    build(rd, request, filter, &l, helper_dir);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(e, -errno, "read a root file system");
    auto_close int in = fds[0];
    auto_close int out = fds[1];
    l.out_fd = out;
    int r = launch_run(&l, &proc, e);
    if (r < 0)
        return r;
    close(TAKE_FD(out));
    r = collect(rd, in, ret, e);
    auto_close int pidfd = proc_ref_open(&proc);
    if (pidfd >= 0)
        (void)proc_kill_wait(pidfd, ENGINE_KILL_TIMEOUT_MS);
    return r;
}

static int with_path(struct image_reader *rd, const char *command, const char *path,
                     const char *filter, struct buf *ret, struct err *e)
{
    char request[IMAGE_READ_PATH_MAX_BYTES];
    int r = path_printf(request, sizeof(request), "%s %s", command, path);
    return r < 0 ? err_errno(e, r, "%s", path) : run(rd, request, filter, ret, e);
}

int image_reader_cat(struct image_reader *rd, const char *path, struct buf *ret, struct err *e)
{
    return with_path(rd, "cat", path, "cat", ret, e);
}

int image_reader_unpack(struct image_reader *rd, const char *path, struct buf *ret, struct err *e)
{
    static const struct {
        const char *suffix, *program;
    } ways[] = {{".xz", "xz -dc"}, {".zst", "zstd -dcq"}, {".gz", "gzip -dc"}};
    const char *filter = "cat";
    size_t len = strlen(path);
    for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
        size_t n = strlen(ways[i].suffix);
        if (len > n && strcmp(path + len - n, ways[i].suffix) == 0)
            filter = ways[i].program;
    }
    return with_path(rd, "cat", path, filter, ret, e);
}

/* Lines of "ls -p" are /inode/mode/uid/gid/name/size/. */
int image_reader_list(struct image_reader *rd, const char *path, struct buf *ret, struct err *e)
{
    auto_buf struct buf lines = {.max_bytes = IMAGE_TABLE_MAX_BYTES};
    int r = with_path(rd, "ls -p", path, "cat", &lines, e);
    for (char *save, *line = r == 0 && lines.len ? strtok_r(lines.data, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        char *p = line;
        for (int slashes = 0; *p && slashes < 5; p++)
            slashes += *p == '/';
        size_t n = strcspn(p, "/");
        if (n && *p != '.')
            buf_printf(ret, "%.*s\n", (int)n, p);
    }
    return r;
}
