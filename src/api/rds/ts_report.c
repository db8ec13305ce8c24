/* SPDX-License-Identifier: Apache-2.0 */
#include "api/rds/ts_report.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/decode.h"
#include "api/rds/command.h"
#include "api/text.h"
#include "base/base64.h"
#include "base/cleanup.h"
#include "base/id.h"
#include "base/limits.h"

/* Deno makes its streams and encoders when they are first asked for, which takes a tenth as long as
 * the whole start: so the module asks when there is something to say. An event of an error comes
 * before anybody can say that it is handled: it is reported at once, since the process may end, and
 * taken back when it goes on. */
static const char module_source[] =
    "{\n"
    "const { stringify } = JSON, deno = Deno;\n"
    "let last = null;\n"
    "const send = (kind, text) => {\n"
    "  const encoder = new TextEncoder(), encode = (s) => encoder.encode(s), out = deno.stderr;\n"
    "  const bytes = encode(text);\n"
    "  if (bytes.length > %llu) throw new RangeError('more than %llu bytes as JSON');\n"
    "  for (let at = 0; at === 0 || at < bytes.length; at += %d, kind = kind.toUpperCase()) {\n"
    "    const head = encode('%s' + kind), piece = bytes.subarray(at, at + %d);\n"
    "    const line = new Uint8Array(head.length + piece.length + 1).fill(10);\n"
    "    line.set(head);\n"
    "    line.set(piece, head.length);\n"
    "    for (let n = 0; n < line.length;) n += out.writeSync(line.subarray(n));\n"
    "  }\n"
    "};\n"
    "const plain = (e) => e instanceof Error\n"
    "  ? { name: String(e.name), message: String(e.message), stack: String(e.stack) } : e;\n"
    "const attempt = (f, otherwise) => { try { return f(); } catch { return otherwise(); } };\n"
    "const words = (e) => attempt(() => String(e), () => 'an error without words');\n"
    "const errorJson = (e) => attempt(() => stringify(plain(e)) ?? stringify(words(e)),\n"
    "  () => stringify(words(e)));\n"
    "const report = (json) => attempt(() => send('e', json),\n"
    "  () => send('e', stringify(json.slice(0, 10000))));\n"
    "const uncaught = (reason) => (event) => {\n"
    "  report(errorJson(event[reason]));\n"
    "  queueMicrotask(() => event.defaultPrevented && (last ? report(last) : send('x', '')));\n"
    "};\n"
    "addEventListener('error', uncaught('error'));\n"
    "addEventListener('unhandledrejection', uncaught('reason'));\n"
    "globalThis.result = Object.freeze({\n"
    "  set(value) { send('r', stringify(value) ?? 'null'); },\n"
    "  error(e) { report(last = errorJson(e)); Deno.exitCode = 1; },\n"
    "});\n"
    "}\n";

void ts_report_init(struct ts_report *t, struct buf *text)
{
    unsigned char random[16];
    id_random(random, sizeof(random));
    *t = (struct ts_report){.text = text,
                            .mark = "\x1e",
                            .result.max_bytes = RDS_RESULT_MAX_BYTES,
                            .error.max_bytes = RDS_RESULT_MAX_BYTES};
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(t->mark + 1 + 2 * i, 3, "%02x", random[i]);
}

void ts_report_done(struct ts_report *t)
{
    buf_done(&t->pending);
    buf_done(&t->result);
    buf_done(&t->error);
}

/* ---- reports out of standard error ---- */

static void begin(struct buf *b, bool *has)
{
    buf_clear(b);
    *has = true;
}

/* One line without its mark and its end. What goes beyond a bound is marked in the buffer. */
static void take_line(struct ts_report *t, const char *line, size_t len)
{
    if (!len)
        return;
    bool is_result = *line == 'r' || *line == 'R';
    struct buf *b = is_result ? &t->result : &t->error;
    bool *has = is_result ? &t->has_result : &t->has_error;
    switch (*line) {
    case 'r':
    case 'e':
        begin(b, has);
        /* fallthrough */
    case 'R':
    case 'E':
        (void)buf_append(b, line + 1, len - 1);
        break;
    case 'x':
        t->has_error = false;
        break;
    }
}

/* Where a mark begins in `data`, or might begin at its end. */
static size_t find_mark(const struct ts_report *t, const char *data, size_t len)
{
    size_t mark_len = TS_MARK_SIZE - 1;
    for (const char *p = data; (p = memchr(p, t->mark[0], len - (size_t)(p - data))); p++) {
        size_t left = len - (size_t)(p - data);
        if (memcmp(p, t->mark, left < mark_len ? left : mark_len) == 0)
            return (size_t)(p - data);
        if (left == 1)
            break;
    }
    return len;
}

/* One step: text, or a whole line of ours. False: more has to come first. */
static bool step(struct ts_report *t, int *ret)
{
    const size_t head = TS_MARK_SIZE - 1, line_max = head + TS_PIECE_BYTES + 2;
    struct buf *p = &t->pending;
    size_t n = find_mark(t, buf_str(p), p->len);
    if (n || !p->len) {
        *ret = rds_output_keep(t->text, p->data, n);
        buf_consume(p, n);
        return n > 0 && *ret == 0;
    }
    const char *end = p->len > head ? memchr(p->data + head, '\n', p->len - head) : NULL;
    if (!end && p->len < line_max)
        return false;
    if (!end) { /* none of ours is that long */
        *ret = rds_output_keep(t->text, p->data, head);
        buf_consume(p, head);
        return *ret == 0;
    }
    n = (size_t)(end - p->data);
    take_line(t, p->data + head, n - head);
    buf_consume(p, n + 1);
    return true;
}

int ts_report_take(void *arg, const void *data, size_t len)
{
    struct ts_report *t = arg;
    int r = buf_append(&t->pending, data, len);
    while (r == 0 && step(t, &r))
        ;
    return r;
}

int ts_report_end(struct ts_report *t)
{
    int r = rds_output_keep(t->text, t->pending.data, t->pending.len);
    buf_clear(&t->pending);
    return r;
}

/* ---- the answer ---- */

/* Values in JSON, as commas and opening brackets outside of strings: what parsing costs. */
static size_t count_values(const struct buf *b)
{
    size_t n = 0;
    bool in_string = false;
    for (size_t i = 0; i < b->len; i++) {
        char c = b->data[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string)
            n += c == ',' || c == '[' || c == '{';
    }
    return n;
}

/* Whether it is one JSON value. */
static bool is_json(const struct buf *b)
{
    if (b->failed || !b->len || count_values(b) > RDS_RESULT_VALUES_MAX)
        return false;
    json_t *json = json_loadb(b->data, b->len,
                              JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
    json_decref(json);
    return json != NULL;
}

/* The last "error: ..." that begins a line: Deno's own, when it cannot load a program. */
static const char *last_error(const char *text)
{
    static const char word[] = "error: ";
    const char *found = NULL;
    for (const char *p = text; (p = strstr(p, word)); p++) {
        if (p == text || p[-1] == '\n')
            found = p + strlen(word);
    }
    return found;
}

/* "SyntaxError: what\n ... \n    at file"; a program may write "error: " too, but not where. */
static json_t *load_error(const char *text)
{
    const char *what = last_error(text);
    const char *end = what ? strstr(what, "\n    at ") : NULL;
    if (!what || (!end && strncmp(what, "Module not found", 16) != 0))
        return NULL;
    size_t name = 0;
    while (isalpha((unsigned char)what[name]))
        name++;
    bool is_named = name >= 5 && strncmp(what + name - 5, "Error", 5) == 0 && what[name] == ':';
    const char *message = is_named ? what + name + 1 + (what[name + 1] == ' ') : what;
    size_t len = end && end > message ? (size_t)(end - message) : strcspn(message, "\n");
    return json_pack("{s:o, s:o, s:o}", "name",
                     is_named ? json_stringn(what, name) : json_string("Error"), "message",
                     text_json(message, len), "stack", text_json(what, strlen(what)));
}

/* An error of our own making, when the program reported none. */
static json_t *other_error(const struct ts_report *t, bool has_result, int exit_code)
{
    if (t->has_result && !has_result)
        return json_pack("{s:s, s:s}", "name", "RangeError", "message",
                         "the result is no JSON, or too large");
    return exit_code == 1 ? load_error(buf_str(t->text)) : NULL;
}

static int write_json(const char *data, size_t len, void *arg)
{
    return buf_append(arg, data, len) < 0 ? -1 : 0;
}

/* Numbers stay as the program wrote them. */
static void add_raw(struct buf *ret, const char *name, const struct buf *json)
{
    ret->len--; /* the closing brace */
    buf_printf(ret, ",\"%s\":", name);
    buf_append(ret, json->data, json->len);
    buf_append_str(ret, "}");
}

int ts_report_answer(const struct ts_report *t, json_t *answer, struct buf *ret)
{
    int code = (int)json_integer_value(json_object_get(answer, "exitCode"));
    bool has_result = t->has_result && is_json(&t->result);
    bool has_error = t->has_error && is_json(&t->error);
    json_t *other = has_error ? NULL : other_error(t, has_result, code);
    if (other)
        json_object_set_new(answer, "error", other);
    if (code == 0 && (has_error || other))
        json_object_set_new(answer, "exitCode", json_integer(1));
    if (json_dump_callback(answer, write_json, ret, JSON_COMPACT) < 0)
        return -ENOMEM;
    if (has_result)
        add_raw(ret, "result", &t->result);
    if (has_error)
        add_raw(ret, "error", &t->error);
    buf_append_str(ret, "\n");
    return ret->failed ? -ENOMEM : 0;
}

int ts_report_preload(const struct ts_report *t, struct buf *ret)
{
    char mark[TS_MARK_SIZE + 8];
    auto_buf struct buf source = {0};
    snprintf(mark, sizeof(mark), "\\x%02x%s", (unsigned char)t->mark[0], t->mark + 1);
    buf_printf(&source, module_source, RDS_RESULT_MAX_BYTES, RDS_RESULT_MAX_BYTES, TS_PIECE_BYTES,
               mark, TS_PIECE_BYTES);
    if (source.failed || buf_append_str(ret, "data:text/javascript;base64,") < 0)
        return -ENOMEM;
    return base64_encode(source.data, source.len, ret);
}
