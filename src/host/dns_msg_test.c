/* SPDX-License-Identifier: Apache-2.0 */
#include "host/dns_msg.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/test.h"

/* Messages are written as C strings with their lengths. */
#define BYTES(s) (const unsigned char *)(s), sizeof(s) - 1
#define HEAD(id, flags, qd, an, ns, ar) id flags "\0" qd "\0" an "\0" ns "\0" ar
#define NAME_A "\3www\7Example\3com\0"
#define IN_A "\0\1\0\1"
#define OPT(size, flags) "\0\0\51" size "\0\0" flags "\0\0"

static void test_request(void **state)
{
    struct dns_request rq;
    assert_int_equal(
        dns_msg_parse_request(BYTES(HEAD("\1\2", "\1\0", "\1", "\0", "\0", "\0") NAME_A IN_A), &rq),
        0);
    assert_int_equal(rq.id, 0x0102);
    assert_string_equal(rq.question.name, "www.example.com");
    assert_int_equal(rq.question.type, 1);
    assert_int_equal(rq.question.class, 1);
    assert_false(rq.edns);
    assert_int_equal(rq.udp_bytes, 512);
    assert_int_equal(dns_msg_parse_request(BYTES(HEAD("\1\2", "\1\0", "\1", "\0", "\0", "\1")
                                                     NAME_A IN_A OPT("\20\0", "\200\0")),
                                           &rq),
                     0);
    assert_true(rq.edns && rq.dnssec_ok);
    assert_int_equal(rq.udp_bytes, DNS_UDP_MAX_BYTES);
    /* Odd bytes are like no name of a policy; a dot inside a label is no end of one. */
    assert_int_equal(
        dns_msg_parse_request(
            BYTES(HEAD("\1\2", "\1\0", "\1", "\0", "\0", "\0") "\5a.c\1\377\3c_m\0" IN_A), &rq),
        0);
    assert_string_equal(rq.question.name, "a?c??.c_m");
    assert_int_equal(dns_msg_parse_request(
                         BYTES(HEAD("\1\2", "\1\0", "\1", "\0", "\0", "\0") "\0\0\2\0\1"), &rq),
                     0);
    assert_string_equal(rq.question.name, "");
}

static void test_bad_requests(void **state)
{
    struct dns_request rq;
    assert_int_equal(dns_msg_parse_request(BYTES("\1\2\1\0\0\1\0\0\0\0\0"), &rq), -EBADMSG);
    assert_int_equal(dns_msg_parse_request(
                         BYTES(HEAD("\1\2", "\201\0", "\1", "\0", "\0", "\0") NAME_A IN_A), &rq),
                     -EBADMSG); /* an answer: not to be answered */
    assert_int_equal(dns_msg_parse_request(
                         BYTES(HEAD("\1\2", "\50\0", "\1", "\0", "\0", "\0") NAME_A IN_A), &rq),
                     DNS_NOTIMP);
    assert_int_equal(
        dns_msg_parse_request(
            BYTES(HEAD("\1\2", "\1\0", "\2", "\0", "\0", "\0") NAME_A IN_A NAME_A IN_A), &rq),
        DNS_FORMERR);
    assert_int_equal(
        dns_msg_parse_request(BYTES(HEAD("\1\2", "\1\0", "\0", "\0", "\0", "\0")), &rq),
        DNS_FORMERR);
    assert_int_equal(
        dns_msg_parse_request(BYTES(HEAD("\1\2", "\1\0", "\1", "\1", "\0", "\0") NAME_A IN_A), &rq),
        DNS_FORMERR);
    assert_int_equal(dns_msg_parse_request(
                         BYTES(HEAD("\1\2", "\1\0", "\1", "\0", "\0", "\0") NAME_A "\0\1"), &rq),
                     DNS_FORMERR);
    assert_int_equal(dns_msg_parse_request(
                         BYTES(HEAD("\1\2", "\1\0", "\1", "\0", "\0", "\0") "\300\14" IN_A), &rq),
                     DNS_FORMERR); /* a question is not compressed */
    assert_int_equal(dns_msg_parse_request(
                         BYTES(HEAD("\1\2", "\1\0", "\1", "\0", "\0", "\0") "\100a\0" IN_A), &rq),
                     DNS_FORMERR);
    assert_int_equal(dns_msg_parse_request(
                         BYTES(HEAD("\1\2", "\1\0", "\1", "\0", "\0", "\0") "\77a\0" IN_A), &rq),
                     DNS_FORMERR);
}

static void test_long_name(void **state)
{
    struct dns_request rq;
    auto_buf struct buf b = {0};
    buf_append(&b, BYTES(HEAD("\1\2", "\1\0", "\1", "\0", "\0", "\0")));
    for (int i = 0; i < 127; i++)
        buf_append(&b, BYTES("\1a"));
    buf_append(&b, BYTES("\0" IN_A));
    assert_int_equal(dns_msg_parse_request((unsigned char *)b.data, b.len, &rq), 0);
    assert_int_equal(strlen(rq.question.name), DNS_NAME_MAX_BYTES);
    assert_int_equal(rq.question.wire_bytes, 255 + 4);
    buf_clear(&b);
    buf_append(&b, BYTES(HEAD("\1\2", "\1\0", "\1", "\0", "\0", "\0")));
    for (int i = 0; i < 128; i++)
        buf_append(&b, BYTES("\1a"));
    buf_append(&b, BYTES("\0" IN_A));
    assert_int_equal(dns_msg_parse_request((unsigned char *)b.data, b.len, &rq), DNS_FORMERR);
}

static struct dns_request www(bool edns)
{
    struct dns_request rq;
    if (edns)
        dns_msg_parse_request(
            BYTES(HEAD("\1\2", "\1\20", "\1", "\0", "\0", "\1") NAME_A IN_A OPT("\20\0", "\0\0")),
            &rq);
    else
        dns_msg_parse_request(BYTES(HEAD("\1\2", "\1\20", "\1", "\0", "\0", "\0") NAME_A IN_A),
                              &rq);
    return rq;
}

static void test_writing(void **state)
{
    struct dns_request plain = www(false), edns = www(true), again;
    unsigned char m[DNS_ERROR_MAX_BYTES];
    size_t len = dns_msg_put_forward(&plain, 0x7788, m);
    static const char forward[] = HEAD("\x77\x88", "\1\20", "\1", "\0", "\0", "\0") NAME_A IN_A;
    assert_int_equal(len, sizeof(forward) - 1);
    assert_memory_equal(m, forward, len);
    len = dns_msg_put_forward(&edns, 1, m);
    assert_int_equal(dns_msg_parse_request(m, len, &again), 0);
    assert_true(again.edns && !again.dnssec_ok);
    len = dns_msg_put_error(&plain, DNS_NXDOMAIN, DNS_REASON_BLOCKED, m);
    static const char error[] = HEAD("\1\2", "\x81\x83", "\1", "\0", "\0", "\0") NAME_A IN_A;
    assert_int_equal(len, sizeof(error) - 1);
    assert_memory_equal(m, error, len);
    len = dns_msg_put_error(&edns, DNS_REFUSED, DNS_REASON_PROHIBITED, m);
    assert_int_equal(m[3], 0x85);
    assert_memory_equal(m + len - 14, "network policy", 14);
    assert_memory_equal(m + len - 20, "\0\17\0\20\0\22", 6);
    len = dns_msg_put_truncated(&plain, m);
    assert_int_equal(m[2], 0x83);
    assert_int_equal(len, sizeof(error) - 1);
}

/* --- answers --- */

#define ANSWER(an, records) HEAD("\x11\x22", "\201\200", "\1", an, "\0", "\0") NAME_A IN_A records
#define POINTER "\300\14" /* to the question's name */
#define RR(type, len) \
    type "\0\1"       \
         "\0\0\0\74"  \
         "\0" len

static int parse(const unsigned char *m, size_t len, struct dns_answer *ret)
{
    struct dns_request rq = www(false);
    return dns_msg_parse_answer(m, len, 0x1122, &rq.question, ret);
}

static void test_addresses(void **state)
{
    struct dns_answer a;
    assert_int_equal(
        parse(BYTES(ANSWER("\2", POINTER RR("\0\1", "\4") "\12\0\0\1" POINTER RR(
                                     "\0\34", "\20") "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1")),
              &a),
        0);
    assert_int_equal(a.n_names, 1);
    assert_int_equal(a.n, 2);
    assert_int_equal(a.addresses[0].family, AF_INET);
    assert_memory_equal(a.addresses[0].addr, "\12\0\0\1", 4);
    assert_int_equal(a.addresses[0].ttl_s, 60);
    assert_int_equal(a.addresses[1].family, AF_INET6);
    /* Names of others, other classes and broken lengths are not taken. */
    assert_int_equal(
        parse(
            BYTES(ANSWER("\3", "\1x\0" RR("\0\1", "\4") "\12\0\0\1" POINTER
                                                        "\0\1\0\3\0\0\0\74\0\4\12\0\0\1" POINTER RR(
                                                            "\0\1", "\3") "\12\0\0")),
            &a),
        0);
    assert_int_equal(a.n, 0);
}

static void test_aliases(void **state)
{
    struct dns_answer a;
    /* The chain may come in any order. */
    assert_int_equal(
        parse(
            BYTES(ANSWER("\3", "\1y\0" RR("\0\1", "\4") "\12\0\0\2"
                                                        "\1x\0" RR("\0\5", "\3") "\1y\0" POINTER RR(
                                                            "\0\5", "\3") "\1x\0")),
            &a),
        0);
    assert_int_equal(a.n_names, 3);
    assert_string_equal(a.names[0], "www.example.com");
    assert_string_equal(a.names[1], "x");
    assert_string_equal(a.names[2], "y");
    assert_int_equal(a.n, 1);
    /* A circle ends. */
    assert_int_equal(
        parse(BYTES(ANSWER("\2", POINTER RR("\0\5", "\3") "\1x\0"
                                                          "\1x\0" RR("\0\5", "\2") POINTER)),
              &a),
        0);
    assert_int_equal(a.n_names, DNS_ALIASES_MAX + 1);
    assert_int_equal(a.n, 0);
}

static void test_not_the_answer(void **state)
{
    struct dns_answer a;
    static const char *const no_answers[] = {
        HEAD("\x11\x23", "\201\200", "\1", "\0", "\0", "\0") NAME_A IN_A,  /* another id */
        HEAD("\x11\x22", "\1\0\0\0", "\1", "\0", "\0", "\0") NAME_A IN_A,  /* a question */
        HEAD("\x11\x22", "\201\200", "\1", "\0", "\0", "\0") "\1x\0" IN_A, /* another name */
    };
    for (size_t i = 0; i < ARRAY_SIZE(no_answers); i++)
        assert_int_equal(parse((const unsigned char *)no_answers[i], 33, &a), -ENOENT);
    assert_int_equal(
        parse(BYTES(HEAD("\x11\x22", "\201\200", "\1", "\0", "\0", "\0") NAME_A "\0\34\0\1"), &a),
        -ENOENT);
    assert_int_equal(parse(BYTES(HEAD("\x11\x22", "\201\200", "\0", "\0", "\0", "\0")), &a),
                     -ENOENT);
    assert_int_equal(parse(BYTES("\x11\x22"), &a), -ENOENT);
}

static void test_broken_answers(void **state)
{
    struct dns_answer a;
    assert_int_equal(parse(BYTES(ANSWER("\1", POINTER RR("\0\1", "\4") "\12\0\0")), &a), -EBADMSG);
    assert_int_equal(parse(BYTES(ANSWER("\2", POINTER RR("\0\1", "\4") "\12\0\0\1")), &a),
                     -EBADMSG);
    /* Pointers to themselves, and forwards. */
    assert_int_equal(parse(BYTES(ANSWER("\1", "\300\41" RR("\0\1", "\4") "\12\0\0\1")), &a),
                     -EBADMSG);
    assert_int_equal(parse(BYTES(ANSWER("\1", "\300\60" RR("\0\1", "\4") "\12\0\0\1")), &a),
                     -EBADMSG);
    assert_int_equal(parse(BYTES(ANSWER("\1", "\301\377" RR("\0\1", "\4") "\12\0\0\1")), &a),
                     -EBADMSG);
    /* An alias that is no name leads nowhere. */
    assert_int_equal(parse(BYTES(ANSWER("\1", POINTER RR("\0\5", "\2") "\77x")), &a), 0);
    assert_int_equal(a.n_names, 1);
    /* One that is cut says nothing yet. */
    assert_int_equal(
        parse(BYTES(HEAD("\x11\x22", "\203\200", "\1", "\5", "\0", "\0") NAME_A IN_A), &a), 0);
    assert_int_equal(a.n, 0);
}

static void test_many_addresses(void **state)
{
    struct dns_answer a;
    auto_buf struct buf b = {0};
    buf_append(&b, BYTES(ANSWER("\310", "")));
    for (int i = 0; i < 200; i++)
        buf_append(&b, BYTES(POINTER RR("\0\1", "\4") "\12\0\0\1"));
    assert_int_equal(parse((unsigned char *)b.data, b.len, &a), 0);
    assert_int_equal(a.n, DNS_ADDRESSES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_long_name),      cmocka_unit_test(test_writing),
        cmocka_unit_test(test_addresses),      cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_not_the_answer), cmocka_unit_test(test_broken_answers),
        cmocka_unit_test(test_many_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
