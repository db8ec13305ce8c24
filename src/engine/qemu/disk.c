/* SPDX-License-Identifier: Apache-2.0 */

/* Nodes are named by the number of their layer: "l7" is the format, over the file "f7", or "n7"
 * when flushes are not passed on. Jobs are named JOB, so a daemon that finds one knows whose it
 * was.
 *
 * Flattening lets QEMU copy the content of the layers between into the last one (block-stream),
 * then point that one's header at what is left below. Killed before, the disk has a bit more in its
 * last layer than it needs, and after, one or the other chain is true, both whole. What is no
 * longer needed is removed only when the header has reached the host's disk. */

#include "engine/qemu/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "engine/qemu/args.h"
#include "engine/qemu/qemu.h"

#define JOB "flatten"
#define POLL_MIN_MS 2
#define POLL_MAX_MS 100

/* Which layer the disk writes. query-block would tell more, but its answer grows with the square of
 * the number of layers. */
static int ask_top(struct qmp *q, int *ret, struct err *e)
{
    auto_json json_t *drive = NULL;
    int r = qmp_run(q, "qom-get",
                    json_pack("{s:s s:s}", "path", "/machine/peripheral/disk", "property", "drive"),
                    &drive, e);
    if (r < 0)
        return r;
    const char *node = json_string_value(drive);
    if (!node || sscanf(node, "l%8d", ret) != 1 || *ret < 1)
        return err_set(e, ERR_UNAVAILABLE, "the monitor's disk is %.32s, not one of its layers",
                       node ? node : "gone");
    return 0;
}

static int remove_node(struct qmp *q, const char *name)
{
    return qmp_run(q, "blockdev-del", json_pack("{s:s}", "node-name", name), NULL, NULL);
}

static void remove_nodes(struct qmp *q, const struct disk *d, int number)
{
    char name[ARGS_WORD_SIZE];
    snprintf(name, sizeof(name), "l%d", number);
    (void)remove_node(q, name);
    args_file_name(number, d->no_flush, name);
    (void)remove_node(q, name);
}

/* The number in a node's name, -1 when it has none. */
static int node_number(json_t *node)
{
    const char *name = json_string_value(json_object_get(node, "node-name"));
    int number;
    return name && name[0] && sscanf(name + 1, "%8d", &number) == 1 ? number : -1;
}

static int ask_nodes(struct qmp *q, json_t **ret, struct err *e)
{
    return qmp_run(q, "query-blockstats", json_pack("{s:b}", "query-nodes", 1), ret, e);
}

static bool has_node(json_t *nodes, const char *name)
{
    size_t i;
    json_t *node;
    json_array_foreach(nodes, i, node)
    {
        const char *other = json_string_value(json_object_get(node, "node-name"));
        if (other && strcmp(other, name) == 0)
            return true;
    }
    return false;
}

/* Removes the nodes of layers that the disk does not stand on, the highest first: each is in use by
 * the one above. */
static void remove_leftovers(struct qmp *q, const struct disk *d, json_t *nodes)
{
    for (int below = INT32_MAX;;) {
        size_t i;
        json_t *node;
        int highest = -1;
        json_array_foreach(nodes, i, node)
        {
            int number = node_number(node);
            if (number < below && number > highest && !layers_have(&d->chain, number))
                highest = number;
        }
        if (highest < 0)
            return;
        remove_nodes(q, d, highest);
        below = highest;
    }
}

/* The status of our job, "" when there is none. */
static int job_status(struct qmp *q, char ret[32], struct err *job_error, struct err *e)
{
    auto_json json_t *jobs = NULL;
    ret[0] = '\0';
    int r = qmp_run(q, "query-jobs", NULL, &jobs, e);
    size_t i;
    json_t *job;
    json_array_foreach(jobs, i, job)
    {
        const char *id = json_string_value(json_object_get(job, "id"));
        const char *status = json_string_value(json_object_get(job, "status"));
        const char *error = json_string_value(json_object_get(job, "error"));
        if (!id || strcmp(id, JOB) != 0 || !status)
            continue;
        snprintf(ret, 32, "%s", status);
        if (error)
            err_set(job_error, ERR_INTERNAL, "merge disk layers: %s", error);
    }
    return r;
}

static int job_command(struct qmp *q, const char *command, struct err *e)
{
    return qmp_run(q, command, json_pack("{s:s}", "id", JOB), NULL, e);
}

/* Ends what a killed daemon's flattening left. */
static int end_job(struct qmp *q, struct err *e)
{
    for (bool cancelled = false;;) {
        char status[32];
        struct err ignored = ERR_INIT;
        int r = job_status(q, status, &ignored, e);
        if (r < 0 || !*status)
            return r;
        if (strcmp(status, "concluded") == 0)
            return job_command(q, "job-dismiss", e);
        if (!cancelled)
            (void)job_command(q, "job-cancel", NULL);
        cancelled = true;
        if (clock_left_ms(q->deadline_ms) == 0)
            return err_set(e, ERR_TIMEOUT, "a merge of disk layers does not end");
        poll(NULL, 0, POLL_MIN_MS);
    }
}

int disk_open(struct qmp *q, const char *vm_dir, struct disk *ret, struct err *e)
{
    struct disk d = {.vm_dir = vm_dir};
    auto_json json_t *nodes = NULL;
    int top = 0;
    int r = end_job(q, e);
    if (r == 0)
        r = ask_top(q, &top, e);
    if (r == 0)
        r = ask_nodes(q, &nodes, e);
    if (r == 0)
        r = layers_read(vm_dir, top, &d.chain, e);
    if (r == 0)
        r = layers_disk_bytes(vm_dir, top, &d.bytes, e);
    if (r < 0)
        return r;
    char name[ARGS_WORD_SIZE];
    args_file_name(top, true, name);
    d.no_flush = has_node(nodes, name);
    remove_leftovers(q, &d, nodes);
    layers_tidy(vm_dir, &d.chain);
    *ret = d;
    return 0;
}

static int add_node(struct qmp *q, const struct argv *text, struct err *e)
{
    json_t *node = text->failed ? NULL : json_loads(text->v[text->n - 1], 0, NULL);
    if (!node)
        return err_errno(e, -ENOMEM, "block node");
    return qmp_run(q, "blockdev-add", node, NULL, e);
}

/* Hands both descriptors over and makes the nodes. */
static int add_nodes(struct qmp *q, const struct disk *d, const char *path, struct err *e)
{
    int number = layers_top(&d->chain);
    char word[ARGS_WORD_SIZE];
    auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
    auto_close int read_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read_fd < 0)
        return err_errno(e, -errno, "open %s", path);
    args_write_word(number, word);
    int set = qmp_add_fd(q, fd, -1, word, e);
    if (set < 0)
        return set;
    int r = qmp_add_fd(q, read_fd, set, NULL, e);
    auto_argv struct argv nodes = {0};
    args_file_node(&nodes, number, set, true, d->no_flush);
    if (r >= 0)
        r = add_node(q, &nodes, e);
    const struct args_layer layer = {number, ARGS_NO_BACKING, true, d->no_flush};
    args_layer_node(&nodes, &layer);
    return r < 0 ? r : add_node(q, &nodes, e);
}

int disk_push(struct qmp *q, struct disk *d, struct err *e)
{
    char path[PATH_MAX];
    int r = layers_push(d->vm_dir, &d->chain, d->bytes, e);
    if (r < 0)
        return r;
    d->pushed = true;
    r = layers_path(d->vm_dir, layers_top(&d->chain), path, e);
    return r < 0 ? r : add_nodes(q, d, path, e);
}

json_t *disk_switch_arguments(const struct disk *d)
{
    char node[16], overlay[16];
    snprintf(node, sizeof(node), "l%d", d->chain.number[d->chain.n - 2]);
    snprintf(overlay, sizeof(overlay), "l%d", layers_top(&d->chain));
    return json_pack("{s:s s:s}", "node", node, "overlay", overlay);
}

void disk_pop(struct qmp *q, struct disk *d)
{
    char path[PATH_MAX];
    if (!d->pushed)
        return;
    int number = layers_top(&d->chain);
    remove_nodes(q, d, number);
    if (layers_path(d->vm_dir, number, path, NULL) == 0)
        unlink(path);
    d->chain.n--;
    d->pushed = false;
}

/* --- flattening --- */

static uint64_t layer_bytes(const struct disk *d, int i)
{
    char path[PATH_MAX];
    struct stat st;
    if (layers_path(d->vm_dir, d->chain.number[i], path, NULL) < 0 || stat(path, &st) < 0)
        return 0;
    return (uint64_t)st.st_blocks * 512;
}

/* Chooses the layer to end up on: few shall be left, but a large layer is not copied for the sake
 * of small ones above it. So what a byte costs over all merges grows with the logarithm only. */
static int choose_base(const struct disk *d)
{
    int base = d->chain.n - 2;
    uint64_t above_bytes = layer_bytes(d, d->chain.n - 1);
    for (; base > 0; base--) {
        uint64_t bytes = layer_bytes(d, base);
        if (base + 2 <= ENGINE_LAYERS_FLATTEN / 2 && bytes > 2 * above_bytes + 16 * MIB)
            break;
        above_bytes += bytes;
    }
    return base;
}

static int start_job(struct qmp *q, const struct disk *d, int base, struct err *e)
{
    char top_node[16], base_node[16], base_name[LAYERS_NAME_SIZE];
    snprintf(top_node, sizeof(top_node), "l%d", layers_top(&d->chain));
    snprintf(base_node, sizeof(base_node), "l%d", d->chain.number[base]);
    layers_name(d->chain.number[base], base_name);
    return qmp_run(q, "block-stream",
                   json_pack("{s:s s:s s:s s:s s:b s:b}", "job-id", JOB, "device", top_node,
                             "base-node", base_node, "backing-file", base_name, "auto-finalize", 0,
                             "auto-dismiss", 0),
                   NULL, e);
}

/* Brings what was copied to the host's disk before the header that relies on it. */
static int flush_top(struct qmp *q, const struct disk *d, struct err *e)
{
    char command[64];
    auto_json json_t *answer = NULL;
    snprintf(command, sizeof(command), "qemu-io l%d flush", layers_top(&d->chain));
    int r = qmp_run(q, "human-monitor-command", json_pack("{s:s}", "command-line", command),
                    &answer, e);
    const char *text = json_string_value(answer);
    if (r == 0 && text && *text)
        r = err_set(e, ERR_INTERNAL, "flush: %s", text);
    return r;
}

static int sync_top(const struct disk *d, struct err *e)
{
    char path[PATH_MAX];
    int r = layers_path(d->vm_dir, layers_top(&d->chain), path, e);
    if (r < 0)
        return r;
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? err_errno(e, -errno, "sync %s", path) : 0;
}

/* Brings the job to its end; the connection is given up while nothing is to be said. */
static int finish_job(const struct monitor *m, struct qmp *q, const struct disk *d, struct err *e)
{
    for (int wait_ms = POLL_MIN_MS;; wait_ms = wait_ms < POLL_MAX_MS ? 2 * wait_ms : POLL_MAX_MS) {
        char status[32];
        struct err failed = ERR_INIT;
        int r = job_status(q, status, &failed, e);
        if (r < 0)
            return r;
        if (!*status)
            return err_set(e, ERR_INTERNAL, "the merge of disk layers is gone");
        if (strcmp(status, "concluded") == 0) {
            r = job_command(q, "job-dismiss", e);
            if (r == 0 && failed.class != ERR_NONE)
                r = err_set(e, failed.class, "%s", failed.text);
            return r;
        }
        if (strcmp(status, "pending") == 0) {
            r = d->no_flush ? 0 : flush_top(q, d, e);
            r = r < 0 ? r : job_command(q, "job-finalize", e);
            if (r < 0)
                return r;
            continue;
        }
        qmp_done(q);
        poll(NULL, 0, wait_ms);
        r = qemu_connect(m, q, e);
        if (r < 0)
            return r;
    }
}

int disk_merge(const struct monitor *m, struct qmp *q, struct disk *d, struct err *e)
{
    int base = choose_base(d), before = d->chain.n;
    int64_t start_us = clock_mono_us();
    if (base == d->chain.n - 2)
        return 0;
    int r = start_job(q, d, base, e);
    if (r == 0)
        r = finish_job(m, q, d, e);
    /* A mere rename of what is below must not be lost either, hence also without flushes. */
    if (r == 0)
        r = sync_top(d, e);
    if (r == 0)
        r = disk_open(q, m->vm_dir, d, e);
    log_debug("engine", "merged vm=%s layers=%d left=%d result=%d us=%lld", m->id, before,
              d->chain.n, r, (long long)(clock_mono_us() - start_us));
    return r;
}

int disk_flatten(struct engine *en, const struct monitor *m, struct err *e)
{
    auto_qmp struct qmp q = QMP_INIT;
    struct disk d = {0};
    int r = qemu_connect(m, &q, e);
    if (r == 0)
        r = disk_open(&q, m->vm_dir, &d, e);
    if (r == 0 && d.chain.n > ENGINE_LAYERS_FLATTEN)
        r = disk_merge(m, &q, &d, e);
    return r < 0 ? err_wrap(e, r, "flatten") : 0;
}

/* --- other operations --- */

/* Finds the monitor's numbers of the descriptor that was given with this word. */
static bool find_descriptor(struct qmp *q, const char *word, int *ret_set, int *ret_fd)
{
    auto_json json_t *sets = NULL;
    if (qmp_run(q, "query-fdsets", NULL, &sets, NULL) < 0)
        return false;
    size_t i, k;
    json_t *set, *fd;
    json_array_foreach(sets, i, set)
    {
        json_array_foreach(json_object_get(set, "fds"), k, fd)
        {
            const char *opaque = json_string_value(json_object_get(fd, "opaque"));
            if (!opaque || strcmp(opaque, word) != 0)
                continue;
            *ret_set = (int)json_integer_value(json_object_get(set, "fdset-id"));
            *ret_fd = (int)json_integer_value(json_object_get(fd, "fd"));
            return true;
        }
    }
    return false;
}

int disk_freeze(struct qmp *q, const struct disk *d, struct err *e)
{
    int number = d->chain.number[d->chain.n - 2], set, fd;
    char word[ARGS_WORD_SIZE];
    args_write_word(number, word);
    if (!find_descriptor(q, word, &set, &fd))
        return 0;
    auto_argv struct argv node = {0};
    args_file_node(&node, number, set, false, d->no_flush);
    json_t *options = node.failed ? NULL : json_loads(node.v[0], 0, NULL);
    if (!options)
        return err_errno(e, -ENOMEM, "block node");
    int r = qmp_run(q, "blockdev-reopen", json_pack("{s:[o]}", "options", options), NULL, e);
    if (r == 0)
        r = qmp_run(q, "remove-fd", json_pack("{s:i s:i}", "fdset-id", set, "fd", fd), NULL, e);
    return r;
}

/* How long a file can get that the process writes; read from /proc, as prlimit wants a capability
 * even for reading another's. */
static uint64_t bytes_bound(pid_t pid)
{
    char path[64];
    auto_buf struct buf b = {0};
    unsigned long long bytes = 0;
    snprintf(path, sizeof(path), "/proc/%d/limits", pid);
    if (file_read(path, &b, 64 * KIB) < 0)
        return 0;
    const char *line = strstr(buf_str(&b), "Max file size");
    if (line && strncmp(line + 26, "unlimited", 9) == 0)
        return UINT64_MAX;
    return line && sscanf(line, "Max file size %llu", &bytes) == 1 ? bytes : 0;
}

/* The bound on the monitor's files was made for the disk as it was. */
static int raise_file_bound(const struct monitor *m, uint64_t disk_bytes, struct err *e)
{
    rlim_t bytes = layers_file_max_bytes(disk_bytes);
    struct rlimit limit = {bytes, bytes};
    /* While the descriptor is open and the process not reaped, the pid cannot be another's. */
    auto_close int pidfd = proc_ref_open(&m->proc);
    if (pidfd < 0)
        return err_errno(e, pidfd, "the monitor");
    if (bytes_bound(m->proc.pid) >= bytes || prlimit(m->proc.pid, RLIMIT_FSIZE, &limit, NULL) == 0)
        return 0;
    if (errno == EPERM)
        return err_set(e, ERR_CONFLICT,
                       "to more than %llu GiB it can only grow while the VM is "
                       "stopped (raising its bound takes CAP_SYS_RESOURCE)",
                       ENGINE_DISK_ROOM_BYTES / GIB);
    return err_errno(e, -errno, "raise the monitor's bound on files");
}

int disk_resize(struct engine *en, const struct monitor *m, uint64_t bytes, struct err *e)
{
    auto_qmp struct qmp q = QMP_INIT;
    struct disk d = {0};
    char node[16];
    if (bytes == 0 || bytes % 512 != 0 || bytes > INT64_MAX)
        return err_set(e, ERR_INVALID, "a disk of %llu bytes is not whole sectors",
                       (unsigned long long)bytes);
    int r = qemu_connect(m, &q, e);
    if (r == 0)
        r = disk_open(&q, m->vm_dir, &d, e);
    if (r == 0 && bytes < d.bytes)
        r = err_set(e, ERR_INVALID, "the disk has %llu bytes and cannot shrink to %llu",
                    (unsigned long long)d.bytes, (unsigned long long)bytes);
    if (r == 0 && bytes > d.bytes)
        r = raise_file_bound(m, bytes, e);
    if (r < 0)
        return err_wrap(e, r, "resize the disk");
    snprintf(node, sizeof(node), "l%d", layers_top(&d.chain));
    r = qmp_run(&q, "block_resize",
                json_pack("{s:s s:I}", "node-name", node, "size", (json_int_t)bytes), NULL, e);
    return r < 0 ? err_wrap(e, r, "resize the disk") : 0;
}

int disk_io_bytes(struct qmp *q, uint64_t *ret, struct err *e)
{
    auto_json json_t *blocks = NULL;
    int r = qmp_run(q, "query-blockstats", NULL, &blocks, e);
    if (r < 0)
        return r;
    json_t *stats = json_object_get(json_array_get(blocks, 0), "stats");
    json_int_t read = json_integer_value(json_object_get(stats, "rd_bytes"));
    json_int_t written = json_integer_value(json_object_get(stats, "wr_bytes"));
    *ret = (uint64_t)(read < 0 ? 0 : read) + (uint64_t)(written < 0 ? 0 : written);
    return 0;
}
