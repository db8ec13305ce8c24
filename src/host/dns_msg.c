/* SPDX-License-Identifier: Apache-2.0 */
#include "host/dns_msg.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum {
    FLAG_QR = 0x8000,
    FLAG_TC = 0x0200,
    FLAG_RD = 0x0100,
    FLAG_RA = 0x0080,
    FLAG_AD = 0x0020,
    FLAG_CD = 0x0010,
    MASK_OPCODE = 0x7800
};
enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28, TYPE_OPT = 41 };
enum { CLASS_IN = 1 };

#define RECORDS_MAX 512
#define POINTERS_MAX 64
#define EDNS_DO 0x8000

struct reader {
    const unsigned char *m;
    size_t len;
    size_t at;
    bool failed;
};

static unsigned get16(struct reader *r)
{
    if (r->failed || r->len - r->at < 2) {
        r->failed = true;
        return 0;
    }
    r->at += 2;
    return (unsigned)r->m[r->at - 2] << 8 | r->m[r->at - 1];
}

static uint32_t get32(struct reader *r)
{
    uint32_t high = get16(r);
    return high << 16 | get16(r);
}

static char text_of(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ? (char)c : '?';
}

/* Appends the label at `at` to the text; its length, or a negative errno. */
static int add_label(const struct reader *r, size_t at, char *name, size_t *used)
{
    size_t len = r->m[at];
    if (len > 63 || r->len - at - 1 < len || *used + len + (*used ? 1 : 0) > DNS_NAME_MAX_BYTES)
        return -EBADMSG;
    if (*used)
        name[(*used)++] = '.';
    for (size_t i = 0; i < len; i++)
        name[(*used)++] = text_of(r->m[at + 1 + i]);
    return (int)len;
}

/* Reads a name, and goes on behind it. A pointer leads backwards from where it stands, and from
 * where the last one led to, so following them ends. */
static void get_name(struct reader *r, bool pointers, char ret[DNS_NAME_MAX_BYTES + 2])
{
    size_t at = r->at, used = 0, lowest = r->at;
    bool jumped = false;
    for (int hops = 0; !r->failed;) {
        if (at >= r->len)
            break;
        unsigned char c = r->m[at];
        if (c == 0) {
            if (!jumped)
                r->at = at + 1;
            ret[used] = '\0';
            return;
        }
        if (c >= 0xc0) {
            if (!pointers || r->len - at < 2 || ++hops > POINTERS_MAX)
                break;
            size_t to = (size_t)(c & 0x3f) << 8 | r->m[at + 1];
            if (!jumped)
                r->at = at + 2;
            if (to >= lowest)
                break;
            jumped = true;
            at = lowest = to;
            continue;
        }
        int len = add_label(r, at, ret, &used);
        if (len < 0)
            break;
        at += 1 + (size_t)len;
    }
    ret[0] = '\0';
    r->failed = true;
}

static void get_question(struct reader *r, struct dns_question *q)
{
    size_t start = r->at;
    get_name(r, false, q->name);
    q->type = (uint16_t)get16(r);
    q->class = (uint16_t)get16(r);
    if (r->failed || r->at - start > sizeof(q->wire))
        return;
    q->wire_bytes = r->at - start;
    memcpy(q->wire, r->m + start, q->wire_bytes);
}

/* --- requests --- */

static void get_opt(struct reader *r, struct dns_request *rq)
{
    char name[DNS_NAME_MAX_BYTES + 2];
    get_name(r, true, name);
    unsigned type = get16(r), class = get16(r);
    uint32_t ttl = get32(r);
    unsigned len = get16(r);
    if (r->failed || r->len - r->at < len) {
        r->failed = true;
        return;
    }
    r->at += len;
    if (type != TYPE_OPT)
        return;
    rq->edns = true;
    rq->dnssec_ok = ttl & EDNS_DO;
    rq->udp_bytes = (uint16_t)(class < 512 ? 512 : class);
    if (rq->udp_bytes > DNS_UDP_MAX_BYTES)
        rq->udp_bytes = DNS_UDP_MAX_BYTES;
}

int dns_msg_parse_request(const unsigned char *m, size_t len, struct dns_request *ret)
{
    struct reader r = {.m = m, .len = len};
    *ret = (struct dns_request){.udp_bytes = 512};
    ret->id = (uint16_t)get16(&r);
    ret->flags = (uint16_t)get16(&r);
    unsigned questions = get16(&r), answers = get16(&r), authorities = get16(&r);
    unsigned additional = get16(&r);
    if (r.failed || ret->flags & FLAG_QR)
        return -EBADMSG;
    if (ret->flags & MASK_OPCODE)
        return DNS_NOTIMP;
    if (questions != 1 || answers || authorities || additional > 4)
        return DNS_FORMERR;
    get_question(&r, &ret->question);
    for (unsigned i = 0; i < additional && !r.failed; i++)
        get_opt(&r, ret);
    return r.failed || !ret->question.wire_bytes ? DNS_FORMERR : 0;
}

/* --- writing --- */

static size_t put16(unsigned char *m, size_t at, unsigned value)
{
    m[at] = (unsigned char)(value >> 8);
    m[at + 1] = (unsigned char)value;
    return at + 2;
}

static size_t put_head(const struct dns_request *rq, unsigned id, unsigned flags,
                       unsigned char *ret)
{
    const struct dns_question *q = &rq->question;
    size_t at = put16(ret, 0, id);
    at = put16(ret, at, flags);
    at = put16(ret, at, q->wire_bytes ? 1 : 0);
    at = put16(ret, at, 0);
    at = put16(ret, at, 0);
    at = put16(ret, at, rq->edns ? 1 : 0);
    memcpy(ret + at, q->wire, q->wire_bytes);
    return at + q->wire_bytes;
}

/* `option_bytes` of options are yet to follow. */
static size_t put_opt(const struct dns_request *rq, unsigned option_bytes, unsigned char *ret,
                      size_t at)
{
    ret[at++] = 0; /* the root's name */
    at = put16(ret, at, TYPE_OPT);
    at = put16(ret, at, DNS_UDP_MAX_BYTES);
    at = put16(ret, at, 0);
    at = put16(ret, at, rq->dnssec_ok ? EDNS_DO : 0);
    return put16(ret, at, option_bytes);
}

size_t dns_msg_put_forward(const struct dns_request *rq, uint16_t id,
                           unsigned char ret[DNS_FORWARD_MAX_BYTES])
{
    size_t at = put_head(rq, id, FLAG_RD | (rq->flags & (FLAG_AD | FLAG_CD)), ret);
    return rq->edns ? put_opt(rq, 0, ret, at) : at;
}

size_t dns_msg_put_error(const struct dns_request *rq, enum dns_rcode rcode, enum dns_reason reason,
                         unsigned char ret[DNS_ERROR_MAX_BYTES])
{
    static const char text[] = "network policy";
    unsigned flags = FLAG_QR | FLAG_RA | (rq->flags & (FLAG_RD | MASK_OPCODE)) | (unsigned)rcode;
    size_t at = put_head(rq, rq->id, flags, ret);
    if (!rq->edns || reason == DNS_REASON_NONE)
        return rq->edns ? put_opt(rq, 0, ret, at) : at;
    unsigned len = sizeof(text) - 1;
    at = put_opt(rq, 4 + 2 + len, ret, at);
    at = put16(ret, at, 15); /* extended error */
    at = put16(ret, at, 2 + len);
    at = put16(ret, at, reason);
    memcpy(ret + at, text, len);
    return at + len;
}

size_t dns_msg_put_truncated(const struct dns_request *rq, unsigned char ret[DNS_ERROR_MAX_BYTES])
{
    size_t len = dns_msg_put_error(rq, DNS_NOERROR, DNS_REASON_NONE, ret);
    ret[2] |= FLAG_TC >> 8;
    return len;
}

/* --- answers --- */

struct record {
    char owner[DNS_NAME_MAX_BYTES + 2];
    unsigned type, class;
    uint32_t ttl_s;
    size_t data;
    unsigned data_bytes;
};

static void get_record(struct reader *r, struct record *ret)
{
    get_name(r, true, ret->owner);
    ret->type = get16(r);
    ret->class = get16(r);
    ret->ttl_s = get32(r);
    ret->data_bytes = get16(r);
    ret->data = r->at;
    if (r->failed || r->len - r->at < ret->data_bytes)
        r->failed = true;
    else
        r->at += ret->data_bytes;
}

static void add_address(const struct reader *r, const struct record *rr, struct dns_answer *a)
{
    unsigned want = rr->type == TYPE_A ? 4 : 16;
    if (rr->data_bytes != want || a->n == DNS_ADDRESSES_MAX)
        return;
    struct dns_address *to = &a->addresses[a->n++];
    *to = (struct dns_address){.family = want == 4 ? AF_INET : AF_INET6, .ttl_s = rr->ttl_s};
    memcpy(to->addr, r->m + rr->data, want);
}

/* The alias of the last name, if the answer has one; each record is used once, and aliases are
 * bounded, so a circle ends. */
static bool follow_alias(const struct reader *r, const struct record *rr, struct dns_answer *a)
{
    if (a->n_names > DNS_ALIASES_MAX)
        return false;
    struct reader inside = *r;
    inside.at = rr->data;
    inside.len = rr->data + rr->data_bytes;
    get_name(&inside, true, a->names[a->n_names]);
    if (inside.failed)
        return false;
    a->n_names++;
    return true;
}

/* One pass over the answer's records for the last name: true when it led to another name. */
static bool look_for_last(struct reader r, unsigned count, struct dns_answer *a)
{
    struct record rr;
    const char *last = a->names[a->n_names - 1];
    for (unsigned i = 0; i < count; i++) {
        get_record(&r, &rr);
        if (r.failed || rr.class != CLASS_IN || strcmp(rr.owner, last) != 0)
            continue;
        if (rr.type == TYPE_CNAME)
            return follow_alias(&r, &rr, a);
        if (rr.type == TYPE_A || rr.type == TYPE_AAAA)
            add_address(&r, &rr, a);
    }
    return false;
}

int dns_msg_parse_answer(const unsigned char *m, size_t len, uint16_t id,
                         const struct dns_question *q, struct dns_answer *ret)
{
    struct reader r = {.m = m, .len = len};
    struct dns_question asked = {.wire_bytes = 0};
    struct record rr;
    unsigned got_id = get16(&r), flags = get16(&r), questions = get16(&r), answers = get16(&r);
    get32(&r);
    get_question(&r, &asked);
    if (r.failed || got_id != id || !(flags & FLAG_QR) || (flags & MASK_OPCODE) || questions != 1 ||
        asked.type != q->type || asked.class != q->class || strcmp(asked.name, q->name) != 0)
        return -ENOENT;
    ret->n = 0;
    ret->n_names = 1;
    memcpy(ret->names[0], q->name, sizeof(q->name));
    struct reader records = r;
    for (unsigned i = 0; i < answers && !(flags & FLAG_TC); i++)
        get_record(&r, &rr);
    if (r.failed || answers > RECORDS_MAX)
        return -EBADMSG;
    while (!(flags & FLAG_TC) && look_for_last(records, answers, ret))
        ;
    return 0;
}
