/* SPDX-License-Identifier: Apache-2.0 */
#include "host/remote_manifest.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "wire/field.h"

#define FORMAT 1
#define EXTENTS_AT_ONCE 64 /* the array always has room up to a multiple of it */

const char *const remote_kind_names[] = {
    [REMOTE_IMAGE] = "image", [REMOTE_TEMPLATE] = "template", NULL};

bool remote_name_ok(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-@.+#");
    return n > 0 && n < REMOTE_NAME_SIZE && !name[n] && name[0] != '.' && name[0] != '-';
}

static bool file_name_ok(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.");
    return n > 0 && n < REMOTE_FILE_NAME_SIZE && !name[n] && name[0] != '.' &&
           strcmp(name, "journal.json") != 0;
}

static bool sum_ok(const char *text)
{
    return strlen(text) == REMOTE_SUM_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == REMOTE_SUM_SIZE - 1;
}

void remote_file_clear(struct remote_file *f)
{
    free(f->parts);
    free(f->extents);
    f->parts = NULL;
    f->extents = NULL;
    f->n_parts = f->n_extents = 0;
    f->done = false;
    f->upload_id[0] = f->sha256[0] = '\0';
}

void remote_manifest_done(struct remote_manifest *m)
{
    for (size_t i = 0; i < REMOTE_FILES_MAX; i++)
        remote_file_clear(&m->files[i]);
    m->n_files = 0;
}

int64_t remote_object_bytes(const struct remote_file *f)
{
    const struct remote_part *last = f->n_parts ? &f->parts[f->n_parts - 1] : NULL;
    return last ? last->at + last->bytes : 0;
}

int64_t remote_data_bytes(const struct remote_file *f)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < f->n_extents; i++)
        bytes += f->extents[i].bytes;
    return bytes;
}

bool remote_extents_grow(struct remote_file *f, size_t n)
{
    if (n % EXTENTS_AT_ONCE)
        return true;
    struct remote_extent *more = realloc(f->extents, (n + EXTENTS_AT_ONCE) * sizeof(*f->extents));
    if (!more)
        return false;
    f->extents = more;
    return true;
}

/* --- reading --- */

static bool copy(char *ret, size_t size, const char *text)
{
    size_t len = strlen(text);
    if (len >= size)
        return false;
    memcpy(ret, text, len + 1);
    return true;
}

/* Pairs of numbers, in order, apart, and within the file. */
static bool read_extents(json_t *list, struct remote_file *f, struct remote_part *p)
{
    size_t n = json_array_size(list);
    if (n == 0 || n % 2 || f->n_extents + n / 2 > REMOTE_EXTENTS_MAX)
        return false;
    for (size_t i = f->n_extents; i < f->n_extents + n / 2; i++) {
        if (!remote_extents_grow(f, i))
            return false;
    }
    p->first = f->n_extents;
    p->n = n / 2;
    for (size_t i = 0; i < n; i += 2) {
        const struct remote_extent *before = f->n_extents ? &f->extents[f->n_extents - 1] : NULL;
        int64_t at = json_integer_value(json_array_get(list, i));
        int64_t bytes = json_integer_value(json_array_get(list, i + 1));
        if (!json_is_integer(json_array_get(list, i)) || bytes < 1 || bytes > f->bytes ||
            at < (before ? before->at + before->bytes : 0) || at > f->bytes - bytes)
            return false;
        f->extents[f->n_extents++] = (struct remote_extent){at, bytes};
    }
    return true;
}

static bool read_part(json_t *o, enum remote_form form, struct remote_file *f)
{
    struct remote_part *p = &f->parts[f->n_parts];
    const char *sum, *etag = "";
    json_t *extents;
    json_int_t bytes;
    int done = 0, r;
    if (form == REMOTE_JOURNAL)
        r = json_unpack(o, "{s:I, s:s, s:o, s?:b, s?:s !}", "bytes", &bytes, "sha256", &sum,
                        "extents", &extents, "done", &done, "etag", &etag);
    else
        r = json_unpack(o, "{s:I, s:s, s:o !}", "bytes", &bytes, "sha256", &sum, "extents",
                        &extents);
    if (r < 0 || bytes < 1 || bytes > (json_int_t)REMOTE_PART_MAX_BYTES || !sum_ok(sum) ||
        !copy(p->etag, sizeof(p->etag), etag))
        return false;
    p->at = remote_object_bytes(f);
    p->bytes = bytes;
    p->done = done;
    strcpy(p->sha256, sum);
    if (!read_extents(extents, f, p))
        return false;
    f->n_parts++;
    return true;
}

static bool read_parts(json_t *list, enum remote_form form, struct remote_file *f)
{
    size_t n = json_array_size(list), i;
    json_t *o;
    if (!json_is_array(list) || n > S3_PARTS_MAX)
        return false;
    f->parts = calloc(n + 1, sizeof(*f->parts));
    if (!f->parts)
        return false;
    json_array_foreach(list, i, o)
    {
        if (!read_part(o, form, f))
            return false;
    }
    return true;
}

static bool read_state(json_t *o, struct remote_file *f)
{
    const char *source = "", *id = "";
    int done = 0;
    if (!o)
        return true;
    if (json_unpack(o, "{s:b, s:s, s:s !}", "done", &done, "source", &source, "upload", &id) < 0)
        return false;
    f->done = done;
    return copy(f->source, sizeof(f->source), source) &&
           copy(f->upload_id, sizeof(f->upload_id), id);
}

static bool read_file(json_t *o, enum remote_form form, struct remote_file *f)
{
    const char *name, *sum;
    json_t *parts, *state = NULL;
    json_int_t bytes, changed;
    int rootfs = 0;
    if (json_unpack(o, "{s:s, s:I, s:i, s:I, s:s, s:b, s:o, s?:o !}", "name", &name, "bytes",
                    &bytes, "mode", &f->mode, "changed_ns", &changed, "sha256", &sum, "rootfs",
                    &rootfs, "parts", &parts, "state", &state) < 0)
        return false;
    if (!file_name_ok(name) || bytes < 0 || bytes > (json_int_t)IMAGE_UPLOAD_MAX_BYTES ||
        f->mode < 0 || f->mode > 0777 || changed < 0 || (state && form == REMOTE_PUBLISHED))
        return false;
    /* In a journal of a push there may be no sum yet. */
    if (!sum_ok(sum) && !(form == REMOTE_JOURNAL && !*sum))
        return false;
    strcpy(f->name, name);
    strcpy(f->sha256, sum);
    f->bytes = bytes;
    f->changed_ns = changed;
    f->is_rootfs = rootfs;
    return read_state(state, f) && read_parts(parts, form, f) && !(rootfs && f->n_parts);
}

static bool read_files(json_t *list, enum remote_form form, struct remote_manifest *m)
{
    size_t i;
    json_t *o;
    if (!json_is_array(list) || json_array_size(list) > REMOTE_FILES_MAX)
        return false;
    json_array_foreach(list, i, o)
    {
        m->n_files++;
        if (!read_file(o, form, &m->files[i]))
            return false;
        for (size_t k = 0; k < i; k++) {
            if (strcmp(m->files[k].name, m->files[i].name) == 0)
                return false;
        }
    }
    return true;
}

static bool read_kind(const char *word, enum remote_kind *ret)
{
    for (int i = 0; remote_kind_names[i]; i++) {
        *ret = (enum remote_kind)i;
        if (strcmp(word, remote_kind_names[i]) == 0)
            return true;
    }
    return false;
}

static bool read_all(json_t *o, enum remote_form form, struct remote_manifest *m)
{
    const char *kind, *name, *generation, *print, *created;
    json_t *files;
    int format;
    if (json_unpack(o, "{s:i, s:s, s:s, s:s, s:s, s:s, s:o !}", "format", &format, "kind", &kind,
                    "name", &name, "generation", &generation, "fingerprint", &print, "created_at",
                    &created, "files", &files) < 0)
        return false;
    return read_kind(kind, &m->kind) && remote_name_ok(name) && id_valid(generation) &&
           copy(m->name, sizeof(m->name), name) &&
           copy(m->generation, sizeof(m->generation), generation) &&
           copy(m->fingerprint, sizeof(m->fingerprint), print) &&
           copy(m->created_at, sizeof(m->created_at), created) && read_files(files, form, m);
}

/* Parsed, an empty list takes a hundred times its text, so what is too much for a manifest is told
 * before. In its strings there are no such characters. */
static bool is_bounded(const char *text, size_t len)
{
    size_t lists = 0;
    if (len > REMOTE_MANIFEST_MAX_BYTES)
        return false;
    for (size_t i = 0; i < len; i++)
        lists += text[i] == '[' || text[i] == '{';
    return lists <= REMOTE_MANIFEST_LISTS_MAX;
}

int remote_manifest_read(const char *text, size_t len, enum remote_form form,
                         struct remote_manifest *ret, struct err *e)
{
    *ret = (struct remote_manifest){0};
    auto_json json_t *o =
        is_bounded(text, len) ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_t *format = json_object_get(o, "format");
    if (json_is_integer(format) && json_integer_value(format) != FORMAT)
        return err_set(e, ERR_UNAVAILABLE, "it is of format %lld, which this holmd does not know",
                       (long long)json_integer_value(format));
    if (!json_is_integer(format) || !read_all(o, form, ret)) {
        remote_manifest_done(ret);
        return err_set(e, ERR_UNAVAILABLE, "its manifest makes no sense");
    }
    return 0;
}

/* --- writing --- */

static json_t *part_json(const struct remote_file *f, const struct remote_part *p,
                         enum remote_form form)
{
    json_t *extents = json_array();
    for (size_t i = p->first; i < p->first + p->n; i++) {
        json_array_append_new(extents, json_integer(f->extents[i].at));
        json_array_append_new(extents, json_integer(f->extents[i].bytes));
    }
    json_t *o = json_pack("{s:I, s:s, s:o}", "bytes", (json_int_t)p->bytes, "sha256", p->sha256,
                          "extents", extents);
    if (form == REMOTE_JOURNAL) {
        json_object_set_new(o, "done", json_boolean(p->done));
        json_object_set_new(o, "etag", json_string(p->etag));
    }
    return o;
}

static json_t *file_json(const struct remote_file *f, enum remote_form form)
{
    json_t *parts = json_array();
    for (size_t i = 0; i < f->n_parts; i++)
        json_array_append_new(parts, part_json(f, &f->parts[i], form));
    json_t *o =
        json_pack("{s:s, s:I, s:i, s:I, s:s, s:b, s:o}", "name", f->name, "bytes",
                  (json_int_t)f->bytes, "mode", f->mode, "changed_ns", (json_int_t)f->changed_ns,
                  "sha256", f->sha256, "rootfs", f->is_rootfs, "parts", parts);
    if (form == REMOTE_JOURNAL)
        json_object_set_new(o, "state",
                            json_pack("{s:b, s:s, s:s}", "done", f->done, "source", f->source,
                                      "upload", f->upload_id));
    return o;
}

int remote_manifest_write(const struct remote_manifest *m, enum remote_form form, struct buf *ret)
{
    json_t *files = json_array();
    for (size_t i = 0; i < m->n_files; i++)
        json_array_append_new(files, file_json(&m->files[i], form));
    auto_json json_t *o =
        json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:o}", "format", FORMAT, "kind",
                  remote_kind_names[m->kind], "name", m->name, "generation", m->generation,
                  "fingerprint", m->fingerprint, "created_at", m->created_at, "files", files);
    auto_free char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    return text ? buf_append_str(ret, text) : -ENOMEM;
}

/* --- sealing --- */

static void sum_of(const void *data, size_t len, char ret[REMOTE_SUM_SIZE])
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, data, len);
    sodium_bin2hex(ret, REMOTE_SUM_SIZE, hash, sizeof(hash));
}

int remote_manifest_seal(struct buf *text)
{
    char sum[REMOTE_SUM_SIZE];
    sum_of(text->data, text->len, sum);
    return buf_printf(text, "\n%s\n", sum);
}

int remote_manifest_unseal(const struct buf *text, size_t *ret_len, struct err *e)
{
    const size_t seal_len = strlen("\n\n") + REMOTE_SUM_SIZE - 1;
    char sum[REMOTE_SUM_SIZE], want[sizeof(sum) + 2];
    size_t len = text->len < seal_len ? 0 : text->len - seal_len;
    sum_of(text->data, len, sum);
    snprintf(want, sizeof(want), "\n%s\n", sum);
    if (text->len < seal_len || memcmp((const char *)text->data + len, want, seal_len) != 0)
        return err_set(e, ERR_UNAVAILABLE, "its manifest is damaged");
    *ret_len = len;
    return 0;
}
