/* SPDX-License-Identifier: Apache-2.0 */

/* Every command but run, the real program, against a server that speaks what the daemon does. */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/proc.h"
#include "cli/cli.h"
#include "cli/test_cmd.h"

#define LANGUAGES                                                                     \
    OK("/api/v1/languages",                                                           \
       "{\"languages\":[{\"name\":\"python\",\"extension\":\".py\",\"aliases\":"      \
       "[\"py\",\"python3\"],\"title\":\"Python 3\",\"status\":\"ready\",\"pooled\":" \
       "2},{\"name\":\"c\",\"extension\":\".c\",\"title\":\"C (GCC)\",\"status\":"    \
       "\"preparing\",\"pooled\":0}],\"count\":2}")
#define HEALTH                                                                \
    OK("/health", "{\"status\":\"healthy\",\"version\":\"" HOLM_VERSION "\"," \
                  "\"uptime_s\":5,\"vms\":{\"running\":3}}")

static const char *doc_path;

static void test_languages(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        LANGUAGES, OK("/api/v1/languages/python",
                      "{\"name\":\"python\",\"aliases\":[\"py\",\"python3\"],\"memory_mib\":256,"
                      "\"compiled\":false,\"detail\":null}")));
    test_expect(s, ARGV("languages"), 0,
                "NAME    EXTENSION  STATUS     POOLED  TITLE\n"
                "python  .py        ready      2       Python 3\n"
                "c       .c         preparing  0       C (GCC)\n",
                "");
    test_expect(s, ARGV("languages", "--names"), 0, "python\nc\n", "");
    test_expect(s, ARGV("languages", "python"), 0,
                "name        python\n"
                "aliases     py, python3\n"
                "memory mib  256\n"
                "compiled    no\n",
                "");
    test_expect(s, ARGV("languages", "pythn"), 125, "",
                "holm: unknown language: pythn\nAvailable: python, c\nDid you mean python?\n");
    test_expect(s, ARGV("languages", "../health"), 125, "",
                "holm: unknown language: ../health\nAvailable: python, c\n");
    test_expect(s, ARGV("languages", ""), 2, "",
                "holm: the name of the language is empty\nTry 'holm languages --help'.\n");
    test_expect(s, ARGV("languages", "pyhton3"), 125, "",
                "holm: unknown language: pyhton3\nAvailable: python, c\nDid you mean python3?\n");
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("languages", "--json")}, &r);
    auto_json json_t *o = json_loads(buf_str(&r.out), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(o, "count")), 2);
}

/* The column is there when a version is. */
static void test_versions(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(OK("/api/v1/languages",
                   "{\"languages\":[{\"name\":\"python\",\"versions\":[\"3.11.2\"],\"pooled\":2},"
                   "{\"name\":\"c\",\"versions\":[],\"pooled\":0},"
                   "{\"name\":\"d\",\"versions\":\"1\"}]}"),
                OK("/api/v1/languages/python", "{\"name\":\"python\",\"versions\":[\"3.11.2\"]}"),
                OK("/api/v1/languages/c", "{\"name\":\"c\",\"versions\":[]}")));
    test_expect(s, ARGV("languages"), 0,
                "NAME    VERSION  POOLED\n"
                "python  3.11.2   2\n"
                "c                0\n"
                "d\n",
                "");
    test_expect(s, ARGV("languages", "python"), 0, "name      python\nversions  3.11.2\n", "");
    test_expect(s, ARGV("languages", "c"), 0, "name  c\n", "");
}

/* A server that follows the bare specification: names and extensions only. */
static void test_languages_of_the_specification(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(
        OK("/api/v1/languages", "{\"languages\":[{\"name\":\"go\",\"extension\":\".go\"}]}"),
        OK("/health", "{\"status\":\"healthy\",\"version\":\"1.0.0\"}")));
    test_expect(s, ARGV("languages"), 0, "NAME  EXTENSION\ngo    .go\n", "");
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("status")}, &r);
    assert_non_null(strstr(buf_str(&r.out), "version    1.0.0 (this holm is " HOLM_VERSION ")\n"));
    assert_non_null(strstr(buf_str(&r.out), "languages  1 of 1 ready\n"));
}

static void test_bad_answers(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(OK("/api/v1/languages", "{\"languages\":3}"), OK("/health", "<p>")));
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("languages")}, &r);
    assert_int_equal(r.code, 125);
    assert_non_null(strstr(buf_str(&r.err), "answers no list of languages; is it a holmd?"));
    auto_test_ran struct test_ran r2;
    test_holm(s, &(struct test_run){.argv = ARGV("status")}, &r2);
    assert_int_equal(r2.code, 125);
    assert_non_null(strstr(buf_str(&r2.err), "/health: the answer is not a JSON object"));
}

static void test_status(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(LANGUAGES, HEALTH));
    char want[512];
    snprintf(want, sizeof(want),
             "daemon       healthy\n"
             "address      %s\n"
             "version      " HOLM_VERSION "\n"
             "uptime s     5\n"
             "vms running  3\n"
             "languages    1 of 2 ready; not c (preparing)\n"
             "pooled VMs   2\n",
             test_server_url(s));
    test_expect(s, ARGV("status"), 0, want, "");
    test_expect(s, ARGV("--url", test_server_url(s), "status"), 0, want, "");
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("status", "--json", "--key", "k1")}, &r);
    auto_json json_t *o = json_loads(buf_str(&r.out), 0, NULL);
    assert_string_equal(json_text(o, "url"), test_server_url(s));
    assert_int_equal(json_array_size(json_object_get(o, "languages")), 2);
    assert_string_equal(test_server_key(s), "k1");
    auto_test_ran struct test_ran none;
    test_holm(NULL, &(struct test_run){.argv = ARGV("status")}, &none);
    assert_int_equal(none.code, 125);
    assert_non_null(strstr(buf_str(&none.err), "no daemon answers at http://127.0.0.1:1"));
}

static void test_unix_socket(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    char path[128], want[160];
    snprintf(path, sizeof(path), "%s/api", dir);
    auto_test_server struct test_server *s = test_server_new_unix(REPLIES(LANGUAGES, HEALTH), path);
    snprintf(want, sizeof(want), "address      unix:%s\n", path);
    auto_test_ran struct test_ran r;
    test_holm(s, &(struct test_run){.argv = ARGV("status")}, &r);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(buf_str(&r.out), want));
    auto_test_ran struct test_ran none;
    test_holm(s, &(struct test_run){.argv = ARGV("status", "--url", "unix:/no/such")}, &none);
    assert_int_equal(none.code, 125);
    assert_non_null(strstr(buf_str(&none.err), "no daemon answers at unix:/no/such"));
}

static char *fake_holmd(const char *dir, const char *script)
{
    char *path;
    assert_true(asprintf(&path, "%s/holmd", dir) > 0);
    assert_int_equal(file_write_atomic(path, script, strlen(script), 0755), 0);
    return path;
}

#define REPORT                                                                         \
    "#!/bin/sh\n[ \"$1\" = --doctor ] || exit 9\necho 'INFO doctor looking' >&2\n"     \
    "echo '{\"engine\":\"qemu\",\"accelerator\":\"tcg\",\"facts\":[{\"name\":\"kvm\"," \
    "\"state\":\"degraded\",\"detail\":\"slow\"}]}'\n"

static void test_doctor(void **state)
{
    auto_test_dir char *dir = test_dir_make();
    auto_free char *holmd = fake_holmd(dir, REPORT);
    auto_test_server struct test_server *s = test_server_new(REPLIES(LANGUAGES, HEALTH));
    char want[1024];
    snprintf(want, sizeof(want),
             "yes       holmd      %s\n"
             "degraded  kvm        slow\n"
             "yes       daemon     it answers at %s, version " HOLM_VERSION "\n"
             "degraded  languages  1 of 2 ready; not c (preparing)\n"
             "\nThis host can run virtual machines, with qemu on tcg.\n",
             holmd, test_server_url(s));
    test_expect(s, ARGV("doctor", "--holmd", holmd), 0, want, "");
}

/* Found without being named: the one installed with holm before the one in PATH. The program is
 * copied, since its own place is what it goes by. */
static void test_doctor_finds_holmd(void **state)
{
    static const char *const places[] = {"path/holmd", "libexec/holmd", "bin/holmd"};
    auto_test_dir char *dir = test_dir_make();
    char holm[160], path[160], place[160], want[200];
    const char *original = getenv("HOLM");
    snprintf(path, sizeof(path), "PATH=/nowhere:%s/path:/usr/bin:/bin", dir);
    snprintf(holm, sizeof(holm), "%s/bin", dir);
    assert_int_equal(dir_make(holm, 0755), 0);
    snprintf(holm, sizeof(holm), "%s/bin/holm", dir);
    assert_int_equal(file_copy(original, holm, 0755), 0);
    test_holm_set(holm);
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        snprintf(place, sizeof(place), "%s/%s", dir, places[i]);
        *strrchr(place, '/') = '\0';
        assert_int_equal(dir_make(place, 0755), 0);
        auto_free char *holmd = fake_holmd(place, REPORT);
        auto_test_ran struct test_ran r;
        test_holm(NULL, &(struct test_run){.argv = ARGV("doctor", "--json"), .env = ARGV(path)},
                  &r);
        assert_int_equal(r.code, 0);
        auto_json json_t *o = json_loads(buf_str(&r.out), 0, NULL);
        assert_string_equal(json_text(o, "accelerator"), "tcg");
        assert_true(json_is_true(json_object_get(o, "can_run")));
        snprintf(want, sizeof(want), "\"detail\": \"%s\"", holmd);
        assert_non_null(strstr(buf_str(&r.out), want));
    }
    test_holm_set(original);
}

static void test_doctor_cannot(void **state)
{
    static const struct {
        const char *script, *text;
    } rows[] = {
        {"#!/bin/sh\necho '{\"engine\":\"qemu\",\"accelerator\":\"none\",\"facts\":[]}'; exit 1\n",
         "This host cannot run virtual machines."},
        {"#!/bin/sh\necho hello\n", "--doctor' prints no report; is it another program?"},
        {"#!/bin/sh\necho 'no such option' >&2; exit 2\n", "no such option"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        auto_test_dir char *dir = test_dir_make();
        auto_free char *holmd = fake_holmd(dir, rows[i].script);
        auto_test_ran struct test_ran r;
        test_holm(NULL, &(struct test_run){.argv = ARGV("doctor", "--holmd", holmd)}, &r);
        assert_int_equal(r.code, 1);
        assert_non_null(strstr(buf_str(&r.out), rows[i].text));
        assert_non_null(strstr(buf_str(&r.out), "no daemon answers at"));
    }
}

static void test_usage_errors(void **state)
{
    test_expect(NULL, ARGV("rnu"), 2, "",
                "holm: there is no command 'rnu'; did you mean 'run'?\nTry 'holm --help'.\n");
    test_expect(NULL, ARGV("qqqqq"), 2, "",
                "holm: there is no command 'qqqqq'\nTry 'holm --help'.\n");
    test_expect(NULL, ARGV("help", "stats"), 2, "",
                "holm: there is no command 'stats'; did you mean 'status'?\nTry 'holm --help'.\n");
    test_expect(NULL, ARGV("--hlep"), 2, "",
                "holm: unknown option '--hlep'; did you mean '--help'?\nTry 'holm --help'.\n");
    test_expect(NULL, ARGV("version", "x"), 2, "",
                "holm: unexpected argument 'x'\nTry 'holm version --help'.\n");
    test_expect(NULL, ARGV("completion", "fish"), 2, "",
                "holm: no completions for 'fish'; there are some for bash and zsh\n"
                "Try 'holm completion --help'.\n");
    test_expect(NULL, ARGV("--url"), 2, "",
                "holm: option '--url' needs a value: --url URL\nTry 'holm --help'.\n");
    auto_test_ran struct test_ran r;
    test_holm(NULL, &(struct test_run){.argv = (const char *const[]){NULL}}, &r);
    assert_int_equal(r.code, 2);
    assert_non_null(strstr(buf_str(&r.err), "Usage:"));
}

static void test_version(void **state)
{
    test_expect(NULL, ARGV("version"), 0, "holm " HOLM_VERSION "\n", "");
    test_expect(NULL, ARGV("--version"), 0, "holm " HOLM_VERSION "\n", "");
    auto_close int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    auto_test_ran struct test_ran r;
    test_holm(NULL, &(struct test_run){.argv = ARGV("version"), .fds = {0, full}}, &r);
    assert_int_equal(r.code, 125);
    assert_non_null(strstr(buf_str(&r.err), "write to standard output"));
}

/* "vm create" as two words of argv. */
static void split_name(const struct cli_command *c, char ret[2][40])
{
    const char *second = cli_second_word(c);
    snprintf(ret[0], 40, "%.*s", (int)strcspn(c->name, " "), c->name);
    snprintf(ret[1], 40, "%s", second ? second : "");
}

/* Every command has a page that names its options and has examples, by both ways to it. */
static void check_page(const struct cli_command *c, const struct buf *all)
{
    auto_test_ran struct test_ran page;
    auto_test_ran struct test_ran same;
    char word[2][40];
    split_name(c, word);
    const char *second = *word[1] ? word[1] : NULL;
    test_holm(NULL, &(struct test_run){.argv = ARGV(word[0], second ? second : "--help", "--help")},
              &page);
    test_holm(NULL, &(struct test_run){.argv = ARGV("help", word[0], second)}, &same);
    assert_int_equal(page.code, 0);
    assert_string_equal(buf_str(&page.out), buf_str(&same.out));
    if (!second && !c->is_hidden)
        assert_non_null(strstr(buf_str(all), c->summary));
    assert_true(c->examples[0].command != NULL);
    for (const struct cli_example *ex = c->examples; ex->command; ex++)
        assert_non_null(strstr(buf_str(&page.out), ex->command));
    for (const struct option_row *row = c->options; row->name; row++)
        assert_non_null(strstr(buf_str(&page.out), row->name));
}

static void test_help(void **state)
{
    auto_test_ran struct test_ran all;
    test_holm(NULL, &(struct test_run){.argv = ARGV("--help")}, &all);
    assert_int_equal(all.code, 0);
    assert_null(strstr(buf_str(&all.out), "_names"));
    for (const struct cli_command *const *c = cli_commands; *c; c++)
        check_page(*c, &all.out);
    auto_test_ran struct test_ran group;
    test_holm(NULL, &(struct test_run){.argv = ARGV("vm", "--help")}, &group);
    assert_non_null(strstr(buf_str(&group.out), "  create    Make a VM and start it\n"));
}

/* A row has what its kind takes. */
static void test_rows(void **state)
{
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        assert_true(!(*c)->run || !(*c)->call);
        assert_true(!(*c)->call || (*c)->doing);
        assert_true(!(*c)->words_min || (*c)->needs);
        assert_true((*c)->words_min <= (*c)->words_max);
        for (const struct option_row *row = (*c)->options; row->name; row++) {
            for (const struct option_row *other = row + 1; other->name; other++) {
                assert_string_not_equal(row->name, other->name);
                assert_true(!row->letter || row->letter != other->letter);
            }
        }
    }
}

/* The part of the manual that is about a command: from its heading to the next of the kind. */
static void manual_of(const struct buf *doc, const struct cli_command *c, struct buf *ret)
{
    char heading[80];
    snprintf(heading, sizeof(heading), "%s holm %s\n", cli_second_word(c) ? "###" : "##", c->name);
    const char *at = strstr(buf_str(doc), heading);
    if (!at)
        fail_msg("docs/cli.md has no '%s'", heading);
    const char *end = strstr(at + 1, cli_second_word(c) ? "\n##" : "\n## ");
    buf_append(ret, at, end ? (size_t)(end - at) : strlen(at));
}

/* docs/cli.md is written by hand: nothing may be missing there. */
static void test_manual_is_complete(void **state)
{
    auto_buf struct buf doc = {0};
    assert_int_equal(file_read(doc_path, &doc, 1 << 20), 0);
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        auto_buf struct buf part = {0};
        if ((*c)->is_hidden)
            continue;
        manual_of(&doc, *c, &part);
        for (const struct option_row *row = (*c)->options; row->name; row++) {
            char want[80];
            snprintf(want, sizeof(want), "--%s", row->name);
            if (!strstr(buf_str(&part), want))
                fail_msg("docs/cli.md does not tell of %s of '%s'", want, (*c)->name);
        }
    }
}

/* Completes the last of `words` in a real bash and says what it offers, each followed by a space.
 */
static void bash_completes(const struct test_server *s, const char *const *words, const char *want)
{
    static const char script[] =
        "holm() { \"$HOLM\" \"$@\"; }; compopt() { :; }; source <(holm completion bash)\n"
        "COMP_WORDS=(holm \"$@\"); COMP_CWORD=$#\n"
        "_holm; [[ ${#COMPREPLY[@]} == 0 ]] || printf '%s ' \"${COMPREPLY[@]}\"";
    const char *argv[16] = {"bash", "--norc", "-c", script, "bash"};
    for (size_t i = 0; words[i]; i++)
        argv[5 + i] = words[i];
    setenv("HOLM_URL", test_server_url(s), 1);
    auto_buf struct buf out = {0};
    struct err e = ERR_INIT;
    int r = proc_run(argv, 60000, &out, &e);
    if (r < 0)
        fail_msg("%s", e.text);
    assert_string_equal(buf_str(&out), want);
}

static void test_completion_bash(void **state)
{
    auto_test_server struct test_server *s = test_server_new(REPLIES(LANGUAGES));
    bash_completes(s, ARGV("la"), "languages ");
    bash_completes(s, ARGV("--url", "x", "comp"), "completion ");
    bash_completes(s, ARGV("run", ""), "python c ");
    bash_completes(s, ARGV("run", "-t", "5", "py"), "python ");
    bash_completes(s, ARGV("run", "python", ""), "");
    bash_completes(s, ARGV("run", "--st"), "--stats ");
    bash_completes(s, ARGV("run", "--env", ""), "");
    bash_completes(s, ARGV("languages", "c"), "c ");
    bash_completes(s, ARGV("completion", ""), "bash zsh ");
    bash_completes(s, ARGV("help", "st"), "status ");
    bash_completes(s, ARGV("doctor", "--ho"), "--holmd ");
}

static void test_completion_bash_of_vms(void **state)
{
    auto_test_server struct test_server *s = test_server_new(
        REPLIES(VMS, OK("/v1/images", "[{\"name\":\"python\"},{\"name\":\"node js\"}]"),
                OK("/v1/machine-types", "[{\"name\":\"c1m2\"}]"),
                OK("/v1/snapshots", "[{\"id\":\"" ID_A "\",\"name\":\"snap\"}]")));
    bash_completes(s, ARGV("v"), "vm version ");
    bash_completes(s, ARGV("vm", "cr"), "create ");
    bash_completes(s, ARGV("help", "snapshot", "re"), "rename ");
    bash_completes(s, ARGV("help", "vm", "ki"), "kill ");
    bash_completes(s, ARGV("vm", "show", ""), "lab base base ");
    bash_completes(s, ARGV("vm", "delete", "lab", "l"), "lab ");
    bash_completes(s, ARGV("vm", "exec", "-e", "A=1", "-t", "l"), "lab ");
    bash_completes(s, ARGV("vm", "create", "--no-o"), "--no-outbound ");
    bash_completes(s, ARGV("vm", "create", "--image", ""), "python ");
    bash_completes(s, ARGV("vm", "create", "-t", ""), "c1m2 ");
    bash_completes(s, ARGV("snapshot", "delete", ""), "snap ");
    bash_completes(s, ARGV("cp", "la"), "lab: ");
    bash_completes(s, ARGV("key", "create", "--account", ""), "");
    auto_test_ran struct test_ran none;
    test_holm(NULL, &(struct test_run){.argv = ARGV("_names", "vms")}, &none);
    assert_string_equal(buf_str(&none.err), "");
    assert_int_equal(none.code, 125);
}

/* Its syntax by zsh itself where there is one; its content everywhere. */
static void test_completion_zsh(void **state)
{
    auto_test_ran struct test_ran r;
    test_holm(NULL, &(struct test_run){.argv = ARGV("completion", "zsh")}, &r);
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(buf_str(&r.out), "#compdef holm\n"));
    for (const struct cli_command *const *c = cli_commands; *c; c++) {
        for (const struct option_row *row = (*c)->options; row->name; row++) {
            char want[80];
            snprintf(want, sizeof(want), "'*--%s[", row->name);
            assert_non_null(strstr(buf_str(&r.out), want));
        }
    }
    auto_test_dir char *dir = test_dir_make();
    char path[128];
    snprintf(path, sizeof(path), "%s/_holm", dir);
    assert_int_equal(file_write_atomic(path, r.out.data, r.out.len, 0644), 0);
    struct err e = ERR_INIT;
    if (proc_run((const char *const[]){"zsh", "--version", NULL}, 60000, NULL, NULL) == 0 &&
        proc_run((const char *const[]){"zsh", "-n", path, NULL}, 60000, NULL, &e) < 0)
        fail_msg("%s", e.text);
}

int main(int argc, char **argv)
{
    assert_true(argc > 2);
    test_holm_set(argv[1]);
    setenv("HOLM", argv[1], 1);
    doc_path = argv[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_languages),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_languages_of_the_specification),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_unix_socket),
        cmocka_unit_test(test_doctor),
        cmocka_unit_test(test_doctor_finds_holmd),
        cmocka_unit_test(test_doctor_cannot),
        cmocka_unit_test(test_usage_errors),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_manual_is_complete),
        cmocka_unit_test(test_completion_bash),
        cmocka_unit_test(test_completion_bash_of_vms),
        cmocka_unit_test(test_completion_zsh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
