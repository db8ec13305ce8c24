/* SPDX-License-Identifier: Apache-2.0 */
#include "host/store_images.h"

#include <errno.h>

#include "base/cleanup.h"
#include "host/store_priv.h"

#define TEXT(member) STORE_TEXT_COLUMN(struct image_info, member)
#define NUMBER(member) STORE_COLUMN(STORE_I64, struct image_info, member, #member)

static const struct store_column columns[] = {
    TEXT(id),
    TEXT(account),
    TEXT(name),
    TEXT(description),
    NUMBER(created_ns),
    NUMBER(kernel_uploaded_ns),
    NUMBER(rootfs_uploaded_ns),
    NUMBER(kernel_bytes),
    NUMBER(disk_bytes),
};

static const struct store_table images = {
    .id = STORE_IMAGES,
    .name = "images",
    .order = "created_ns, id",
    .columns = columns,
    .n_columns = ARRAY_SIZE(columns),
    .row_bytes = sizeof(struct image_info),
    .durable = true,
};

int store_image_put(struct store *s, const struct image_info *info, struct err *e)
{
    const void *row = info;
    return store_rows_put(s, &images, &row, 1, e);
}

int store_image_delete(struct store *s, const char *id, struct err *e)
{
    return store_row_delete(s, &images, id, e);
}

int store_images_each(struct store *s, int (*each)(void *arg, const void *info), void *arg,
                      struct err *e)
{
    return store_rows_each(s, &images, each, arg, e);
}

int store_default_image_put(struct store *s, const char *account, const char *key, struct err *e)
{
    AUTO_LOCK(&s->lock);
    store_before_write(s);
    auto_stmt sqlite3_stmt *st =
        store_prepare(s, "UPDATE accounts SET default_image = ? WHERE id = ?", e);
    if (!st)
        return -EIO;
    sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(st, 2, account, -1, SQLITE_STATIC);
    return store_step(s, st, e);
}

int store_default_images_each(struct store *s,
                              int (*each)(void *arg, const char *account, const char *key),
                              void *arg, struct err *e)
{
    AUTO_LOCK(&s->lock);
    auto_stmt sqlite3_stmt *st =
        store_prepare(s, "SELECT id, default_image FROM accounts WHERE default_image <> ''", e);
    int r = st ? 0 : -EIO, code = SQLITE_DONE;
    while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
        char account[ID_SIZE], key[IMAGE_KEY_SIZE];
        store_copy_text(account, sizeof(account), st, 0);
        store_copy_text(key, sizeof(key), st, 1);
        r = each(arg, account, key);
    }
    return r < 0 || code == SQLITE_DONE ? r : store_error(s, e, "read");
}
