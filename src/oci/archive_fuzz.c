/* SPDX-License-Identifier: Apache-2.0 */

/* Whole archives by hostile hands. */

#include <assert.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "oci/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct oci_image image;
    struct err e = ERR_INIT;
    struct tree t = {0};
    int fd = memfd_create("archive", MFD_CLOEXEC);
    assert(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    int r = oci_open(fd, &image, &e);
    assert(r == 0 || e.text[0]);
    if (r == 0 && tree_init(&t, &e) == 0) {
        r = unpack_tree(&image, NULL, &t, &e);
        assert(r == 0 || e.text[0]);
        tree_done(&t);
        oci_close(&image);
    }
    close(fd);
    return 0;
}
