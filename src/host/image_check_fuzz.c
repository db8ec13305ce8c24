/* SPDX-License-Identifier: Apache-2.0 */

/* A file that somebody uploads, as kernel and as root file system. The first byte says what it is
 * made of: a right one of that kind, over which the rest is laid at the offset in the next two. */

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "host/image_check.h"
#include "host/test_image_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t make(unsigned kind, unsigned char *p)
{
    if (kind == 0)
        test_make_bzimage(p, "6.1.0 x");
    else if (kind == 1)
        test_make_vmlinux(p);
    else if (kind == 2)
        test_make_ext4(p);
    return kind < 2 ? TEST_BZIMAGE_BYTES : kind == 2 ? TEST_EXT4_BYTES : 0;
}

/* Either a sentence or, of a kernel, a name that can be a directory's. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static unsigned char p[TEST_EXT4_BYTES + 65536];
    if (size < 3 || size > TEST_EXT4_BYTES)
        return 0;
    memset(p, 0, sizeof(p));
    size_t len = make(data[0] % 4, p), at = (size_t)(data[1] | data[2] << 8);
    memcpy(p + at, data + 3, size - 3);
    if (at + size - 3 > len)
        len = at + size - 3;
    auto_close int fd = memfd_create("image", MFD_CLOEXEC);
    if (fd < 0 || write(fd, p, len) != (ssize_t)len)
        return 0;
    struct image_kernel k;
    struct err e = ERR_INIT;
    if (image_check_kernel(fd, (int64_t)len, &k, &e) < 0)
        assert(e.class == ERR_INVALID && e.text[0]);
    else
        assert(strlen(k.release) < IMAGE_RELEASE_SIZE && !strchr(k.release, '/') &&
               k.release[0] != '.');
    e = (struct err)ERR_INIT;
    if (image_check_rootfs(fd, (int64_t)len, &e) < 0)
        assert(e.class == ERR_INVALID && e.text[0]);
    return 0;
}
