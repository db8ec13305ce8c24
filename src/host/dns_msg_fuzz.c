/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "host/dns_msg.h"
#include "host/netpolicy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
    size_t len = strlen(name);
    assert(len <= DNS_NAME_MAX_BYTES);
    assert(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_?.") == len);
}

static void check_request(const struct dns_request *rq)
{
    unsigned char m[DNS_ERROR_MAX_BYTES], forward[DNS_FORWARD_MAX_BYTES];
    struct dns_request again;
    check_name(rq->question.name);
    size_t len = dns_msg_put_forward(rq, 7, forward);
    assert(len <= sizeof(forward) && dns_msg_parse_request(forward, len, &again) == 0);
    assert(strcmp(again.question.name, rq->question.name) == 0 && again.edns == rq->edns);
    len = dns_msg_put_error(rq, DNS_REFUSED, DNS_REASON_BLOCKED, m);
    assert(len <= sizeof(m));
    len = dns_msg_put_truncated(rq, m);
    assert(len <= sizeof(m));
}

/* The same bytes as a question of a guest, and as the answer to it (or to one that fits). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_request rq;
    struct dns_answer answer;
    unsigned char m[4096];
    if (size > sizeof(m))
        return 0;
    memcpy(m, data, size);
    int r = dns_msg_parse_request(m, size, &rq);
    if (r == 0)
        check_request(&rq);
    else if (size >= DNS_HEADER_BYTES && m[2] & 0x80)
        m[2] &= 0x7f, (void)dns_msg_parse_request(m, size, &rq), m[2] |= 0x80;
    if (size >= DNS_HEADER_BYTES)
        m[2] |= 0x80;
    r = dns_msg_parse_answer(m, size, rq.id, &rq.question, &answer);
    for (size_t i = 0; r == 0 && i < answer.n_names; i++)
        check_name(answer.names[i]);
    assert(r != 0 || (answer.n <= DNS_ADDRESSES_MAX && answer.n_names >= 1));
    return 0;
}
