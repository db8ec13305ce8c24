/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/field.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

int field_parse(const char *json, size_t len, json_t **ret, struct err *e)
{
    json_error_t je;
    auto_json json_t *j = json_loadb(json, len, JSON_REJECT_DUPLICATES, &je);
    if (!j)
        return err_set(e, ERR_INVALID, "not valid JSON: %s (at byte %d)", je.text, je.position);
    if (!json_is_object(j))
        return err_set(e, ERR_INVALID, "not a JSON object");
    *ret = TAKE_PTR(j);
    return 0;
}

int field_only(json_t *obj, const char *const names[], struct err *e)
{
    const char *key;
    json_t *value;
    json_object_foreach(obj, key, value)
    {
        size_t i = 0;
        while (names[i] && strcmp(names[i], key) != 0)
            i++;
        if (!names[i])
            return err_field(e, key, "unknown field \"%.64s\"", key);
    }
    return 0;
}

/* 1: there, with the value in *ret. 0: missing, and that is fine. */
static int lookup(json_t *obj, const char *name, enum field_need need, json_t **ret, struct err *e)
{
    *ret = json_object_get(obj, name);
    if (*ret)
        return 1;
    return need == FIELD_REQUIRED ? err_field(e, name, "%s is missing", name) : 0;
}

int field_int(json_t *obj, const char *name, enum field_need need, struct field_range range,
              int64_t *ret, struct err *e)
{
    json_t *j;
    int r = lookup(obj, name, need, &j, e);
    if (r <= 0)
        return r;
    if (!json_is_integer(j))
        return err_field(e, name, "%s must be a whole number", name);
    int64_t v = json_integer_value(j);
    if (v < range.min || v > range.max)
        return err_field(e, name, "%s must be between %lld and %lld", name, (long long)range.min,
                         (long long)range.max);
    *ret = v;
    return 0;
}

int field_bool(json_t *obj, const char *name, enum field_need need, bool *ret, struct err *e)
{
    json_t *j;
    int r = lookup(obj, name, need, &j, e);
    if (r <= 0)
        return r;
    if (!json_is_boolean(j))
        return err_field(e, name, "%s must be true or false", name);
    *ret = json_is_true(j);
    return 0;
}

int field_str(json_t *obj, const char *name, enum field_need need, size_t max_bytes,
              const char **ret, struct err *e)
{
    json_t *j;
    int r = lookup(obj, name, need, &j, e);
    if (r <= 0)
        return r;
    if (!json_is_string(j))
        return err_field(e, name, "%s must be a string", name);
    if (json_string_length(j) > max_bytes)
        return err_field(e, name, "%s is longer than %zu bytes", name, max_bytes);
    *ret = json_string_value(j);
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int field_hex(const char *hex, uint8_t *ret, size_t size)
{
    size_t n = 0;
    for (; hex[2 * n]; n++) {
        int high = hex_digit(hex[2 * n]);
        int low = high < 0 ? -1 : hex_digit(hex[2 * n + 1]);
        if (low < 0 || n == size)
            return -EINVAL;
        ret[n] = (uint8_t)(high << 4 | low);
    }
    return (int)n;
}
