/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/upgrade.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base64.h"
#include "base/id.h"
#include "base/sha1.h"

void upgrade_key(char ret[UPGRADE_KEY_SIZE])
{
    unsigned char bytes[16];
    auto_buf struct buf text = {0};
    id_random(bytes, sizeof(bytes));
    base64_encode(bytes, sizeof(bytes), &text);
    snprintf(ret, UPGRADE_KEY_SIZE, "%s", buf_str(&text));
}

int upgrade_headers(const char *key, struct buf *ret)
{
    return buf_printf(ret,
                      "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: %s\r\n",
                      key);
}

int upgrade_accept(const char *key, struct buf *ret)
{
    unsigned char sum[SHA1_BYTES];
    auto_buf struct buf text = {0};
    int r = buf_printf(&text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    if (r < 0)
        return r;
    sha1(text.data, text.len, sum);
    return base64_encode(sum, sizeof(sum), ret);
}

/* The value of a header line, without the white space around it, when it has this name. */
static bool header(const char *line, size_t len, const char *name, struct buf *ret)
{
    size_t n = strlen(name);
    if (len <= n || line[n] != ':' || strncasecmp(line, name, n))
        return false;
    line += n + 1;
    len -= n + 1;
    while (len && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    while (len && (line[len - 1] == ' ' || line[len - 1] == '\t'))
        len--;
    buf_clear(ret);
    return buf_append(ret, line, len) == 0;
}

/* "keep-alive, Upgrade" has it. */
static bool has_token(const char *list, const char *token)
{
    size_t n = strlen(token);
    while (*list) {
        list += strspn(list, ", \t");
        size_t len = strcspn(list, ", \t");
        if (len == n && !strncasecmp(list, token, n))
            return true;
        list += len;
    }
    return false;
}

struct seen {
    bool upgrade, connection, accept;
};

static void take_line(const char *line, size_t len, const char *accept, struct seen *seen,
                      struct upgrade_answer *ret)
{
    auto_buf struct buf value = {0};
    if (header(line, len, "Upgrade", &value))
        seen->upgrade = !strcasecmp(buf_str(&value), "websocket");
    else if (header(line, len, "Connection", &value))
        seen->connection = has_token(buf_str(&value), "upgrade");
    else if (header(line, len, "Sec-WebSocket-Accept", &value))
        seen->accept = !strcmp(buf_str(&value), accept);
    else if (header(line, len, "Content-Length", &value)) {
        char *end;
        errno = 0;
        ret->body_len = strtoul(buf_str(&value), &end, 10);
        ret->has_body_len = !errno && *end == '\0' && value.len && value.data[0] != '-';
    }
}

/* "HTTP/1.1 101 Switching Protocols" */
static int parse_status(const char *line, size_t len)
{
    if (len < 12 || memcmp(line, "HTTP/1.", 7) || line[8] != ' ')
        return -EPROTO;
    for (int i = 9; i < 12; i++) {
        if (line[i] < '0' || line[i] > '9')
            return -EPROTO;
    }
    return (line[9] - '0') * 100 + (line[10] - '0') * 10 + line[11] - '0';
}

int upgrade_parse(const char *data, size_t len, const char *key, struct upgrade_answer *ret)
{
    const char *end = memmem(data, len, "\r\n\r\n", 4);
    if (!end)
        return len >= UPGRADE_HEAD_MAX_BYTES ? -EPROTO : -EAGAIN;
    auto_buf struct buf accept = {0};
    struct seen seen = {0};
    const char *line = data, *line_end = memmem(data, len, "\r\n", 2);
    int status = parse_status(line, (size_t)(line_end - line));
    if (status < 0 || upgrade_accept(key, &accept) < 0)
        return -EPROTO;
    *ret = (struct upgrade_answer){.status = status, .head_len = (size_t)(end - data) + 4};
    while (line_end < end) {
        line = line_end + 2;
        line_end = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        take_line(line, (size_t)(line_end - line), buf_str(&accept), &seen, ret);
    }
    ret->is_right = status == 101 && seen.upgrade && seen.connection && seen.accept;
    return 0;
}
