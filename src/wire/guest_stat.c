/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/guest_stat.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "wire/field.h"

#define NAME_MAX_BYTES (3 * 255) /* of Linux, and each byte may have become U+FFFD */

static const char *const type_names[] = {
    [GUEST_FILE] = "file",
    [GUEST_DIR] = "dir",
    [GUEST_LINK] = "link",
    [GUEST_OTHER] = "other",
};

const char *guest_file_type_name(enum guest_file_type type)
{
    return type_names[type];
}

/* How many bytes of `s` are one character of UTF-8 that JSON can carry; 0: none. */
static size_t utf8_length(const uint8_t *s)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc2 ? 2 : 0;
    if (s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates, and what is beyond Unicode. */
    bool bad = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
               (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f);
    return bad ? 0 : n;
}

static void append_escaped(const char *text, struct buf *out)
{
    buf_append_str(out, "\"");
    for (const uint8_t *s = (const uint8_t *)text; *s;) {
        size_t n = utf8_length(s);
        if (n == 0)
            buf_append_str(out, "\xef\xbf\xbd");
        else if (*s < 0x20 || *s == '"' || *s == '\\')
            buf_printf(out, "\\u%04x", *s);
        else
            buf_append(out, s, n);
        s += n ? n : 1;
    }
    buf_append_str(out, "\"");
}

int guest_stat_encode(const struct guest_stat *st, const char *name, struct buf *out)
{
    buf_append_str(out, "{");
    if (name) {
        buf_append_str(out, "\"name\":");
        append_escaped(name, out);
        buf_append_str(out, ",");
    }
    buf_printf(out,
               "\"type\":\"%s\",\"size\":%lld,\"mode\":%u,\"uid\":%u,\"gid\":%u,\"mtime_ms\":%lld}",
               type_names[st->type], (long long)st->size, st->mode, st->uid, st->gid,
               (long long)st->mtime_ms);
    return out->failed ? -ENOMEM : 0;
}

static int decode_type(json_t *obj, enum guest_file_type *ret, struct err *e)
{
    const char *name;
    int r = field_str(obj, "type", FIELD_REQUIRED, 16, &name, e);
    for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(type_names); i++) {
        if (strcmp(type_names[i], name) != 0)
            continue;
        *ret = (enum guest_file_type)i;
        return 0;
    }
    return r < 0 ? r : err_field(e, "type", "type must be file, dir, link or other");
}

static int decode_stat(json_t *obj, struct guest_stat *ret, struct err *e)
{
    static const struct field_range any = {INT64_MIN, INT64_MAX}, size_range = {0, INT64_MAX},
                                    mode_range = {0, 07777}, id_range = {0, UINT32_MAX};
    int64_t mode, uid, gid;
    struct guest_stat st = {0};
    int r = decode_type(obj, &st.type, e);
    r = r < 0 ? r : field_int(obj, "size", FIELD_REQUIRED, size_range, &st.size, e);
    r = r < 0 ? r : field_int(obj, "mode", FIELD_REQUIRED, mode_range, &mode, e);
    r = r < 0 ? r : field_int(obj, "uid", FIELD_REQUIRED, id_range, &uid, e);
    r = r < 0 ? r : field_int(obj, "gid", FIELD_REQUIRED, id_range, &gid, e);
    r = r < 0 ? r : field_int(obj, "mtime_ms", FIELD_REQUIRED, any, &st.mtime_ms, e);
    if (r < 0)
        return r;
    st.mode = (unsigned)mode;
    st.uid = (uint32_t)uid;
    st.gid = (uint32_t)gid;
    *ret = st;
    return 0;
}

int guest_stat_decode(const char *json, size_t len, struct guest_stat *ret, struct err *e)
{
    auto_json json_t *obj = NULL;
    if (len > AGENT_REPORT_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "a stat of %zu bytes", len);
    int r = field_parse(json, len, &obj, e);
    return r < 0 ? r : decode_stat(obj, ret, e);
}

static int copy_entry(json_t *entry, json_t *list, struct err *e)
{
    struct guest_stat st;
    const char *name;
    if (!json_is_object(entry))
        return err_field(e, "entries", "an entry is not an object");
    int r = field_str(entry, "name", FIELD_REQUIRED, NAME_MAX_BYTES, &name, e);
    r = r < 0 ? r : decode_stat(entry, &st, e);
    if (r < 0)
        return r;
    if (!name[0] || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return err_field(e, "name", "an entry has a name that no file can have");
    json_t *copy = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "name", name, "type",
                             type_names[st.type], "size", (json_int_t)st.size, "mode",
                             (json_int_t)st.mode, "uid", (json_int_t)st.uid, "gid",
                             (json_int_t)st.gid, "mtime_ms", (json_int_t)st.mtime_ms);
    return json_array_append_new(list, copy) < 0 ? err_errno(e, -ENOMEM, "list") : 0;
}

int guest_list_decode(const char *json, size_t len, json_t **ret, struct err *e)
{
    auto_json json_t *obj = NULL, *list = json_array();
    if (len > AGENT_ANSWER_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "a list of %zu bytes", len);
    int r = field_parse(json, len, &obj, e);
    if (r < 0)
        return r;
    json_t *entries = json_object_get(obj, "entries"), *entry;
    if (!json_is_array(entries) || json_array_size(entries) > AGENT_LIST_MAX)
        return err_field(e, "entries", "entries must be a list of at most %d", AGENT_LIST_MAX);
    size_t i;
    json_array_foreach(entries, i, entry)
    {
        r = copy_entry(entry, list, e);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(list);
    return 0;
}
