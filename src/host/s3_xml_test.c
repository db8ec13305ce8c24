/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include <errno.h>

#include "base/limits.h"
#include "host/s3_xml.h"

static int note(void *arg, const char *path, const char *text)
{
    struct buf *b = arg;
    return buf_printf(b, "%s=%s;", path, text);
}

static void reads(const char *xml, const char *expected)
{
    auto_buf struct buf b = {0};
    struct err e = ERR_INIT;
    if (s3_xml_read(xml, strlen(xml), note, &b, &e) < 0)
        fail_msg("%s: %s", xml, e.text);
    assert_string_equal(expected, buf_str(&b));
}

static void refuses(const char *xml, size_t len)
{
    auto_buf struct buf b = {0};
    struct err e = ERR_INIT;
    assert_true(s3_xml_read(xml, len, note, &b, &e) < 0);
    assert_int_equal(ERR_UNAVAILABLE, e.class);
    assert_non_null(strstr(e.text, "is not the XML that S3 has"));
}

static void test_elements(void **state)
{
    reads("<a/>", "a=;");
    reads("<?xml version=\"1.0\" encoding='UTF-8'?>\n<a>b</a>\n", "a=b;");
    reads("\xef\xbb\xbf<a >b</a >", "a=b;");
    reads("<L xmlns=\"http://x/\"><C><K>1</K></C><C><K>2</K></C></L>",
          "L/C/K=1;L/C=;L/C/K=2;L/C=;L=;");
    reads("<a>x<b>y</b>z</a>", "a/b=y;a=xz;");
}

static void test_text(void **state)
{
    reads("<a>&lt;&gt;&amp;&quot;&apos;</a>", "a=<>&\"';");
    reads("<a>&#65;&#xe4;&#x20AC;&#128578;</a>", "a=A\xc3\xa4\xe2\x82\xac\xf0\x9f\x99\x82;");
    reads("<a>]]> is text here</a>", "a=]]> is text here;");
}

static void test_what_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "text",
        "<",
        "<a",
        "<a>",
        "<a></b>",
        "<a><b></a></b>",
        "<a></a><b></b>",
        "<a></a>x",
        "<a x></a>",
        "<a x=1></a>",
        "<a x=\"1></a>",
        "<a x=\"<\"></a>",
        "<ax=\"1\"></a>",
        "<!DOCTYPE a><a/>",
        "<a><!-- c --></a>",
        "<a><![CDATA[x]]></a>",
        "<a><?pi?></a>",
        "<a>&b;</a>",
        "<a>&#;</a>",
        "<a>&#0;</a>",
        "<a>&#xd800;</a>",
        "<a>&#x110000;</a>",
        "<a>&#12a;</a>",
        "<a>& </a>",
        "<?xml version=\"1.0\"<a/>",
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        refuses(rows[i], strlen(rows[i]));
    refuses("<a>\0</a>", 8);
}

static void test_bounds(void **state)
{
    auto_buf struct buf b = {0};
    for (int i = 0; i <= S3_XML_DEPTH_MAX; i++)
        buf_append_str(&b, "<a>");
    refuses(buf_str(&b), b.len);
    buf_clear(&b);
    buf_append_str(&b, "<a>");
    for (size_t i = 0; i <= S3_XML_TEXT_MAX_BYTES; i++)
        buf_append_str(&b, "x");
    buf_append_str(&b, "</a>");
    refuses(buf_str(&b), b.len);
    buf_clear(&b);
    buf_append_str(&b, "<a>");
    for (int i = 0; i < S3_XML_ELEMENTS_MAX; i++)
        buf_append_str(&b, "<b/>");
    buf_append_str(&b, "</a>");
    refuses(buf_str(&b), b.len);
}

static int stop(void *arg, const char *path, const char *text)
{
    return -ECANCELED;
}

static void test_the_reader_may_stop(void **state)
{
    struct err e = ERR_INIT;
    assert_int_equal(-ECANCELED, s3_xml_read("<a><b/></a>", 11, stop, NULL, &e));
    assert_string_equal("", e.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_the_reader_may_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
