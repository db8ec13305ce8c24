/* SPDX-License-Identifier: Apache-2.0 */
#include "holmd/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"

static int add(struct keys *k, const char *line, size_t len, const char *path, struct err *e)
{
    if (!len || line[0] == '#')
        return 0;
    if (len < KEY_MIN_BYTES || len > KEY_MAX_BYTES)
        return err_set(e, ERR_INVALID, "%s: a key must have %d to %d characters", path,
                       KEY_MIN_BYTES, KEY_MAX_BYTES);
    if (k->n == KEYS_MAX)
        return err_set(e, ERR_INVALID, "%s: more than %d keys", path, KEYS_MAX);
    memcpy(k->key[k->n++], line, len);
    return 0;
}

int keys_read(struct keys *k, const char *path, struct err *e)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_errno(e, -errno, "open key file %s", path);
    if (st.st_mode & 077)
        return err_set(e, ERR_INVALID, "%s can be read by others: chmod 600 %s", path, path);
    auto_buf struct buf b = {0};
    int r = fd_slurp(fd, &b, KEYS_MAX * (KEY_MAX_BYTES + 2));
    if (r < 0)
        return err_errno(e, r, "read key file %s", path);
    for (const char *p = buf_str(&b); r == 0 && *p;) {
        size_t len = strcspn(p, "\r\n");
        r = add(k, p, len, path, e);
        p += len + strspn(p + len, "\r\n");
    }
    explicit_bzero(b.data, b.len);
    if (r == 0 && !k->n)
        r = err_set(e, ERR_INVALID, "%s: has no key", path);
    return r;
}

int keys_count(const struct keys *k)
{
    return k->n;
}

bool keys_match(void *arg, const char *key)
{
    const struct keys *k = arg;
    char padded[KEY_MAX_BYTES + 1] = {0};
    size_t len = strlen(key);
    bool found = false;
    memcpy(padded, key, len <= KEY_MAX_BYTES ? len : KEY_MAX_BYTES);
    for (int i = 0; i < k->n; i++) {
        unsigned char differ = len > KEY_MAX_BYTES;
        for (size_t j = 0; j < sizeof(padded); j++)
            differ |= (unsigned char)(padded[j] ^ k->key[i][j]);
        found |= !differ;
    }
    return found;
}

void keys_done(struct keys *k)
{
    explicit_bzero(k, sizeof(*k));
}
