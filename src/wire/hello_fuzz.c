/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>

#include "wire/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The server finds the same in the whole as in single bytes, and the client never skips more than
 * it was given. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hello_server whole = {0}, bytewise = {0};
    struct hello_client client;
    int events = 0;
    for (size_t at = 0, used; at < size; at += used)
        events += hello_server_feed(&whole, data + at, size - at, &used) != HELLO_MORE;
    for (size_t at = 0, used; at < size; at += used)
        events -= hello_server_feed(&bytewise, data + at, 1, &used) != HELLO_MORE;
    assert(events == 0);
    hello_client_init(&client);
    __builtin_memcpy(client.nonce, "00000000000000000000000000000000", HELLO_NONCE_LEN);
    for (size_t at = 0, skip; at < size && !client.passed; at += skip) {
        skip = hello_client_feed(&client, data + at, size - at);
        assert(skip <= size - at && (client.passed || skip == size - at));
    }
    (void)hello_is_lines(data, size);
    return 0;
}
