/* SPDX-License-Identifier: Apache-2.0 */

/* Images by recipe: images/build, run for one image, without the kernel, which is not replaced
 * under a daemon that boots from it. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/limits.h"
#include "engine/qemu/argv.h"
#include "host/builder.h"
#include "host/builds.h"
#include "host/host_priv.h"
#include "host/image.h"
#include "host/image_rows.h"

/* What is asked for, kept until it is done. */
struct order {
    char name[IMAGE_KEY_SIZE];
    char builder[PATH_MAX];
    char toolchain[2048], sha256[65];
    int size_mib;
    bool force;

    struct build *build; /* while it runs */
    char failed[512];    /* in the builder's words */
};

/* --- what the builder says (images/README.md, "Progress") --- */

/* The next of the words that tabs separate; "" when there is none. */
static char *next_word(char **text)
{
    char *word = strsep(text, "\t");
    return word ? word : (char *)"";
}

static void on_line(void *arg, char *line)
{
    struct order *o = arg;
    char *rest = line;
    const char *verb = next_word(&rest), *name = next_word(&rest), *text = next_word(&rest);
    if (strcmp(verb, "step") == 0 && strcmp(name, o->name) == 0)
        build_step(o->build, "%s", text);
    else if (strcmp(verb, "step") == 0)
        build_step(o->build, "%s: %s", name, text);
    else if (strcmp(verb, "progress") == 0)
        build_progress(o->build, strtoll(text, NULL, 10), strtoll(next_word(&rest), NULL, 10));
    else if (strcmp(verb, "failed") == 0)
        snprintf(o->failed, sizeof(o->failed), "%s%s%s: %s", strcmp(name, o->name) ? name : "",
                 strcmp(name, o->name) ? ": " : "", text, next_word(&rest));
}

/* What says whether the image was made anew; nothing when there is none. */
static struct file_stamp look(const struct host *h, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    image_path(h, name, "rootfs.ext4", path);
    return stat(path, &st) == 0 ? file_stamp_of(&st) : (struct file_stamp){0};
}

static int run(struct build *b, void *arg, struct err *e)
{
    struct order *o = arg;
    struct host *h = build_host(b);
    auto_argv struct argv argv = {0};
    o->build = b;
    argv_add(&argv, "%s", o->builder);
    argv_add(&argv, "--data");
    argv_add(&argv, "%s", h->config->data_dir);
    argv_add(&argv, "--no-kernel");
    argv_add(&argv, "--progress");
    argv_add(&argv, "3");
    if (o->force)
        argv_add(&argv, "--force");
    if (o->size_mib) {
        argv_add(&argv, "--size");
        argv_add(&argv, "%d", o->size_mib);
    }
    if (o->toolchain[0]) {
        argv_add(&argv, "--toolchain");
        argv_add(&argv, "%s", o->toolchain);
        argv_add(&argv, "--sha256");
        argv_add(&argv, "%s", o->sha256);
    }
    argv_add(&argv, "%s", o->name);
    if (argv.failed)
        return err_errno(e, -ENOMEM, "build an image");
    const struct build_program p = {.argv = (const char *const *)argv.v, .line = on_line, .arg = o};
    build_step(b, "starting");
    const struct file_stamp before = look(h, o->name);
    int r = build_run(b, &p, e);
    if (r < 0)
        return o->failed[0] && !build_is_cancelled(b) ? err_set(e, ERR_INTERNAL, "%s", o->failed)
                                                      : r;
    const struct file_stamp now = look(h, o->name);
    if (!file_stamp_same(&before, &now)) /* else it was up to date */
        image_renew(h->images, o->name);
    return 0;
}

/* --- asking for it --- */

static bool is_hex(const char *text, size_t len)
{
    return strlen(text) == len && strspn(text, "0123456789abcdefABCDEF") == len;
}

static int check_toolchain(const struct image_order *o, struct err *e)
{
    const char *t = o->toolchain;
    if (!t)
        return o->sha256 ? err_field(e, "sha256", "sha256 is a toolchain's: which one?") : 0;
    if (*t != '/' && strncmp(t, "https://", 8) != 0 && strncmp(t, "http://", 7) != 0)
        return err_field(e, "toolchain",
                         "the toolchain is an absolute path of a file on the daemon's host, or a "
                         "URL that begins with https:// or http://");
    for (const char *p = t; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return err_field(e, "toolchain", "the toolchain has a control character");
    }
    if (!o->sha256 || !is_hex(o->sha256, 64))
        return err_field(e, "sha256",
                         "a toolchain needs its sha256: 64 hexadecimal digits, by which it is "
                         "checked before it is unpacked");
    return 0;
}

static int check_name(const char *name, struct err *e)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (n > 0 && n < IMAGE_KEY_SIZE && !name[n] && *name != '-' && strcmp(name, "base") != 0 &&
        strcmp(name, "kernel") != 0)
        return 0;
    err_field(e, "name", "there is no recipe for an image \"%.60s\"", name);
    if (e)
        e->class = ERR_NOT_FOUND;
    return -ENOENT;
}

static int fill(const struct image_order *o, struct order *ret, struct err *e)
{
    if (path_printf(ret->name, sizeof(ret->name), "%s", o->name) < 0 ||
        path_printf(ret->toolchain, sizeof(ret->toolchain), "%s",
                    o->toolchain ? o->toolchain : "") < 0)
        return err_field(e, "toolchain", "the toolchain's name is too long");
    snprintf(ret->sha256, sizeof(ret->sha256), "%s", o->sha256 ? o->sha256 : "");
    ret->size_mib = o->size_mib;
    ret->force = o->force;
    return 0;
}

int host_build_image(struct host *h, const struct image_order *o, struct build_info *ret,
                     struct err *e)
{
    char dir[PATH_MAX];
    int r = check_name(o->name, e);
    if (r == 0 && o->size_mib &&
        (o->size_mib < BUILD_SIZE_MIN_MIB || o->size_mib > BUILD_SIZE_MAX_MIB))
        r = err_field(e, "sizeMib", "the size is %d to %d MiB", BUILD_SIZE_MIN_MIB,
                      BUILD_SIZE_MAX_MIB);
    if (r == 0)
        r = check_toolchain(o, e);
    if (r < 0)
        return r;
    if (builder_find(h->config, dir, sizeof(dir)) < 0)
        return err_set(e, ERR_UNAVAILABLE,
                       "the recipes of images are not installed: set paths.images_dir");
    auto_free struct order *order = calloc(1, sizeof(*order));
    if (!order)
        return err_errno(e, -ENOMEM, "build an image");
    r = fill(o, order, e);
    if (r == 0)
        r = builder_check(dir, o->name, order->builder, sizeof(order->builder), e);
    if (r < 0)
        return r;
    const struct build_task task = {
        .kind = "image", .name = o->name, .run = run, .free = free, .arg = TAKE_PTR(order)};
    return builds_start(h, &task, ret, e);
}
