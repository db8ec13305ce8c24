/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image_check.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"

#define HEAD_BYTES 4096 /* holds every header that is looked at first */
#define PHDRS_MAX 64
#define NOTES_MAX_BYTES (1 * MIB)
#define SCAN_BYTES (64 * KIB)
#define SECTOR_BYTES 512

static uint16_t le16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t le32(const unsigned char *p)
{
    return (uint32_t)le16(p) | (uint32_t)le16(p + 2) << 16;
}

static uint64_t le64(const unsigned char *p)
{
    return (uint64_t)le32(p) | (uint64_t)le32(p + 4) << 32;
}

/* As much as there is of `len` bytes. */
static ssize_t read_at(int fd, void *ret, size_t len, int64_t offset, struct err *e)
{
    size_t got = 0;
    while (got < len) {
        ssize_t n = pread(fd, (char *)ret + got, len - got, offset + (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(e, -errno, "read the file");
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static int read_head(int fd, unsigned char ret[HEAD_BYTES], struct err *e)
{
    memset(ret, 0, HEAD_BYTES);
    ssize_t n = read_at(fd, ret, HEAD_BYTES, 0, e);
    return n < 0 ? (int)n : 0;
}

/* --- what people send by mistake --- */

static const struct {
    size_t offset;
    const char *magic;
    size_t len;
    const char *what; /* it is; and what to do */
} mistakes[] = {
    {0, "\x1f\x8b", 2, "a gzip file: unpack it first (gunzip)"},
    {0,
     "\xfd"
     "7zXZ",
     5, "an xz file: unpack it first (unxz)"},
    {0, "\x28\xb5\x2f\xfd", 4, "a zstd file: unpack it first (unzstd)"},
    {0, "BZh", 3, "a bzip2 file: unpack it first (bunzip2)"},
    {0, "\x02\x21\x4c\x18", 4, "an lz4 file: unpack it first (unlz4)"},
    {0, "\x04\x22\x4d\x18", 4, "an lz4 file: unpack it first (unlz4)"},
    {0, "PK\x03\x04", 4, "a zip file: unpack it first"},
    {0, "QFI\xfb", 4, "a qcow2 disk: convert it first (qemu-img convert -O raw)"},
    {0, "KDMV", 4, "a VMDK disk: convert it first (qemu-img convert -O raw)"},
    {0, "vhdxfile", 8, "a VHDX disk: convert it first (qemu-img convert -O raw)"},
    {0, "hsqs", 4, "a squashfs: make an ext4 of its files (unsquashfs, mke2fs -d)"},
    {0, "070701", 6, "a cpio archive, as an initramfs is; Holm brings its own"},
    {0, "!<arch>\n", 8, "a Debian package or another ar archive: unpack it first (dpkg-deb -x)"},
    {257, "ustar", 5, "a tar archive: make an ext4 of its files (mke2fs -d)"},
    {0, "XFSB", 4, "an XFS: only ext4 (and ext2, ext3) can be the root"},
    {0x38, "ARM\x64", 4, "a kernel for 64-bit ARM; VMs are x86-64"},
};

/* Its name when it is one of these, else NULL. */
static const char *mistake(const unsigned char *head)
{
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        if (memcmp(head + mistakes[i].offset, mistakes[i].magic, mistakes[i].len) == 0)
            return mistakes[i].what;
    }
    return NULL;
}

static bool has_ext_magic(const unsigned char *head)
{
    return le16(head + 1024 + 0x38) == 0xef53;
}

static bool has_boot_signature(const unsigned char *head)
{
    return le16(head + 510) == 0xaa55;
}

/* --- bzImage: Linux's Documentation/arch/x86/boot.rst --- */

enum {
    BZ_SETUP_SECTS = 0x1f1,
    BZ_SYSSIZE = 0x1f4,
    BZ_MAGIC = 0x202,
    BZ_VERSION = 0x206,
    BZ_KERNEL_VERSION = 0x20e,
    BZ_LOADFLAGS = 0x211,
    BZ_XLOADFLAGS = 0x236,
};

/* The first word, when it is one that a directory of modules could be named by. */
static void take_release(const char *text, size_t len, char ret[IMAGE_RELEASE_SIZE])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789.-+_~:";
    size_t n = 0;
    while (n < len && text[n] && strchr(letters, text[n]))
        n++;
    bool ends = n < len && (text[n] == ' ' || text[n] == '\0' || text[n] == '\n');
    ret[0] = '\0';
    if (!ends || n == 0 || n >= IMAGE_RELEASE_SIZE || text[0] == '.')
        return;
    memcpy(ret, text, n);
    ret[n] = '\0';
}

static int check_bzimage(int fd, int64_t bytes, const unsigned char *head, struct image_kernel *ret,
                         struct err *e)
{
    unsigned version = le16(head + BZ_VERSION);
    if (version < 0x020c)
        return err_set(e, ERR_INVALID,
                       "this kernel has boot protocol %u.%02u, at least 2.12 (Linux 3.8) is needed",
                       version >> 8, version & 0xff);
    if (!(head[BZ_LOADFLAGS] & 1))
        return err_set(e, ERR_INVALID, "this is a zImage, not a bzImage");
    if (!(le16(head + BZ_XLOADFLAGS) & 1))
        return err_set(e, ERR_INVALID, "this is a kernel for 32-bit x86; VMs are x86-64");
    int64_t sectors = head[BZ_SETUP_SECTS] ? head[BZ_SETUP_SECTS] : 4;
    int64_t setup = (sectors + 1) * 512, need = setup + (int64_t)le32(head + BZ_SYSSIZE) * 16;
    if (need > bytes)
        return err_set(e, ERR_INVALID,
                       "this kernel is cut off: its header tells of %lld bytes, the file has %lld",
                       (long long)need, (long long)bytes);
    char text[IMAGE_RELEASE_SIZE + 1] = "";
    int64_t at = le16(head + BZ_KERNEL_VERSION);
    if (at && at + 512 < setup) {
        ssize_t n = read_at(fd, text, sizeof(text) - 1, at + 512, e);
        if (n < 0)
            return (int)n;
        take_release(text, (size_t)n, ret->release);
    }
    ret->form = IMAGE_KERNEL_BZIMAGE;
    return 0;
}

/* --- vmlinux --- */

#define XEN_NOTE_PHYS32_ENTRY 18

static size_t align4(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

/* Whether the notes have the entry at which QEMU starts a kernel that it has put into memory
 * itself. */
static bool notes_have_pvh(const unsigned char *p, size_t len)
{
    while (len >= sizeof(Elf64_Nhdr)) {
        size_t name = le32(p), desc = le32(p + 4);
        uint32_t type = le32(p + 8);
        p += sizeof(Elf64_Nhdr);
        len -= sizeof(Elf64_Nhdr);
        if (name > len || align4(name) > len || desc > len - align4(name))
            return false;
        const unsigned char *entry = p + align4(name);
        if (type == XEN_NOTE_PHYS32_ENTRY && name == 4 && memcmp(p, "Xen", 4) == 0 && desc >= 4)
            return le32(entry) != 0;
        size_t all = align4(name) + align4(desc);
        if (all > len)
            return false;
        p += all;
        len -= all;
    }
    return false;
}

static int segment_has_pvh(int fd, int64_t offset, int64_t len, struct err *e)
{
    if (len > (int64_t)NOTES_MAX_BYTES)
        return 0;
    auto_free unsigned char *notes = malloc((size_t)len + 1);
    if (!notes)
        return err_errno(e, -ENOMEM, "check a kernel");
    ssize_t n = read_at(fd, notes, (size_t)len, offset, e);
    return n < 0 ? (int)n : notes_have_pvh(notes, (size_t)n);
}

/* "Linux version 6.1.0 (..." stands somewhere in the read-only data. */
static int scan_release(int fd, int64_t bytes, char ret[IMAGE_RELEASE_SIZE], struct err *e)
{
    static const char words[] = "Linux version ";
    const size_t words_len = sizeof(words) - 1, overlap = words_len + IMAGE_RELEASE_SIZE;
    auto_free char *piece = malloc(SCAN_BYTES);
    if (!piece)
        return err_errno(e, -ENOMEM, "check a kernel");
    for (int64_t at = 0; at < bytes && !ret[0]; at += (int64_t)(SCAN_BYTES - overlap)) {
        ssize_t n = read_at(fd, piece, SCAN_BYTES, at, e);
        if (n < 0)
            return (int)n;
        char *p = piece, *end = piece + n;
        while (!ret[0] && (p = memmem(p, (size_t)(end - p), words, words_len))) {
            p += words_len;
            take_release(p, (size_t)(end - p), ret);
            if (ret[0] < '0' || ret[0] > '9') /* a format of printf's */
                ret[0] = '\0';
        }
    }
    return 0;
}

static int check_elf_header(const unsigned char *head, struct err *e)
{
    if (head[EI_CLASS] != ELFCLASS64 || head[EI_DATA] != ELFDATA2LSB ||
        le16(head + offsetof(Elf64_Ehdr, e_machine)) != EM_X86_64)
        return err_set(e, ERR_INVALID, "this ELF file is not for x86-64");
    if (le16(head + offsetof(Elf64_Ehdr, e_type)) != ET_EXEC)
        return err_set(e, ERR_INVALID,
                       "this ELF file is no kernel: a vmlinux is an executable at a fixed address");
    if (le16(head + offsetof(Elf64_Ehdr, e_phentsize)) != sizeof(Elf64_Phdr) ||
        le16(head + offsetof(Elf64_Ehdr, e_phnum)) == 0 ||
        le16(head + offsetof(Elf64_Ehdr, e_phnum)) > PHDRS_MAX)
        return err_set(e, ERR_INVALID, "this ELF file has no program headers that make sense");
    return 0;
}

/* Inside the file, and small enough to be loaded. */
static int check_segment(const unsigned char *ph, int64_t bytes, uint64_t *loaded, struct err *e)
{
    uint64_t offset = le64(ph + offsetof(Elf64_Phdr, p_offset));
    uint64_t filesz = le64(ph + offsetof(Elf64_Phdr, p_filesz));
    uint64_t memsz = le64(ph + offsetof(Elf64_Phdr, p_memsz));
    uint64_t end;
    if (__builtin_add_overflow(offset, filesz, &end) || end > (uint64_t)bytes)
        return err_set(e, ERR_INVALID, "this vmlinux is cut off: a segment ends beyond the file");
    if (le32(ph) == PT_LOAD && (memsz < filesz || __builtin_add_overflow(*loaded, memsz, loaded) ||
                                *loaded > IMAGE_KERNEL_MAX_BYTES))
        return err_set(e, ERR_INVALID, "this vmlinux wants more than %llu MiB of memory",
                       IMAGE_KERNEL_MAX_BYTES / MIB);
    return 0;
}

static int check_vmlinux(int fd, int64_t bytes, const unsigned char *head, struct image_kernel *ret,
                         struct err *e)
{
    int r = check_elf_header(head, e);
    if (r < 0)
        return r;
    unsigned char ph[PHDRS_MAX * sizeof(Elf64_Phdr)];
    size_t n = le16(head + offsetof(Elf64_Ehdr, e_phnum));
    uint64_t at = le64(head + offsetof(Elf64_Ehdr, e_phoff)), loaded = 0;
    ssize_t got =
        at > (uint64_t)bytes ? 0 : read_at(fd, ph, n * sizeof(Elf64_Phdr), (int64_t)at, e);
    if (got < 0)
        return (int)got;
    if ((size_t)got < n * sizeof(Elf64_Phdr))
        return err_set(e, ERR_INVALID, "this vmlinux is cut off: its program headers are missing");
    int pvh = 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        const unsigned char *p = ph + i * sizeof(Elf64_Phdr);
        r = check_segment(p, bytes, &loaded, e);
        if (r == 0 && le32(p) == PT_NOTE && !pvh)
            r = pvh = segment_has_pvh(fd, (int64_t)le64(p + offsetof(Elf64_Phdr, p_offset)),
                                      (int64_t)le64(p + offsetof(Elf64_Phdr, p_filesz)), e);
        r = r > 0 ? 0 : r;
    }
    if (r < 0)
        return r;
    if (!pvh || !loaded)
        return err_set(e, ERR_INVALID,
                       "this vmlinux has no PVH entry: build it with CONFIG_PVH=y, or upload the "
                       "bzImage");
    ret->form = IMAGE_KERNEL_VMLINUX;
    return scan_release(fd, bytes, ret->release, e);
}

int image_check_kernel(int fd, int64_t bytes, struct image_kernel *ret, struct err *e)
{
    unsigned char head[HEAD_BYTES];
    struct image_kernel k = {0};
    if (bytes < SECTOR_BYTES * 2)
        return err_set(e, ERR_INVALID, "the file is too short to be a kernel (%lld bytes)",
                       (long long)bytes);
    int r = read_head(fd, head, e);
    if (r < 0)
        return r;
    if (memcmp(head, ELFMAG, SELFMAG) == 0) {
        r = check_vmlinux(fd, bytes, head, &k, e);
    } else if (has_boot_signature(head) && memcmp(head + BZ_MAGIC, "HdrS", 4) == 0) {
        r = check_bzimage(fd, bytes, head, &k, e);
    } else {
        const char *what =
            has_ext_magic(head) ? "an ext4 file system: it belongs to the rootfs" : mistake(head);
        return what ? err_set(e, ERR_INVALID, "this is %s", what)
                    : err_set(e, ERR_INVALID,
                              "this is no kernel: neither a bzImage nor an ELF vmlinux");
    }
    if (r == 0)
        *ret = k;
    return r;
}

/* --- ext4: Linux's Documentation/filesystems/ext4/super.rst --- */

enum {
    SB_BLOCKS_LO = 0x04,
    SB_FIRST_BLOCK = 0x14,
    SB_LOG_BLOCK_SIZE = 0x18,
    SB_BLOCKS_PER_GROUP = 0x20,
    SB_INODES_PER_GROUP = 0x28,
    SB_COMPAT = 0x5c,
    SB_INCOMPAT = 0x60,
    SB_JOURNAL_INUM = 0xe0,
    SB_BLOCKS_HI = 0x150,
};

#define COMPAT_HAS_JOURNAL 0x4u
#define INCOMPAT_64BIT 0x80u

/* Those that stand for something Linux of today mounts: file types, a journal to be replayed,
 * meta groups, extents, 64 bits, flexible groups, inodes for attributes, checksum seed, large
 * directories, data in inodes, encryption, case folding. */
#define INCOMPAT_KNOWN                                                                     \
    (0x2u | 0x4u | 0x10u | 0x40u | 0x80u | 0x200u | 0x400u | 0x2000u | 0x4000u | 0x8000u | \
     0x10000u | 0x20000u)

static int check_features(const unsigned char *sb, struct err *e)
{
    uint32_t incompat = le32(sb + SB_INCOMPAT);
    bool external = (le32(sb + SB_COMPAT) & COMPAT_HAS_JOURNAL) && !le32(sb + SB_JOURNAL_INUM);
    if (incompat & 0x8u)
        return err_set(e, ERR_INVALID, "this is only the journal of another ext4 file system");
    if (external)
        return err_set(e, ERR_INVALID, "this ext4 has its journal on another device");
    if (incompat & 0x100u)
        return err_set(e, ERR_INVALID,
                       "this ext4 has multiple mount protection, which copies cannot have: turn it "
                       "off (tune2fs -O ^mmp)");
    if (incompat & ~INCOMPAT_KNOWN)
        return err_set(e, ERR_INVALID, "this ext4 has features that are not known (0x%x)",
                       incompat & ~INCOMPAT_KNOWN);
    return 0;
}

static int check_superblock(const unsigned char *sb, int64_t bytes, struct err *e)
{
    uint32_t log_block = le32(sb + SB_LOG_BLOCK_SIZE);
    if (log_block > 2)
        return err_set(e, ERR_INVALID,
                       "this ext4 has blocks of more than 4096 bytes, which Linux on x86-64 cannot "
                       "mount");
    int64_t block = 1024 << log_block;
    uint64_t blocks = le32(sb + SB_BLOCKS_LO);
    if (le32(sb + SB_INCOMPAT) & INCOMPAT_64BIT)
        blocks |= (uint64_t)le32(sb + SB_BLOCKS_HI) << 32;
    if (!blocks || !le32(sb + SB_BLOCKS_PER_GROUP) || !le32(sb + SB_INODES_PER_GROUP) ||
        le32(sb + SB_FIRST_BLOCK) >= blocks)
        return err_set(e, ERR_INVALID, "the superblock of this ext4 makes no sense");
    if (blocks > (uint64_t)(bytes / block))
        return err_set(e, ERR_INVALID,
                       "this ext4 is cut off: it has %llu blocks of %lld bytes, the file only %lld "
                       "bytes",
                       (unsigned long long)blocks, (long long)block, (long long)bytes);
    if (bytes % block)
        return err_set(e, ERR_INVALID,
                       "the file's size of %lld bytes is no multiple of its blocks of %lld bytes",
                       (long long)bytes, (long long)block);
    return 0;
}

int image_check_rootfs(int fd, int64_t bytes, struct err *e)
{
    unsigned char head[HEAD_BYTES];
    int r = read_head(fd, head, e);
    if (r < 0)
        return r;
    if (!has_ext_magic(head)) {
        const char *what = mistake(head);
        if (!what && memcmp(head + BZ_MAGIC, "HdrS", 4) == 0)
            what = "a kernel: it belongs to the kernel";
        if (!what && has_boot_signature(head))
            what = "a whole disk with partitions: take the root file system out of it";
        return what ? err_set(e, ERR_INVALID, "this is %s", what)
                    : err_set(e, ERR_INVALID, "this is no ext4 file system");
    }
    r = check_features(head + 1024, e);
    return r < 0 ? r : check_superblock(head + 1024, bytes, e);
}
