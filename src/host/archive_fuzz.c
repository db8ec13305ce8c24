/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "base/buf.h"
#include "host/archive.h"
#include "wire/untar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The name is one that nothing can lead out of its directory with. */
static int on_entry(void *arg, const struct ustar_entry *en, struct err *e)
{
    size_t *entries = arg;
    assert(++*entries <= ARCHIVE_ENTRIES_MAX);
    assert(en->name[0] && en->name[0] != '/' && strlen(en->name) < UNTAR_NAME_SIZE);
    assert(en->type == USTAR_FILE || (en->type == USTAR_DIR && en->size == 0));
    assert((en->mode & ~0777u) == 0 && (en->mode & 0600) == 0600);
    for (const char *at = en->name; *at; at += strspn(at, "/")) {
        size_t len = strcspn(at, "/");
        assert(len > 0 && len <= UNTAR_COMPONENT_MAX_BYTES && strspn(at + len, "/") < 2);
        assert(!(len == 1 && at[0] == '.') && !(len == 2 && memcmp(at, "..", 2) == 0));
        at += len;
    }
    return 0;
}

static int on_content(void *arg, const void *data, size_t len, struct err *e)
{
    return 0;
}

static int on_end(void *arg, struct err *e)
{
    return 0;
}

static int feed(void *arg, const void *data, size_t len, struct err *e)
{
    return untar_feed(arg, data, len, e);
}

/* What is let through can be packed anew, and what comes out is clean. */
static void check(const void *data, size_t size)
{
    static const struct untar_ops ops = {on_entry, on_content, on_end};
    auto_archive struct archive *a = NULL;
    struct err e = ERR_INIT;
    int r = archive_new(20, &a, &e);
    /* In two pieces: what comes must not depend on where they part. */
    r = r < 0 ? r : archive_add(a, data, size / 3, &e);
    r = r < 0 ? r : archive_add(a, (const char *)data + size / 3, size - size / 3, &e);
    r = r < 0 ? r : archive_finish(a, &e);
    if (r < 0) {
        assert(e.class == ERR_INVALID || e.class == ERR_TOO_LARGE);
        assert(e.text[0]);
        return;
    }
    size_t entries = 0;
    struct untar u = {.ops = &ops, .arg = &entries};
    const struct archive_sink sink = {.write = feed, .arg = &u};
    assert(archive_repack(a, &sink, &e) == 0);
    assert(untar_finish(&u, &e) == 0);
    untar_done(&u);
}

/* The first byte says whether the rest is a tar, which is compressed then so that mutations get
 * through, or what a client sends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_buf struct buf gz = {0};
    if (size == 0)
        return 0;
    if (data[0] != 't') {
        check(data + 1, size - 1);
        return 0;
    }
    z_stream z = {.next_in = (uint8_t *)data + 1, .avail_in = (uInt)size - 1};
    if (deflateInit2(&z, 1, Z_DEFLATED, 16 + 15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    size_t room = deflateBound(&z, size) + 64;
    z.next_out = (uint8_t *)buf_reserve(&gz, room);
    z.avail_out = (uInt)room;
    if (deflate(&z, Z_FINISH) == Z_STREAM_END)
        check(gz.data, room - z.avail_out);
    deflateEnd(&z);
    return 0;
}
