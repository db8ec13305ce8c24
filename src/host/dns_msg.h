/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* DNS messages: as much of RFC 1035 and 6891 as a forwarder needs. Pure; any thread. Every byte may
 * be hostile: lengths are checked before use, compressed names may only point backwards. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"

#define DNS_HEADER_BYTES 12
#define DNS_QUESTION_MAX_BYTES (255 + 4)
#define DNS_ERROR_MAX_BYTES (DNS_HEADER_BYTES + DNS_QUESTION_MAX_BYTES + 64)

enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
};

/* Reasons of RFC 8914, for those who ask with EDNS. */
enum dns_reason { DNS_REASON_NONE = 0, DNS_REASON_BLOCKED = 15, DNS_REASON_PROHIBITED = 18 };

struct dns_question {
    /* Lower case, without the final dot; "" is the root. Bytes that are in no host name are '?', so
     * such a name is like no name of a policy. */
    char name[DNS_NAME_MAX_BYTES + 2];
    uint16_t type;
    uint16_t class;
    unsigned char wire[DNS_QUESTION_MAX_BYTES]; /* as it was asked */
    size_t wire_bytes;                          /* 0: none could be read */
};

struct dns_request {
    uint16_t id;
    uint16_t flags;
    struct dns_question question;
    bool edns;
    bool dnssec_ok;
    uint16_t udp_bytes; /* what the client can take; 512 without EDNS */
};

/* 0; -EBADMSG: not a query at all, there is nobody to answer; else a positive enum dns_rcode to
 * answer with, *ret is then filled as far as it was read. */
int dns_msg_parse_request(const unsigned char *m, size_t len, struct dns_request *ret);

/* The same question under another id, with nothing else that the client sent. Returns its length.
 */
#define DNS_FORWARD_MAX_BYTES (DNS_HEADER_BYTES + DNS_QUESTION_MAX_BYTES + 11)
size_t dns_msg_put_forward(const struct dns_request *rq, uint16_t id,
                           unsigned char ret[DNS_FORWARD_MAX_BYTES]);

/* An answer without records. Returns its length. */
size_t dns_msg_put_error(const struct dns_request *rq, enum dns_rcode rcode, enum dns_reason reason,
                         unsigned char ret[DNS_ERROR_MAX_BYTES]);
/* "Ask again over TCP". */
size_t dns_msg_put_truncated(const struct dns_request *rq, unsigned char ret[DNS_ERROR_MAX_BYTES]);

struct dns_address {
    int family;
    unsigned char addr[16];
    uint32_t ttl_s;
};

struct dns_answer {
    size_t n_names; /* the name that was asked for, and the aliases it led to */
    char names[DNS_ALIASES_MAX + 1][DNS_NAME_MAX_BYTES + 2];
    size_t n;
    struct dns_address addresses[DNS_ADDRESSES_MAX]; /* of the last name */
};

/* 0; -ENOENT: not the answer to this question; -EBADMSG: it is, but broken. */
int dns_msg_parse_answer(const unsigned char *m, size_t len, uint16_t id,
                         const struct dns_question *q, struct dns_answer *ret);

static inline void dns_msg_set_id(unsigned char *m, uint16_t id)
{
    m[0] = (unsigned char)(id >> 8);
    m[1] = (unsigned char)id;
}
