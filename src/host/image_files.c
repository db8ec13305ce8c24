/* SPDX-License-Identifier: Apache-2.0 */

/* The images that are there, by their files. */

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "host/image.h"
#include "host/images.h"

static bool name_ok(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n > 0 && n < 64 && !name[n];
}

static int64_t disk_bytes(const struct image_set *s, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    if (!name_ok(name) ||
        path_printf(path, sizeof(path), "%s/images/%s/rootfs.ext4", image_set_data_dir(s), name) <
            0 ||
        stat(path, &st) < 0)
        return -1;
    return st.st_size;
}

int image_look(const struct image_set *s, const char *name, int64_t *ret_disk_bytes, struct err *e)
{
    int64_t bytes = disk_bytes(s, name);
    if (bytes < 0)
        return err_field(e, "image", "there is no image \"%.40s\": GET /v1/images lists them",
                         name);
    *ret_disk_bytes = bytes;
    return 0;
}

bool image_info(struct image_set *s, size_t index, struct image_info *ret)
{
    static const char *const states[] = {
        [LANGUAGE_MISSING] = "ready", /* no language needs it: it is booted when it is asked for */
        [LANGUAGE_PREPARING] = "preparing",
        [LANGUAGE_READY] = "ready",
        [LANGUAGE_FAILED] = "failed",
    };
    char top[PATH_MAX];
    struct dirent **names = NULL;
    path_printf(top, sizeof(top), "%s/images", image_set_data_dir(s));
    int n = scandir(top, &names, NULL, alphasort);
    bool found = false;
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        int64_t bytes = found ? -1 : disk_bytes(s, name);
        if (bytes >= 0 && index-- == 0) {
            found = true;
            *ret = (struct image_info){.disk_bytes = bytes};
            path_printf(ret->name, sizeof(ret->name), "%s", name);
            strcpy(ret->state, states[image_state(s, name, ret->detail)]);
        }
        free(names[i]);
    }
    free(names);
    return found;
}
