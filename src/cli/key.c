/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/limits.h"

#define DATA_DEFAULT "/var/lib/holm"

static const char *env_or(const char *name, const char *fallback)
{
    const char *v = getenv(name);
    return v && *v ? v : fallback;
}

/* The first line, without the white space around it. */
static int take_line(const struct buf *file, const char *path, struct buf *ret, struct err *e)
{
    const char *text = buf_str(file) + strspn(buf_str(file), " \t\r\n");
    size_t len = strcspn(text, " \t\r\n");
    if (!len)
        return err_set(e, ERR_INVALID, "%.300s holds no key; write one into it, or remove it",
                       path);
    return buf_append(ret, text, len) < 0 ? err_errno(e, -ENOMEM, "read %.300s", path) : 0;
}

static int read_key(const char *path, struct key *ret, struct err *e)
{
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return 0;
    struct stat st;
    auto_buf struct buf file = {0};
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return err_set(e, ERR_INVALID, "%.300s is not a file; a key is kept there", path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return err_set(e, ERR_FORBIDDEN,
                       "the key in %.300s can be read by others; chmod 600 that file", path);
    int r = fd_slurp(fd, &file, CLI_KEY_FILE_MAX_BYTES);
    if (r < 0)
        return err_errno(e, r, "read the key in %.300s", path);
    r = take_line(&file, path, &ret->text, e);
    explicit_bzero(file.data, file.len);
    if (r < 0)
        return r;
    return buf_append_str(&ret->source, path) < 0 ? err_errno(e, -ENOMEM, "read the key") : 0;
}

int key_find(bool is_local, struct key *ret, struct err *e)
{
    char path[4096];
    const char *config = env_or("XDG_CONFIG_HOME", NULL), *home = env_or("HOME", NULL);
    int r = -ENOENT;
    if (config)
        r = path_printf(path, sizeof(path), "%s/holm/key", config);
    else if (home)
        r = path_printf(path, sizeof(path), "%s/.config/holm/key", home);
    r = r < 0 ? 0 : read_key(path, ret, e);
    if (r < 0 || ret->source.len || !is_local)
        return r;
    r = path_printf(path, sizeof(path), "%s/admin.key", env_or("HOLM_DATA", DATA_DEFAULT));
    return r < 0 ? 0 : read_key(path, ret, e);
}

void key_done(struct key *k)
{
    if (k->text.data)
        explicit_bzero(k->text.data, k->text.len);
    buf_done(&k->text);
    buf_done(&k->source);
}
