/* SPDX-License-Identifier: Apache-2.0 */
#include "host/builder.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/proc.h"

#define LIST_TIMEOUT_MS 30000

int builder_find(const struct config *config, char *ret, size_t size)
{
    /* Installed; in a build tree. */
    static const char *const places[] = {"../share/holm/images", "../../../images"};
    char exe[PATH_MAX];
    if (config->images_dir[0])
        return path_printf(ret, size, "%s", config->images_dir);
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n < 0)
        return -errno;
    exe[n] = '\0';
    *strrchr(exe, '/') = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        char path[PATH_MAX];
        if (path_printf(ret, size, "%s/%s", exe, places[i]) == 0 &&
            path_printf(path, sizeof(path), "%s/build", ret) == 0 && access(path, X_OK) == 0)
            return 0;
    }
    return -ENOENT;
}

/* A line a recipe, which begins with its name. */
static bool is_listed(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = list; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) == 0 && (line[len] == ' ' || line[len] == '\n'))
            return true;
    }
    return false;
}

int builder_check(const char *dir, const char *name, char *ret_program, size_t size, struct err *e)
{
    auto_buf struct buf list = {0};
    int r = path_printf(ret_program, size, "%s/build", dir);
    if (r < 0)
        return err_errno(e, r, "%s", dir);
    const char *const argv[] = {ret_program, "--list", NULL};
    r = proc_run(argv, LIST_TIMEOUT_MS, &list, e);
    if (r < 0)
        return err_wrap(e, r, "ask for the recipes of images");
    if (is_listed(buf_str(&list), name))
        return 0;
    err_field(e, "name", "there is no recipe for an image \"%.60s\"", name);
    if (e)
        e->class = ERR_NOT_FOUND;
    return -ENOENT;
}

bool builder_has(const struct config *config, const char *name)
{
    char dir[PATH_MAX], program[PATH_MAX];
    return builder_find(config, dir, sizeof(dir)) == 0 &&
           builder_check(dir, name, program, sizeof(program), NULL) == 0;
}
