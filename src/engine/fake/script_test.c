/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

#include <errno.h>
#include <signal.h>

#include "base/limits.h"
#include "engine/fake/bounds.h"
#include "engine/fake/guest.h"
#include "engine/fake/script.h"

/* Literals as the argv or env of a spec, which has them not const. */
#define STRINGS(...) ((char **)(const char *const[]){__VA_ARGS__, NULL})

static char work_dir[] = "/work";

/* What a program did, as one text: O(..) E(..) for outputs, a word for the rest. */
static void run(struct guest *g, struct exec_spec *spec, struct buf *ret)
{
    static const char *const words[] = {
        [SCRIPT_FLOOD] = "flood", [SCRIPT_CAT] = "cat",   [SCRIPT_SLEEP] = "sleep",
        [SCRIPT_HANG] = "hang",   [SCRIPT_EXIT] = "exit", [SCRIPT_SIGNAL] = "signal",
        [SCRIPT_DIE] = "die",
    };
    struct script s;
    struct script_event ev;
    assert_int_equal(0, script_start(&s, spec, g));
    do {
        script_next(&s, &ev);
        if (ev.op == SCRIPT_WRITE)
            buf_printf(ret, "%c(%.*s)", ev.to_stderr ? 'E' : 'O', (int)ev.len, ev.data);
        else
            buf_printf(ret, "%s %d;", words[ev.op], (int)ev.number);
    } while (ev.op != SCRIPT_EXIT && ev.op != SCRIPT_SIGNAL && ev.op != SCRIPT_DIE);
    script_done(&s);
}

static void check(const char *text, const char *expected)
{
    struct guest g = {0};
    auto_buf struct buf did = {0};
    char **argv = STRINGS("bash", "prog.sh", "one", "two words");
    char **env = STRINGS("A=1", "GREETING=hi there");
    struct exec_spec spec = {.argv = argv, .env = env, .cwd = work_dir};
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
    check("env GREETING\nenv GREET\nenv", "O(hi there\n)O(no env GREET\n)O(no env \n)exit 0;");
    check("file data/a.txt\nfile ./data/../data//a.txt", "O(from a file)O(from a file)exit 0;");
    check("file /no/such", "O(no file /no/such\n)exit 0;");
    check("put /x/y some text\nfile /x/y\nput /x/y\nfile /x/y", "O(some text\n)O(\n)exit 0;");
    check("flood 5000\nsleep 20\nhang\ncat\nsignal 11",
          "flood 5000;sleep 20;hang 0;cat 0;signal 11;");
    check("die", "die 0;");
    check("exit", "exit 0;");
}

static void test_a_line_that_is_no_word_is_passed_over(void **state)
{
    check("exit x\nexit 256\nexit -1\nsignal 0\nsignal 65\nsleep\nsleep 1h\nflood -1\ncat x\n"
          "printf x\nPRINT x\ndie now\nhang on\nflood 99999999999999999999\n#!/bin/sh",
          "exit 0;");
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

static void check_argv(char **argv, const char *expected)
{
    struct guest g = {0};
    auto_buf struct buf did = {0};
    struct exec_spec spec = {.argv = argv, .cwd = work_dir};
    assert_int_equal(0, files_write(&g.files, "/work/prog.c", "args", 4));
    run(&g, &spec, &did);
    assert_string_equal(buf_str(&did), expected);
    guest_done(&g);
}

static void test_the_program_is_the_first_argument_that_is_a_file(void **state)
{
    check_argv(STRINGS("sh", "-c", "gcc prog.c && exec ./prog \"$@\"", "prog.c", "x"),
               "O(x\n)exit 0;");
    check_argv(STRINGS("./prog.c", "main.c"), "O(main.c\n)exit 0;");
    check_argv(STRINGS("true"), "exit 0;");
    check_argv(STRINGS("/bin/false"), "exit 1;");
    check_argv(STRINGS("gcc", "--version"),
               "E(gcc: no argument names a file of the fake guest\n)exit 127;");
}

static void test_replacing_a_file_that_runs(void **state)
{
    check("put prog.sh exit 9\nprint still me", "O(still me\n)exit 0;");
}

static void test_a_guest_is_saved_and_loaded(void **state)
{
    struct guest g = {0}, h = {0};
    struct err e = ERR_INIT;
    auto_buf struct buf saved = {0};
    guest_boot(&g);
    assert_int_equal(0, vars_set(&g.vars, "colour", "blue"));
    assert_int_equal(0, vars_set(&g.vars, "empty", ""));
    assert_int_equal(0, guest_save(&g, &saved));
    assert_int_equal(0, guest_load(&h, saved.data, saved.len, &e));
    assert_string_equal(g.boot_id, h.boot_id);
    assert_string_equal("blue", vars_get(&h.vars, "colour"));
    assert_string_equal("", vars_get(&h.vars, "empty"));
    guest_done(&h);
    for (size_t len = 0; len < saved.len; len++) {
        h = (struct guest){0};
        assert_int_equal(-EINVAL, guest_load(&h, saved.data, len, &e));
        assert_int_equal(ERR_INVALID, e.class);
        assert_int_equal(0, h.vars.n);
    }
    guest_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_a_line_that_is_no_word_is_passed_over),
        cmocka_unit_test(test_hello_programs_greet_once),
        cmocka_unit_test(test_the_program_is_the_first_argument_that_is_a_file),
        cmocka_unit_test(test_replacing_a_file_that_runs),
        cmocka_unit_test(test_a_guest_is_saved_and_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
