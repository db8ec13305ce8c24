/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever answers a handshake: what is said of it lies within it, and only a right one is right.
 */

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "cli/upgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct upgrade_answer a = {0};
    const char *text = (const char *)data;
    if (upgrade_parse(text, size, "dGhlIHNhbXBsZSBub25jZQ==", &a) < 0)
        return 0;
    assert(a.head_len >= 4 && a.head_len <= size);
    assert(!memcmp(text + a.head_len - 4, "\r\n\r\n", 4));
    assert(a.status >= 0 && a.status <= 999);
    assert(!a.is_right ||
           (a.status == 101 && memmem(text, size, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28)));
    return 0;
}
