/* SPDX-License-Identifier: Apache-2.0 */

/* What is kept of builds: a small JSON file and a log each. */

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "host/builds_priv.h"
#include "host/host_priv.h"
#include "wire/field.h"

#define KEEP (int64_t) BUILD_LOG_KEEP_BYTES

void builds_path(const struct builds *s, const char *id, const char *suffix, char *ret)
{
    path_printf(ret, PATH_MAX, "%s/logs/builds/%s%s", s->host->config->data_dir, id, suffix);
}

/* --- records --- */

/* Steps and reasons have names of strangers' files in them, and are cut where their room ends: what
 * is no UTF-8 is written down without its odd bytes, rather than not at all. */
static json_t *text_json(const char *text)
{
    char plain[sizeof(((struct build_info *)0)->detail)];
    json_t *o = json_string(text);
    if (o)
        return o;
    size_t n = 0;
    for (; text[n] && n + 1 < sizeof(plain); n++)
        plain[n] = (unsigned char)text[n] < 0x80 ? text[n] : '?';
    plain[n] = '\0';
    return json_string(plain);
}

static json_t *record_json(const struct build_info *i)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:s, s:o, s:o, s:I, s:I, s:I}", "id", i->id, "kind",
                     i->kind, "name", i->name, "leaves_image", i->leaves_image, "state",
                     build_state_name(i->state), "step", text_json(i->step), "detail",
                     text_json(i->detail), "created_ns", (json_int_t)i->created_ns, "started_ns",
                     (json_int_t)i->started_ns, "ended_ns", (json_int_t)i->ended_ns);
}

void builds_note(const struct builds *s, const struct build_info *info)
{
    char path[PATH_MAX];
    builds_path(s, info->id, ".json", path);
    auto_json json_t *o = record_json(info);
    auto_free char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
    int r = text ? file_write_atomic(path, text, strlen(text), 0600) : -ENOMEM;
    if (r < 0)
        log_warn("builds", "build=%s cannot be noted: %s", info->id, strerror(-r));
}

static bool find_state(const char *name, enum build_state *ret)
{
    for (enum build_state s = BUILD_WAITING; s <= BUILD_CANCELLED; s++) {
        if (strcmp(build_state_name(s), name) == 0) {
            *ret = s;
            return true;
        }
    }
    return false;
}

/* What a former daemon wrote; false: it is nothing of ours. */
static bool read_record(const char *path, const char *id, struct build_info *ret)
{
    const char *its_id, *kind, *name, *state, *step, *detail;
    json_int_t created, started, ended;
    int leaves_image = 0;
    auto_buf struct buf b = {0};
    if (file_read(path, &b, BUILD_RECORD_MAX_BYTES) < 0)
        return false;
    auto_json json_t *o = json_loadb(buf_str(&b), b.len, JSON_REJECT_DUPLICATES, NULL);
    if (!o || json_unpack(o, "{s:s, s:s, s:s, s?b, s:s, s:s, s:s, s:I, s:I, s:I}", "id", &its_id,
                          "kind", &kind, "name", &name, "leaves_image", &leaves_image, "state",
                          &state, "step", &step, "detail", &detail, "created_ns", &created,
                          "started_ns", &started, "ended_ns", &ended) < 0)
        return false;
    *ret = (struct build_info){.created_ns = created,
                               .started_ns = started,
                               .ended_ns = ended,
                               .leaves_image = leaves_image};
    if (strcmp(its_id, id) != 0 || !find_state(state, &ret->state))
        return false;
    snprintf(ret->id, sizeof(ret->id), "%s", id);
    snprintf(ret->kind, sizeof(ret->kind), "%s", kind);
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    snprintf(ret->step, sizeof(ret->step), "%s", step);
    snprintf(ret->detail, sizeof(ret->detail), "%s", detail);
    return true;
}

int builds_read(struct builds *s, int (*each)(struct builds *s, const struct build_info *info),
                struct err *e)
{
    char dir[PATH_MAX], path[PATH_MAX];
    builds_path(s, "", "", dir);
    int r = dir_make(dir, 0700);
    if (r < 0)
        return err_errno(e, r, "make %s", dir);
    auto_closedir DIR *d = opendir(dir);
    for (struct dirent *de; r == 0 && d && (de = readdir(d));) {
        char id[ID_SIZE];
        struct build_info info;
        const char *dot = strchr(de->d_name, '.');
        if (!dot || dot - de->d_name != ID_LEN || strcmp(dot, ".json") != 0)
            continue;
        snprintf(id, sizeof(id), "%s", de->d_name);
        builds_path(s, id, ".json", path);
        if (id_valid(id) && read_record(path, id, &info))
            r = each(s, &info);
        else
            log_warn("builds", "%s is no record of a build, and is left alone", path);
    }
    return r < 0 ? err_errno(e, r, "read %s", dir) : 0;
}

void builds_forget(const struct builds *s, const char *id)
{
    static const char *const suffixes[] = {".json", ".log"};
    for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
        char path[PATH_MAX];
        builds_path(s, id, suffixes[i], path);
        unlink(path);
    }
}

/* --- logs --- */

int builds_open_log(struct build *b, struct err *e)
{
    char path[PATH_MAX];
    builds_path(b->builds, b->info.id, ".log", path);
    b->log_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    b->log_bytes = 0;
    return b->log_fd < 0 ? err_errno(e, -errno, "open %s", path) : 0;
}

void builds_close_log(struct build *b)
{
    cleanup_close(&b->log_fd);
    b->log_fd = -EBADF;
}

/* Only the end of it, from the beginning of a line on. */
static void shorten(struct build *b)
{
    auto_free char *tail = malloc((size_t)KEEP);
    ssize_t n = tail ? pread(b->log_fd, tail, (size_t)KEEP, b->log_bytes - KEEP) : -1;
    if (n <= 0)
        return;
    const char *from = memchr(tail, '\n', (size_t)n);
    from = from ? from + 1 : tail;
    if (ftruncate(b->log_fd, 0) < 0)
        return;
    b->log_bytes = tail + n - from;
    (void)fd_write_all(b->log_fd, from, (size_t)b->log_bytes);
}

void build_log(struct build *b, const void *data, size_t len)
{
    const char *p = data;
    while (len && b->log_fd >= 0) {
        size_t n = len < 65536 ? len : 65536;
        if (fd_write_all(b->log_fd, p, n) < 0)
            return; /* the disk is full: what is built fails for the same reason, and says it */
        b->log_bytes += (int64_t)n;
        p += n;
        len -= n;
        if (b->log_bytes > 2 * KEEP)
            shorten(b);
    }
}

int host_build_log(struct host *h, const char *id, struct buf *ret, struct err *e)
{
    struct build_info info;
    char path[PATH_MAX];
    int r = host_build_get(h, id, &info, e);
    if (r < 0)
        return r;
    builds_path(h->builds, info.id, ".log", path);
    r = file_read(path, ret, (size_t)(2 * KEEP) + 65536);
    return r < 0 && r != -ENOENT ? err_errno(e, r, "read the log of a build") : 0;
}
