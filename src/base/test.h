/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What every cmocka test includes, in the order cmocka wants, and a temporary directory that goes
 * with its scope. */

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fd.h"

static inline char *test_dir_make(void)
{
    char *dir = strdup("/tmp/holm-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static inline void test_dir_drop(char **dir)
{
    dir_remove(*dir);
    free(*dir);
}

/* auto_test_dir char *dir = test_dir_make(); */
#define auto_test_dir CLEANUP(test_dir_drop)
