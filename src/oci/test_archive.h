/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* For tests: archives of containers' images, made byte by byte. */

#include "base/test.h"

#include "base/buf.h"

struct test_put {
    const char *name;
    char type;        /* as it stands in the header */
    const char *text; /* of a file; where a link leads */
    unsigned mode;
    unsigned uid;
};

/* Appends one entry, whatever it is. */
void test_put(struct buf *b, const struct test_put *p);
/* One pax record, whose length counts its own digits. */
void test_pax(struct buf *b, const char *key, const char *value);
/* A member of an archive. */
void test_put_bytes(struct buf *b, const char *name, const void *data, size_t len);
/* "sha256:..." */
void test_digest(const void *data, size_t len, char ret[80]);

/* A whole tar; the list ends with one without a name. */
struct buf test_layer(const struct test_put *p);
#define LAYER(...) test_layer((const struct test_put[]){__VA_ARGS__, {0}})

enum test_form { PLAIN, GZIP, ZSTD };

/* An OCI layout with these layers, which it takes. */
struct buf test_archive(struct buf *layers, size_t n, enum test_form form, const char *config);
#define ARCHIVE_WITH(config, form, ...)                           \
    ({                                                            \
        struct buf layers_[] = {__VA_ARGS__};                     \
        test_archive(layers_, ARRAY_SIZE(layers_), form, config); \
    })
