/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever comes behind a handshake: no message beyond the bound, no text that is not UTF-8, and an
 * end. */

#include <assert.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "api/text.h"
#include "api/websocket.h"
#include "base/cleanup.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return 0;
    auto_close int server = fds[0], client = fds[1];
    shutdown(client, SHUT_WR);
    const struct websocket_config config = {
        .fd = server, .early = (const char *)data, .early_len = size, .idle_timeout_ms = 60000};
    struct websocket *ws = NULL;
    if (websocket_new(&config, &ws) < 0)
        return 0;
    struct websocket_message m;
    while (websocket_read(ws, &m)) {
        assert(m.len <= WEBSOCKET_MESSAGE_MAX_BYTES && m.len <= size && m.data[m.len] == '\0');
        assert(!m.is_text || text_utf8_prefix(m.data, m.len) == m.len);
    }
    assert(!websocket_read(ws, &m));
    websocket_free(ws);
    return 0;
}
