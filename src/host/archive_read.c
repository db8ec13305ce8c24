/* SPDX-License-Identifier: Apache-2.0 */

/* Archives of what is in a VM: the guest's tar, compressed on the way. ISA-L's first level does
 * that at several hundred MB/s, where zlib's would be what a download waits for. */

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/buf.h"
#include "host/archive.h"
#include "host/vms_guest.h"

#define PIECE_BYTES (128 * 1024)
#define LEVEL 1

struct archive_reader {
    struct vm_stream *stream; /* borrowed */
    struct isal_zstream z;
    bool ended; /* the stream has */
    uint8_t level[ISAL_DEF_LVL1_DEFAULT];
    uint8_t piece[PIECE_BYTES];
};

int archive_reader_new(struct vm_stream *s, struct archive_reader **ret, struct err *e)
{
    struct archive_reader *ar = calloc(1, sizeof(*ar));
    if (!ar)
        return err_errno(e, -ENOMEM, "make an archive");
    ar->stream = s;
    isal_deflate_init(&ar->z);
    ar->z.level = LEVEL;
    ar->z.level_buf = ar->level;
    ar->z.level_buf_size = sizeof(ar->level);
    ar->z.gzip_flag = IGZIP_GZIP;
    *ret = ar;
    return 0;
}

void archive_reader_free(struct archive_reader *ar)
{
    free(ar);
}

static int next_piece(struct archive_reader *ar, struct err *e)
{
    ssize_t n = vm_stream_read(ar->stream, ar->piece, sizeof(ar->piece), e);
    if (n < 0)
        return (int)n;
    ar->ended = n == 0;
    ar->z.end_of_stream = ar->ended;
    ar->z.next_in = ar->piece;
    ar->z.avail_in = (uint32_t)n;
    return 0;
}

ssize_t archive_read(struct archive_reader *ar, void *buf, size_t max, struct err *e)
{
    ar->z.next_out = buf;
    ar->z.avail_out = max < UINT32_MAX ? (uint32_t)max : UINT32_MAX;
    uint32_t room = ar->z.avail_out;
    while (ar->z.avail_out == room && ar->z.internal_state.state != ZSTATE_END) {
        int r = ar->z.avail_in || ar->ended ? 0 : next_piece(ar, e);
        if (r < 0)
            return r;
        if (isal_deflate(&ar->z) != COMP_OK)
            return err_set(e, ERR_INTERNAL, "cannot compress the archive");
    }
    return (ssize_t)(room - ar->z.avail_out);
}
