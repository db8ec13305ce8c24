/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The smallest files that pass for kernels and root file systems, for tests: right as far as they
 * are looked at, and nothing else. */

#include <stdint.h>
#include <string.h>

static inline void test_put(unsigned char *p, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        p[i] = (unsigned char)(value >> (8 * i));
}

#define TEST_BZIMAGE_BYTES 4096

static inline void test_make_bzimage(unsigned char p[TEST_BZIMAGE_BYTES], const char *release)
{
    memset(p, 0, TEST_BZIMAGE_BYTES);
    p[0x1f1] = 3;                                  /* setup: 3 sectors besides the first */
    test_put(p + 0x1f4, (4096 - 4 * 512) / 16, 4); /* the rest */
    test_put(p + 0x1fe, 0xaa55, 2);
    memcpy(p + 0x202, "HdrS", 4);
    test_put(p + 0x206, 0x020f, 2);
    test_put(p + 0x20e, 0x400, 2); /* the release is at 0x600 */
    p[0x211] = 1;
    test_put(p + 0x236, 1, 2);
    strcpy((char *)p + 0x600, release);
}

#define TEST_VMLINUX_BYTES 4096

static inline void test_make_vmlinux(unsigned char p[TEST_VMLINUX_BYTES])
{
    static const unsigned char ident[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    static const char banner[] = "%s Linux version %s\0Linux version 6.9.0-test (x@y) #1";
    memset(p, 0, TEST_VMLINUX_BYTES);
    memcpy(p, ident, sizeof(ident));
    test_put(p + 16, 2, 2);  /* an executable */
    test_put(p + 18, 62, 2); /* x86-64 */
    test_put(p + 32, 64, 8); /* program headers */
    test_put(p + 54, 56, 2);
    test_put(p + 56, 2, 2);
    unsigned char *load = p + 64, *note = p + 120;
    test_put(load, 1, 4);
    test_put(load + 8, 0x400, 8);
    test_put(load + 32, 0x400, 8);
    test_put(load + 40, 0x800, 8);
    test_put(note, 4, 4);
    test_put(note + 8, 0x200, 8);
    test_put(note + 32, 40, 8);
    test_put(p + 0x200, 4, 4); /* a note that is another one's */
    test_put(p + 0x204, 4, 4);
    test_put(p + 0x208, 1, 4);
    memcpy(p + 0x20c, "GNU", 4);
    test_put(p + 0x214, 4, 4);
    test_put(p + 0x218, 4, 4);
    test_put(p + 0x21c, 18, 4);
    memcpy(p + 0x220, "Xen", 4);
    test_put(p + 0x224, 0x1000000, 4);
    memcpy(p + 0x500, banner, sizeof(banner));
}

#define TEST_EXT4_BYTES (64 * 1024)

static inline void test_make_ext4(unsigned char p[TEST_EXT4_BYTES])
{
    unsigned char *sb = p + 1024;
    memset(p, 0, TEST_EXT4_BYTES);
    test_put(sb + 0x00, 16, 4);
    test_put(sb + 0x04, 64, 4); /* blocks of 1024 bytes */
    test_put(sb + 0x14, 1, 4);
    test_put(sb + 0x20, 8192, 4);
    test_put(sb + 0x28, 16, 4);
    test_put(sb + 0x38, 0xef53, 2);
    test_put(sb + 0x5c, 0x4, 4);
    test_put(sb + 0x60, 0x2c6, 4); /* with a journal to be replayed */
    test_put(sb + 0xe0, 8, 4);
}
