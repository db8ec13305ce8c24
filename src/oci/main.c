/* SPDX-License-Identifier: Apache-2.0 */

/* holm-oci: makes a root file system of a container's image. The daemon runs it in a jail, as a uid
 * that nothing else has: all that it can reach are two files that it was given open.
 *
 *     holm-oci plan ARCHIVE_FD            prints what it will take: "size INODES BLOCKS"
 *     holm-oci fill ARCHIVE_FD EXT4_FD    writes it into an empty file system
 *
 * On standard output come "progress DONE TOTAL" now and then, and at the end "size ..." or "ok", or
 * "error CLASS SENTENCE". */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "oci/ext4.h"
#include "oci/unpack.h"

#define TELL_EVERY_MS 250

static void moved(void *arg, uint64_t done, uint64_t total)
{
    int64_t *next_ms = arg, now_ms = clock_mono_ms();
    if (now_ms < *next_ms)
        return;
    *next_ms = now_ms + TELL_EVERY_MS;
    printf("progress %llu %llu\n", (unsigned long long)done, (unsigned long long)total);
    fflush(stdout);
}

static int work(struct oci_image *image, struct tree *t, int out, struct err *e)
{
    int64_t next_ms = 0;
    const struct oci_meter meter = {.moved = moved, .arg = &next_ms};
    int r = tree_init(t, e);
    if (r == 0)
        r = unpack_tree(image, out < 0 ? &meter : NULL, t, e);
    if (r < 0)
        return r;
    if (out >= 0) {
        r = ext4_fill(out, image, &meter, t, e);
        if (r == 0)
            puts("ok");
        return r;
    }
    struct tree_size size;
    tree_measure(t, &size);
    printf("size %llu %llu\n", (unsigned long long)size.inodes, (unsigned long long)size.blocks);
    return 0;
}

int main(int argc, char **argv)
{
    static struct oci_image image;
    struct err e = ERR_INIT;
    struct tree t = {0};
    bool fill = argc == 4 && strcmp(argv[1], "fill") == 0;
    if (!fill && !(argc == 3 && strcmp(argv[1], "plan") == 0)) {
        fputs("usage: holm-oci plan ARCHIVE_FD | fill ARCHIVE_FD EXT4_FD\n", stderr);
        return 2;
    }
    int r = oci_open(atoi(argv[2]), &image, &e);
    if (r == 0)
        r = work(&image, &t, fill ? atoi(argv[3]) : -1, &e);
    if (r < 0)
        printf("error %s %s\n", err_class_name(e.class), e.text);
    /* Memory and files go with the process. */
    return fflush(stdout) == 0 && r == 0 ? 0 : 1;
}
