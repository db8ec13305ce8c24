/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/test_archive.h"

#include <sodium.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "wire/ustar.h"

/* --- tars --- */

static void octal(char *to, size_t size, unsigned long long n)
{
    snprintf(to, size, "%0*llo", (int)size - 1, n);
}

void test_put(struct buf *b, const struct test_put *p)
{
    struct ustar_header h = {0};
    bool has_content = p->text && (p->type == '0' || strchr("xgLK", p->type));
    size_t len = has_content ? strlen(p->text) : 0;
    int ignored;
    memcpy(h.name, p->name, strnlen(p->name, sizeof(h.name)));
    octal(h.mode, sizeof(h.mode), p->mode ? p->mode : p->type == '5' ? 0755 : 0644);
    octal(h.uid, sizeof(h.uid), p->uid);
    octal(h.gid, sizeof(h.gid), p->uid);
    octal(h.size, sizeof(h.size), len);
    octal(h.mtime, sizeof(h.mtime), 1000);
    octal(h.dev_major, sizeof(h.dev_major), 1);
    octal(h.dev_minor, sizeof(h.dev_minor), 3);
    h.type = p->type;
    memcpy(h.magic,
           "ustar\0"
           "00",
           8);
    if (p->text && !has_content)
        memcpy(h.link, p->text, strnlen(p->text, sizeof(h.link)));
    octal(h.sum, 7, ustar_sum(&h, &ignored));
    buf_append(b, &h, sizeof(h));
    buf_append(b, p->text, len);
    ustar_put_zeros(b, ustar_padding(len));
}

/* One pax record, whose length counts its own digits. */
void test_pax(struct buf *b, const char *key, const char *value)
{
    size_t len = strlen(key) + strlen(value) + 3, digits = 1;
    for (size_t all = len + digits; all >= 10; all /= 10)
        digits++;
    if (snprintf(NULL, 0, "%zu", len + digits) > (int)digits)
        digits++;
    buf_printf(b, "%zu %s=%s\n", len + digits, key, value);
}

struct buf test_layer(const struct test_put *p)
{
    struct buf b = {0};
    for (; p->name; p++)
        test_put(&b, p);
    ustar_put_zeros(&b, 1024);
    return b;
}

/* --- archives --- */

static void compress_layer(struct buf *b, enum test_form form)
{
    size_t cap = b->len + 4096;
    char *to = malloc(cap);
    if (form == GZIP) {
        z_stream z = {.next_in = (void *)b->data,
                      .avail_in = (uInt)b->len,
                      .next_out = (void *)to,
                      .avail_out = (uInt)cap};
        assert_int_equal(Z_OK, deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY));
        assert_int_equal(Z_STREAM_END, deflate(&z, Z_FINISH));
        cap -= z.avail_out;
        deflateEnd(&z);
    } else if (form == ZSTD) {
        cap = ZSTD_compress(to, cap, b->data, b->len, 3);
        assert_false(ZSTD_isError(cap));
    } else {
        free(to);
        return;
    }
    buf_clear(b);
    buf_append(b, to, cap);
    free(to);
}

void test_digest(const void *data, size_t len, char ret[80])
{
    unsigned char hash[32];
    crypto_hash_sha256(hash, data, len);
    strcpy(ret, "sha256:");
    sodium_bin2hex(ret + 7, 65, hash, 32);
}

void test_put_bytes(struct buf *b, const char *name, const void *data, size_t len)
{
    struct ustar_entry en = {.type = USTAR_FILE, .name = name, .mode = 0644, .size = len};
    assert_int_equal(0, ustar_put(b, &en));
    buf_append(b, data, len);
    ustar_put_zeros(b, ustar_padding(len));
}

static void put_blob(struct buf *b, const void *data, size_t len, char ret[80])
{
    char name[120];
    test_digest(data, len, ret);
    snprintf(name, sizeof(name), "blobs/sha256/%s", ret + 7);
    test_put_bytes(b, name, data, len);
}

/* An archive with these layers; "%s" of `manifest` are config digest and the layers' list. */
struct buf test_archive(struct buf *layers, size_t n, enum test_form form, const char *config)
{
    struct buf b = {0}, list = {0}, manifest = {0}, index = {0};
    char digest[80];
    for (size_t i = 0; i < n; i++) {
        size_t before = layers[i].len;
        compress_layer(&layers[i], form);
        assert_true(before > 0);
        put_blob(&b, layers[i].data, layers[i].len, digest);
        buf_printf(&list,
                   "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
                   "\"digest\":\"%s\",\"size\":%zu}",
                   i ? "," : "", digest, layers[i].len);
        buf_done(&layers[i]);
    }
    put_blob(&b, config, strlen(config), digest);
    buf_printf(&manifest,
               "{\"schemaVersion\":2,\"config\":{\"digest\":\"%s\",\"size\":%zu},"
               "\"layers\":[%s]}",
               digest, strlen(config), buf_str(&list));
    put_blob(&b, manifest.data, manifest.len, digest);
    buf_printf(&index,
               "{\"manifests\":[{\"digest\":\"sha256:%064d\",\"platform\":{\"os\":\"linux\","
               "\"architecture\":\"arm64\"}},{\"digest\":\"%s\",\"size\":%zu}]}",
               0, digest, manifest.len);
    test_put_bytes(&b, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}", 30);
    test_put_bytes(&b, "index.json", index.data, index.len);
    ustar_put_zeros(&b, 1024);
    buf_done(&list);
    buf_done(&manifest);
    buf_done(&index);
    return b;
}
