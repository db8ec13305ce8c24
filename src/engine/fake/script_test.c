/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include <errno.h>
#include <signal.h>

#include "base/limits.h"
#include "engine/fake/guest.h"
#include "engine/fake/script.h"

/* Literals as the argv or env of a spec, which has them not const. */
#define STRINGS(...) ((char **)(const char *const[]){__VA_ARGS__, NULL})

static char work_dir[] = "/work";

static bool is_last(enum script_op op)
{
    return op == SCRIPT_EXIT || op == SCRIPT_SIGNAL || op == SCRIPT_DIE;
}

/* Saves the script in mid-run and goes on with what was loaded, as a clone does. */
static void through_a_capture(struct script *s, struct script_event *ev)
{
    struct script loaded;
    auto_buf struct buf saved = {0};
    script_save(s, ev, &saved);
    struct unpack u = {.at = (const uint8_t *)saved.data, .left = saved.len};
    assert_int_equal(0, script_load(&loaded, s->spec, s->guest, &u));
    script_load_event(&loaded, ev, &u);
    assert_false(u.failed);
    assert_int_equal(0, u.left);
    script_done(s);
    *s = loaded;
}

static void describe(const struct script *s, const struct script_event *ev, struct buf *ret)
{
    static const char *const words[] = {
        [SCRIPT_FLOOD] = "flood",   [SCRIPT_CAT] = "cat",   [SCRIPT_READ] = "read",
        [SCRIPT_SLEEP] = "sleep",   [SCRIPT_BUSY] = "busy", [SCRIPT_TICK] = "tick",
        [SCRIPT_HANG] = "hang",     [SCRIPT_ROWS] = "rows", [SCRIPT_CONNECT] = "connect",
        [SCRIPT_EXIT] = "exit",     [SCRIPT_DIE] = "die",   [SCRIPT_SIGNAL] = "signal",
        [SCRIPT_MEMORY] = "memory",
    };
    if (ev->op == SCRIPT_WRITE)
        buf_printf(ret, "%c(%.*s)", ev->to_stderr ? 'E' : 'O', (int)ev->len, ev->data);
    else if (ev->op == SCRIPT_CONNECT)
        buf_printf(ret, "connect %s:%d(%.*s);", s->address, (int)ev->number, (int)ev->len,
                   ev->data);
    else if (ev->op == SCRIPT_TICK)
        buf_printf(ret, "tick %d(%s);", (int)ev->number, ev->data);
    else
        buf_printf(ret, "%s %d;", words[ev->op], (int)ev->number);
}

/* What a program did, as one text: O(..) E(..) for outputs, a word for the rest. It reads `in`. */
static void run_with(struct guest *g, struct exec_spec *spec, const char *in, struct buf *ret)
{
    struct script s;
    struct script_event ev;
    struct err e = ERR_INIT;
    if (script_start(&s, spec, g, &e) < 0) {
        buf_printf(ret, "%s: %s", e.field, e.text);
        return;
    }
    for (int i = 0; i < 100; i++) {
        script_next(&s, &ev);
        through_a_capture(&s, &ev);
        describe(&s, &ev, ret);
        if (is_last(ev.op))
            break;
        if (ev.op == SCRIPT_READ)
            in += script_read(&s, in, strlen(in), true);
    }
    script_done(&s);
}

static void run(struct guest *g, struct exec_spec *spec, struct buf *ret)
{
    run_with(g, spec, "", ret);
}

static void check(const char *text, const char *expected)
{
    struct guest g = {.hostname = "here"};
    auto_buf struct buf did = {0};
    char **argv = STRINGS("bash", "prog.sh", "one", "two words");
    char **env = STRINGS("A=1", "GREETING=hi there");
    struct exec_spec spec = {.argv = argv, .env = env, .cwd = work_dir, .uid = 7, .gid = 8};
    assert_int_equal(0, files_write(&g.files, "/work/prog.sh", text, strlen(text)));
    assert_int_equal(0, files_write(&g.files, "/work/data/a.txt", "from a file", 11));
    run(&g, &spec, &did);
    assert_string_equal(buf_str(&did), expected);
    guest_done(&g);
}

static void test_words(void **state)
{
    check("", "exit 0;");
    check("print hello\neprint oops\nexit 3\nprint never", "O(hello\n)E(oops\n)exit 3;");
    check("print\nprint  two", "O(\n)O( two\n)exit 0;");
    check("args", "O(one\ntwo words\n)exit 0;");
    check("env GREETING\nenv GREET\nenv ", "O(hi there\n)O(no env GREET\n)O(no env \n)exit 0;");
    check("env", "O(A=1\nGREETING=hi there\n)exit 0;");
    check("file data/a.txt\nfile ./data/../data//a.txt", "O(from a file)O(from a file)exit 0;");
    check("file /no/such", "O(no file /no/such\n)exit 0;");
    check("put /x/y some text\nfile /x/y\nput /x/y\nfile /x/y", "O(some text\n)O(\n)exit 0;");
    check("memory 9\nflood 5000\nsleep 20\nbusy 30\nhang\ncat\nrows\nsignal 11",
          "memory 9;flood 5000;sleep 20;busy 30;hang 0;cat 0;rows 0;signal 11;");
    check("die", "die 0;");
    check("exit", "exit 0;");
    check("hostname\nid\npwd", "O(here\n)O(uid=7 gid=8\n)O(/work\n)exit 0;");
    check("put /x/y text\nrm /x\nfile /x/y\nrm /x\nmkdir /x/z\nmkdir prog.sh/z",
          "O(no file /x/y\n)E(rm: no file /x\n)E(mkdir: cannot make prog.sh/z\n)exit 0;");
}

static void test_memory(void **state)
{
    check("get a\nset a 1 2\nget a\nset a\nget a", "O(not set: a\n)O(1 2\n)O(\n)exit 0;");
    check("count n\ncount n\nset n x\ncount n", "O(1\n)O(2\n)O(1\n)exit 0;");
    check("ticker 10 beat", "tick 10(beat);exit 0;");
    /* The same whatever came before it, but not the same once something has changed. */
    check("mkdir /run\nsum\nset a 1\nsum\nput b c\nsum\nput /run/x y\nsum\nrm b\nset a 2\n"
          "set a 1\nsum",
          "O(cbf29ce484222325 a780be3ecc754049\n"
          ")O(ac4d51820e249a1d a780be3ecc754049\n"
          ")O(ac4d51820e249a1d 36c1e1a588c1d00e\n"
          ")O(ac4d51820e249a1d 36c1e1a588c1d00e\n"
          ")O(ac4d51820e249a1d a780be3ecc754049\n"
          ")exit 0;");
}

static void test_connections(void **state)
{
    check("connect 80 GET /x HTTP/1.0\\r\\n\\r\\n",
          "connect 127.0.0.1:80(GET /x HTTP/1.0\r\n\r\n);exit 0;");
    check("connect 10.1.2.3:8080 x\\y\\", "connect 10.1.2.3:8080(x\\y\\);exit 0;");
    check("connect 80", "connect 127.0.0.1:80();exit 0;");
}

static void test_a_line_that_is_no_word_is_passed_over(void **state)
{
    check("exit x\nexit 256\nexit -1\nsignal 0\nsignal 65\nsleep\nsleep 1h\nflood -1\ncat x\n"
          "printf x\nPRINT x\ndie now\nhang on\nflood 99999999999999999999\n#!/bin/sh\n"
          "connect\nconnect 0 x\nconnect 65536 x\nconnect a:b\nticker\nticker 0 x\nticker 5\n"
          "again\nagain 0\nrows 1\nset\nbusy\nbusy x\nid x\nhostname x\npwd x\nsum x\ndisk x\nio x",
          "exit 0;");
}

static void test_again_begins_anew(void **state)
{
    struct guest g = {0};
    struct script s;
    struct script_event ev;
    struct exec_spec spec = {.argv = STRINGS("sh", "-c", "print x\nagain 50"), .cwd = work_dir};
    assert_int_equal(0, script_start(&s, &spec, &g, NULL));
    for (int i = 0; i < 3; i++) {
        script_next(&s, &ev);
        assert_int_equal(SCRIPT_WRITE, ev.op);
        script_next(&s, &ev);
        assert_int_equal(SCRIPT_SLEEP, ev.op);
        assert_int_equal(50, ev.number);
    }
    script_done(&s);
}

/* The hello programs of real languages, each as such a language has it. */
static void test_hello_programs_greet_once(void **state)
{
    static const char *const programs[] = {
        "echo 'Hello, World!'\n",
        "#include <stdio.h>\n\nint main(void)\n{\n    puts(\"Hello, World!\");\n}\n",
        "console.log('Hello, World!');\n",
        "print \"Hello, World!\\n\";\n",
        "print(\"Hello, World!\")\n",
        "const greeting: string = 'Hello, World!';\nconsole.log(greeting);\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
        check(programs[i], "O(Hello, World!\n)exit 0;");
    check("print Hello, World!", "O(Hello, World!\n)exit 0;");
    check("eprint Hello, World!", "E(Hello, World!\n)exit 0;");
}

static void check_argv_with(char **argv, const char *in, const char *expected)
{
    struct guest g = {.hostname = "here"};
    auto_buf struct buf did = {0};
    struct exec_spec spec = {.argv = argv, .cwd = work_dir, .env = STRINGS("A=1")};
    assert_int_equal(0, files_write(&g.files, "/work/prog.c", "args", 4));
    assert_int_equal(0, files_write(&g.files, "/work/dir/x", "x", 1));
    run_with(&g, &spec, in, &did);
    assert_string_equal(buf_str(&did), expected);
    guest_done(&g);
}

static void check_argv(char **argv, const char *expected)
{
    check_argv_with(argv, "", expected);
}

static void test_the_program_is_the_first_argument_that_is_a_file(void **state)
{
    check_argv(STRINGS("sh", "-c", "gcc prog.c && exec ./prog \"$@\"", "prog.c", "x"),
               "O(x\n)exit 0;");
    check_argv(STRINGS("./prog.c", "main.c"), "O(main.c\n)exit 0;");
    check_argv(STRINGS("python3", "-u", "prog.c", "x"), "O(x\n)exit 0;");
    check_argv(STRINGS("gcc", "--version"), "argv: argv[0] \"gcc\": not found");
    check_argv(STRINGS("bash", "no.sh"), "E(bash: no.sh: No such file or directory\n)exit 127;");
}

static void test_programs_by_name(void **state)
{
    check_argv(STRINGS("true"), "exit 0;");
    check_argv(STRINGS("/bin/false"), "exit 1;");
    check_argv(STRINGS("echo"), "O(\n)exit 0;");
    check_argv(STRINGS("echo", "-n", "a", "b c"), "O(a b c)exit 0;");
    check_argv(STRINGS("cat"), "cat 0;exit 0;");
    check_argv(STRINGS("cat", "prog.c", "no", "dir"),
               "O(args)E(cat: no: No such file or directory\n"
               "cat: dir: No such file or directory\n)exit 1;");
    check_argv(STRINGS("env"), "O(A=1\n)exit 0;");
    check_argv(STRINGS("hostname"), "O(here\n)exit 0;");
    check_argv(STRINGS("id"), "O(uid=0 gid=0\n)exit 0;");
    check_argv(STRINGS("pwd"), "O(/work\n)exit 0;");
    check_argv(STRINGS("ls"), "O(dir\nprog.c\n)exit 0;");
    check_argv(STRINGS("ls", "/"), "O(work\n)exit 0;");
    check_argv(STRINGS("ls", "no"), "E(ls: no: No such file or directory\n)exit 2;");
    check_argv(STRINGS("sleep", "1.5"), "sleep 1500;exit 0;");
    check_argv(STRINGS("sleep", "x"), "E(sleep: invalid time interval\n)exit 1;");
}

static void test_shells(void **state)
{
    check_argv(STRINGS("sh", "-c", "args\nprint y", "name", "b"), "O(name\nb\n)O(y\n)exit 0;");
    check_argv(STRINGS("/bin/bash", "-lc", "exit 4"), "exit 4;");
    check_argv(STRINGS("/bin/bash", "-lc", "--", "exit 4"), "exit 4;");
    check_argv_with(STRINGS("sh"), "print a\n\nprint b",
                    "read 0;O(a\n)read 0;read 0;O(b\n)exit 0;");
    check_argv_with(STRINGS("-bash"), "exit 3\nprint never", "read 0;exit 3;");
    check_argv_with(STRINGS("bash", "-i"), "", "read 0;exit 0;");
}

static void test_replacing_a_file_that_runs(void **state)
{
    check("put prog.sh exit 9\nprint still me", "O(still me\n)exit 0;");
}

/* --- tar --- */

static void pack(struct guest *g, const char *dir, struct buf *ret)
{
    struct script s;
    struct script_event ev;
    struct exec_spec spec = {.argv = STRINGS("tar", "-c", "-C", dir, "."), .cwd = work_dir};
    assert_int_equal(0, script_start(&s, &spec, g, NULL));
    do {
        script_next(&s, &ev);
        through_a_capture(&s, &ev);
        if (ev.op == SCRIPT_WRITE)
            buf_append(ret, ev.data, ev.len);
    } while (ev.op != SCRIPT_EXIT);
    assert_int_equal(0, ev.number);
    script_done(&s);
}

/* In pieces of `step` bytes; returns its code. */
static int unpack(struct guest *g, const char *dir, const struct buf *tar, size_t step)
{
    struct script s;
    struct script_event ev;
    struct exec_spec spec = {.argv = STRINGS("tar", "-x", "-f", "-", "-C", dir), .cwd = work_dir};
    size_t from = 0, to = 0;
    assert_int_equal(0, script_start(&s, &spec, g, NULL));
    for (script_next(&s, &ev); ev.op == SCRIPT_READ || ev.op == SCRIPT_WRITE;
         script_next(&s, &ev)) {
        through_a_capture(&s, &ev);
        if (ev.op == SCRIPT_WRITE)
            continue;
        size_t n;
        do {
            to = to + step < tar->len ? to + step : tar->len;
            n = script_read(&s, tar->data + from, to - from, to == tar->len);
            from += n;
        } while (n == 0 && to < tar->len);
    }
    assert_int_equal(SCRIPT_EXIT, ev.op);
    script_done(&s);
    return (int)ev.number;
}

static void fill(struct guest *g)
{
    const struct file_attr attr = {.type = FILE_LINK, .mode = 0777, .mtime_ms = 5000};
    char path[AGENT_PATH_MAX_BYTES] = "/work/t";
    static char text[3000] = "more than one block\0and not text alone";
    while (strlen(path) < 700)
        strcat(path, "/a long name of a directory");
    assert_int_equal(0, files_write(&g->files, "/work/t/a", text, sizeof(text)));
    assert_int_equal(0, files_write(&g->files, "/work/t/empty", "", 0));
    assert_int_equal(0, files_write(&g->files, "/work/t/block", text, 512));
    assert_int_equal(0, files_make_dir(&g->files, "/work/t/dir"));
    assert_int_equal(0, files_write(&g->files, "/work/t-not", "beside it", 9));
    assert_int_equal(0, files_write(&g->files, path, "deep down", 9));
    assert_int_equal(0, files_put(&g->files, "/work/t/link", &attr, "dir/x", 5));
    assert_int_equal(0, files_put(&g->files, "/work/t/longlink", &attr, path, strlen(path)));
}

static void test_tar_there_and_back(void **state)
{
    struct guest g = {0};
    auto_buf struct buf tar = {0};
    auto_buf struct buf again = {0};
    fill(&g);
    pack(&g, "t", &tar);
    assert_int_equal(0, tar.len % 512);
    static const size_t steps[] = {1, 511, 4096, 1000000};
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        assert_int_equal(0, files_make_dir(&g.files, "/new"));
        assert_int_equal(0, unpack(&g, "/new", &tar, steps[i]));
        buf_clear(&again);
        pack(&g, "/new", &again);
        assert_int_equal(tar.len, again.len);
        assert_memory_equal(tar.data, again.data, tar.len);
        assert_int_equal(3000, files_find(&g.files, "/new/a")->len);
        assert_true(files_is_dir(&g.files, "/new/dir"));
        assert_int_equal(FILE_LINK, files_at(&g.files, "/new/link")->attr.type);
        assert_int_equal(0, files_remove(&g.files, "/new"));
    }
    guest_done(&g);
}

static void test_bad_tars(void **state)
{
    struct guest g = {0};
    auto_buf struct buf tar = {0};
    fill(&g);
    pack(&g, "t", &tar);
    size_t whole = tar.len;
    tar.len = 700; /* in the middle of the first content */
    assert_int_equal(2, unpack(&g, "/work", &tar, 512));
    tar.len = whole;
    tar.data[0] ^= 1; /* the header's sum is wrong */
    assert_int_equal(2, unpack(&g, "/work", &tar, 512));
    buf_clear(&tar);
    buf_append_str(&tar, "no tar");
    assert_int_equal(2, unpack(&g, "/work", &tar, 512));
    buf_clear(&tar);
    assert_int_equal(0, unpack(&g, "/work", &tar, 512));
    guest_done(&g);
    check_argv(STRINGS("tar", "-c", "-C", "/no", "."),
               "E(tar: /no: Cannot open: No such file or directory\n)exit 2;");
    check_argv(STRINGS("tar", "--help"), "E(tar: one of -c and -x is needed\n)exit 2;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_a_line_that_is_no_word_is_passed_over),
        cmocka_unit_test(test_again_begins_anew),
        cmocka_unit_test(test_hello_programs_greet_once),
        cmocka_unit_test(test_the_program_is_the_first_argument_that_is_a_file),
        cmocka_unit_test(test_programs_by_name),
        cmocka_unit_test(test_shells),
        cmocka_unit_test(test_replacing_a_file_that_runs),
        cmocka_unit_test(test_tar_there_and_back),
        cmocka_unit_test(test_bad_tars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
