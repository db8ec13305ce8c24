/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/fake/board.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/limits.h"
#include "engine/fake/bounds.h"

/* --- the beginning --- */

static int begin_restored(struct board *b, const struct board_start *s, struct err *e)
{
    char path[PATH_MAX];
    auto_buf struct buf state = {0};
    struct guest *g = &b->guest;
    int r = path_printf(path, sizeof(path), "%s/state", s->template_dir);
    r = r < 0 ? r : file_read(path, &state, FAKE_STATE_MAX_BYTES);
    if (r < 0)
        return err_errno(e, r, "read %s/state", s->template_dir);
    r = disk_clone(&g->disk, s->vm_dir, s->template_dir, &g->files, e);
    if (r < 0)
        return r;
    r = guest_load(g, state.data, state.len, e);
    return r < 0 ? err_wrap(e, r, "%s", path) : 0;
}

static int begin_kept(struct board *b, const struct board_start *s, struct err *e)
{
    struct guest *g = &b->guest;
    int r = disk_open(&g->disk, s->vm_dir, &g->files, e);
    if (r < 0)
        return r;
    struct disk_shape shape = g->disk.shape;
    if (s->device_bytes > shape.device_bytes) {
        shape.device_bytes = s->device_bytes;
        r = disk_reshape(&g->disk, &shape);
    }
    return r < 0 ? err_errno(e, r, "grow the disk in %s", s->vm_dir) : 0;
}

static int begin_new(struct board *b, const struct board_start *s, struct err *e)
{
    struct guest *g = &b->guest;
    g->disk.shape = (struct disk_shape){
        .device_bytes = s->device_bytes ? s->device_bytes : s->image_bytes,
        .fs_bytes = s->image_bytes,
        .layers = 1,
    };
    int r = disk_create(&g->disk, s->vm_dir, &g->files, e);
    if (r < 0)
        return r;
    r = guest_install(g);
    return r < 0 ? err_errno(e, r, "install the guest") : 0;
}

int board_begin(struct board *b, const struct board_start *s, struct err *e)
{
    if (s->template_dir)
        return begin_restored(b, s, e);
    int r = s->disk_is_kept ? begin_kept(b, s, e) : begin_new(b, s, e);
    b->guest.files.written_bytes = 0;
    if (r == 0)
        guest_boot(&b->guest);
    return r;
}

void board_done(struct board *b)
{
    guest_done(&b->guest);
}

/* --- requests --- */

static void set_paused(struct board *b, bool paused)
{
    if (paused && !b->is_paused)
        guest_wake(&b->guest); /* what has happened already is not left half done */
    int64_t now_us = clock_mono_us();
    if (b->is_paused && !paused)
        guest_skip(&b->guest, now_us - b->paused_us);
    if (!b->is_paused)
        b->paused_us = now_us;
    b->is_paused = paused;
}

/* Synced only where the template has to survive the host. */
static int write_part(const char *dir, const char *name, const struct buf *data, bool durable)
{
    char path[PATH_MAX];
    int r = path_printf(path, sizeof(path), "%s/%s", dir, name);
    if (r < 0 || durable)
        return r < 0 ? r : file_write_atomic(path, data->data, data->len, 0600);
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : fd_write_all(fd, data->data, data->len);
}

static int write_parts(struct board *b, const char *dir, bool durable, struct buf *ret,
                       struct err *e)
{
    struct guest *g = &b->guest;
    auto_buf struct buf state = {.max_bytes = FAKE_STATE_MAX_BYTES};
    auto_buf struct buf disk = {.max_bytes = FAKE_DISK_MAX_BYTES};
    int r = guest_save(g, &state);
    r = r < 0 ? r : disk_save(&g->disk.shape, &g->files, &disk);
    r = r < 0 ? r : write_part(dir, "state", &state, durable);
    r = r < 0 ? r : write_part(dir, "disk", &disk, durable);
    if (r < 0)
        return err_errno(e, r, "write to %s", dir);
    r = buf_printf(ret, " %zu %016" PRIx64 " %016" PRIx64, state.len,
                   pack_hash(PACK_HASH_START, state.data, state.len),
                   pack_hash(PACK_HASH_START, disk.data, disk.len));
    return r < 0 ? err_errno(e, r, "answer") : 0;
}

/* The disk goes on in a new layer. */
static int add_layer(struct board *b, struct err *e)
{
    struct disk_shape shape = b->guest.disk.shape;
    shape.layers++;
    int r = disk_reshape(&b->guest.disk, &shape);
    return r < 0 ? err_errno(e, r, "add a layer to the disk") : 0;
}

/* The guest stands still all the while, since this is its only thread. */
static int save(struct board *b, const char *args, struct buf *ret, struct err *e)
{
    static const char suspend[] = "suspend ", durable[] = "durable ";
    const char *dir = strchr(args, ' ');
    bool suspends = strncmp(args, suspend, strlen(suspend)) == 0;
    bool is_durable = suspends || strncmp(args, durable, strlen(durable)) == 0;
    int64_t start_us = clock_mono_us();
    auto_buf struct buf rest = {0};
    if (!dir)
        return err_set(e, ERR_INVALID, "save what?");
    if (b->guest.disk.shape.layers >= ENGINE_LAYERS_MAX)
        return err_set(e, ERR_CONFLICT,
                       "the disk has %" PRId64 " layers already, the most there may be",
                       b->guest.disk.shape.layers);
    if (!b->is_paused)
        guest_wake(&b->guest);
    int r = write_parts(b, dir + 1, is_durable, &rest, e);
    r = r < 0 ? r : add_layer(b, e);
    if (r < 0)
        return r;
    buf_printf(ret, " %s %" PRId64 "%s", b->is_paused ? "paused" : "running",
               clock_mono_us() - start_us, buf_str(&rest));
    if (suspends)
        set_paused(b, true);
    return 0;
}

static int flatten(struct board *b, struct err *e)
{
    struct disk_shape shape = b->guest.disk.shape;
    if (shape.layers <= ENGINE_LAYERS_FLATTEN)
        return 0;
    shape.layers = 1;
    int r = disk_reshape(&b->guest.disk, &shape);
    return r < 0 ? err_errno(e, r, "flatten the disk") : 0;
}

static int resize(struct board *b, const char *text, struct err *e)
{
    struct disk_shape shape = b->guest.disk.shape;
    char *end;
    errno = 0;
    long long bytes = strtoll(text, &end, 10);
    if (errno || *end || bytes < shape.device_bytes)
        return err_set(e, ERR_INVALID, "the disk has %" PRId64 " bytes and cannot become smaller",
                       shape.device_bytes);
    shape.device_bytes = bytes;
    int r = disk_reshape(&b->guest.disk, &shape);
    return r < 0 ? err_errno(e, r, "resize the disk") : 0;
}

static int stats(struct board *b, struct buf *ret, struct err *e)
{
    const struct guest *g = &b->guest;
    int64_t now_us = b->is_paused ? b->paused_us : clock_mono_us();
    return buf_printf(ret, " %zu %" PRId64 " %" PRIu64, g->files.bytes, guest_cpu_us(g, now_us),
                      g->files.written_bytes + g->io_bytes);
}

/* The guest of a power button shuts down at once; a paused one cannot. */
static int press_power(struct board *b)
{
    if (!b->is_paused && !b->guest.ignores_power)
        b->quit = true;
    return 0;
}

/* What stands behind the word and a space; NULL: it is another word. */
static const char *after(const char *request, const char *word)
{
    size_t len = strlen(word);
    return strncmp(request, word, len) == 0 && request[len] == ' ' ? request + len + 1 : NULL;
}

int board_ask(struct board *b, const char *request, struct buf *ret, struct err *e)
{
    const char *args;
    if (strcmp(request, "state") == 0)
        return buf_append_str(ret, b->is_paused ? " paused" : " running");
    if (strcmp(request, "stats") == 0)
        return stats(b, ret, e);
    if (strcmp(request, "power") == 0)
        return press_power(b);
    if (strcmp(request, "flatten") == 0)
        return flatten(b, e);
    if ((args = after(request, "save")))
        return save(b, args, ret, e);
    if ((args = after(request, "resize")))
        return resize(b, args, e);
    if (strcmp(request, "pause") == 0 || strcmp(request, "resume") == 0)
        set_paused(b, request[0] == 'p');
    else if (strcmp(request, "quit") == 0)
        b->quit = true;
    else
        return err_set(e, ERR_INVALID, "unknown request");
    return 0;
}
