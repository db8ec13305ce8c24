/* SPDX-License-Identifier: Apache-2.0 */

/* The query of a staging URL: whatever comes, only what was signed is accepted. The input is an
 * object's id, a "?" and a query; "@" in place of all of it is one that was signed. */

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "host/staging.h"

static struct staging *staging;
static struct staging_ticket ticket;
static char dir[] = "/tmp/holm-fuzz-XXXXXX";

static void drop(void)
{
    staging_free(staging);
    dir_remove(dir);
}

static bool start(void)
{
    if (staging)
        return true;
    if (!mkdtemp(dir) || staging_new(dir, &staging, NULL) < 0)
        return false;
    atexit(drop);
    return staging_sign(staging, "annannannannannannan", 1000, &ticket, NULL) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[512];
    if (!start() || size >= sizeof(text))
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    bool is_ours = text[0] == '@';
    if (is_ours) {
        char rest[sizeof(text)];
        strcpy(rest, text + 1);
        snprintf(text, sizeof(text), "%s?%s%.100s", ticket.object, ticket.upload_query, rest);
        is_ours = !*rest;
    }
    char *query = strchr(text, '?');
    if (!query)
        return 0;
    *query++ = '\0';
    uint64_t max = 0;
    bool accepted = staging_check(staging, true, text, query, &max, NULL) == 0;
    assert(accepted == is_ours);
    assert(max == (is_ours ? 1000u : 0u));
    assert(staging_check(staging, false, text, query, &max, NULL) < 0);
    int fd = -1;
    uint64_t bytes;
    assert(staging_open(staging, text, &fd, &bytes, NULL) < 0);
    return 0;
}
