/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/field.h"
#include "wire/guest_stat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any name can be written as JSON that is read again. */
static void encode_name(const uint8_t *data, size_t size)
{
    struct guest_stat st = {.type = GUEST_OTHER}, again;
    auto_free char *name = strndup((const char *)data, size);
    auto_buf struct buf out = {0};
    auto_json json_t *obj = NULL;
    if (!name || guest_stat_encode(&st, name, &out) < 0)
        abort();
    int r = field_parse(out.data, out.len, &obj, NULL);
    assert(r == 0 && json_object_get(obj, "name"));
    assert(out.len > 64 * 1024 || guest_stat_decode(out.data, out.len, &again, NULL) == 0);
}

/* Whatever is accepted can be written and read again; entries are names of files. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *json = (const char *)data;
    struct guest_stat st;
    struct err e = ERR_INIT;
    auto_json json_t *list = NULL;
    if (guest_stat_decode(json, size, &st, &e) == 0) {
        auto_buf struct buf out = {0};
        assert(guest_stat_encode(&st, NULL, &out) == 0);
        assert(guest_stat_decode(out.data, out.len, &st, &e) == 0);
    }
    if (guest_list_decode(json, size, &list, &e) == 0) {
        json_t *entry;
        size_t i;
        json_array_foreach(list, i, entry)
        {
            const char *name = json_string_value(json_object_get(entry, "name"));
            assert(name && name[0] && !strchr(name, '/') && json_object_size(entry) == 7);
        }
    }
    encode_name(data, size);
    return 0;
}
