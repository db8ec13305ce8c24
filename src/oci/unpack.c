/* SPDX-License-Identifier: Apache-2.0 */

/* What a VM needs that containers get from whoever runs them: places to mount on, names, and the
 * variables that programs are started with. */

#include "oci/unpack.h"

#include <string.h>

#include "base/cleanup.h"

static int add_dirs(struct tree *t, struct err *e)
{
    static const struct {
        const char *path;
        unsigned mode;
    } dirs[] = {{"dev", 0755},  {"proc", 0755},     {"sys", 0755},  {"run", 0755},
                {"tmp", 01777}, {"var/tmp", 01777}, {"root", 0700}, {"etc/holm", 0755}};
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(dirs) && r == 0; i++)
        r = tree_put_dir(t, dirs[i].path, dirs[i].mode, e);
    return r;
}

/* Engines of containers mount their own over these, and images have them empty, or not at all. */
static bool is_empty(struct tree *t, const char *path)
{
    const struct tree_node *n = tree_find(t, path);
    return !n || (n->inode->type == TAR_FILE && n->inode->size == 0);
}

static int add_names(struct tree *t, struct err *e)
{
    static const struct {
        const char *path, *text;
    } files[] = {
        {"etc/hosts", "127.0.0.1 localhost\n127.0.1.1 holm\n"
                      "::1 localhost ip6-localhost ip6-loopback\n"},
        {"etc/hostname", "holm\n"},
        {"etc/resolv.conf", "nameserver 172.16.0.1\n"},
        {"etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"},
        {"etc/group", "root:x:0:\n"},
    };
    int r = 0;
    for (size_t i = 0; i < ARRAY_SIZE(files) && r == 0; i++) {
        if (is_empty(t, files[i].path))
            r = tree_put_file(t, files[i].path, 0644, files[i].text, e);
    }
    return r;
}

static int add_config(struct tree *t, const struct oci_image *image, struct err *e)
{
    int r = 0;
    if (image->env.len)
        r = tree_put_file(t, "etc/environment", 0644, buf_str(&image->env), e);
    return r < 0 ? r
                 : tree_put_file(t, "etc/holm/container.json", 0644, buf_str(&image->config), e);
}

int unpack_tree(const struct oci_image *image, const struct oci_meter *meter, struct tree *t,
                struct err *e)
{
    int r = oci_read_tree(image, meter, t, e);
    if (r == 0)
        r = add_dirs(t, e);
    if (r == 0)
        r = add_names(t, e);
    return r < 0 ? r : add_config(t, image, e);
}
