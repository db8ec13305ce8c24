/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/progress.h"

#include "base/test.h"

struct screen {
    struct term term;
    char *text;
    size_t len;
};

static void screen_init(struct screen *s, bool tty)
{
    *s = (struct screen){.term = {.tty = tty, .width = 30}};
    s->term.file = open_memstream(&s->text, &s->len);
}

static void screen_done(struct screen *s)
{
    fclose(s->term.file);
    free(s->text);
}

static void test_not_on_a_file(void **state)
{
    struct screen CLEANUP(screen_done) s;
    screen_init(&s, false);
    struct progress p = {0};
    progress_set(&p, &s.term, "waiting");
    progress_show(&p);
    progress_tick(&p);
    progress_stop(&p);
    fflush(s.term.file);
    assert_int_equal(s.len, 0);
}

static void test_drawn_and_erased(void **state)
{
    struct screen CLEANUP(screen_done) s;
    screen_init(&s, true);
    struct progress p = {0};
    progress_set(&p, &s.term, "waiting\033[2J");
    progress_show(&p);
    assert_string_equal(s.text, "\r\033[K| waiting?[2J");
    progress_set(&p, &s.term, "words that are longer than the terminal is wide");
    progress_show(&p);
    progress_erase(&p);
    progress_erase(&p);
    progress_stop(&p);
    assert_string_equal(s.text, "\r\033[K| waiting?[2J\r\033[K/ words that are longer than"
                                "\r\033[K");
    progress_show(&p); /* stopped: nothing any more */
    fflush(s.term.file);
    assert_string_equal(s.text + s.len - 4, "\r\033[K");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_on_a_file),
        cmocka_unit_test(test_drawn_and_erased),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
