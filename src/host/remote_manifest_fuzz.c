/* SPDX-License-Identifier: Apache-2.0 */

/* A manifest out of a store, or a journal. What is taken is within bounds, and says the same again
 * when it is written and read. */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/limits.h"
#include "host/remote_manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct remote_manifest *m)
{
    assert(remote_name_ok(m->name) && id_valid(m->generation) && m->n_files <= REMOTE_FILES_MAX);
    for (size_t i = 0; i < m->n_files; i++) {
        const struct remote_file *f = &m->files[i];
        int64_t end = 0;
        assert(!strchr(f->name, '/') && f->name[0] != '.' && f->n_parts <= S3_PARTS_MAX);
        for (size_t k = 0; k < f->n_extents; k++) {
            assert(f->extents[k].at >= end && f->extents[k].bytes > 0);
            end = f->extents[k].at + f->extents[k].bytes;
        }
        assert(end <= f->bytes && remote_data_bytes(f) <= f->bytes);
        for (size_t k = 0; k < f->n_parts; k++)
            assert(f->parts[k].bytes <= (int64_t)REMOTE_PART_MAX_BYTES &&
                   f->parts[k].first + f->parts[k].n <= f->n_extents);
    }
}

static void read_as(enum remote_form form, const char *text, size_t len)
{
    struct remote_manifest m, again;
    struct err e = ERR_INIT;
    auto_buf struct buf b = {0}, c = {0};
    if (remote_manifest_read(text, len, form, &m, &e) < 0) {
        assert(e.class == ERR_UNAVAILABLE && e.text[0]);
        return;
    }
    check(&m);
    assert(remote_manifest_write(&m, form, &b) == 0);
    assert(remote_manifest_read(buf_str(&b), b.len, form, &again, NULL) == 0);
    assert(remote_manifest_write(&again, form, &c) == 0 && strcmp(buf_str(&b), buf_str(&c)) == 0);
    remote_manifest_done(&again);
    remote_manifest_done(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_as(REMOTE_PUBLISHED, (const char *)data, size);
    read_as(REMOTE_JOURNAL, (const char *)data, size);
    return 0;
}
