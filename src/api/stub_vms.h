/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The stub host's VMs: no machines, but the life cycle, the owners and every failure that vms.h and
 * vms_guest.h promise.
 *
 * Two accounts, the admin's and BOB's, each with a key. A VM is running once it is launched, unless
 * its name is "queued" (starting) or "lost". In a guest the first word of a command says what it
 * does:
 *
 *   echo WORD...  prints the words           show     prints directory, user, environment, stdin
 *   err WORD      prints to stderr           exit N   ends so
 *   kill          dies of signal 9           timeout  is killed at its timeout
 *   flood         prints 5 MiB and says so   bytes    prints what is not UTF-8
 *   block         until it is cancelled      none     cannot be started (ERR_NOT_FOUND)
 *   half          prints "half", then the guest is gone
 *   bash, sh      with -lc -- and a text: the words of the text; deno: shows how it was called
 *
 * A guest has a file system of files that were written to it, "/block" (reads and writes block
 * until they are shut down), "/dir" (a directory), "/link", "/dev" (neither), "/proc" (a file of
 * size 0 that has text). Terminals echo; "exit" ends them with 7. */

#include <stdbool.h>

#include "base/err.h"
#include "host/vms.h"

#define STUB_ADMIN "adminadminadminadmin"
#define STUB_BOB "bobbobbobbobbobbobbo"
#define STUB_ADMIN_KEY "holm_admin"
#define STUB_BOB_KEY "holm_bob"

/* Forgets everything; makes the accounts. */
void stub_vms_reset(void);

/* The next call of the host fails so; once. */
void stub_fail_next(enum err_class class);

/* --- for the stubs themselves --- */

bool stub_fails(struct err *e);
#define STUB_MAY_FAIL(e)   \
    do {                   \
        if (stub_fails(e)) \
            return -EIO;   \
    } while (0)

/* The VM, if it is the account's and runs. */
int stub_running(const char *account, const char *id, struct err *e);
void stub_guest_reset(void);
void stub_accounts_reset(void);
void stub_people_reset(void);
void stub_jobs_reset(void);
void stub_images_reset(void);
void stub_builds_reset(void);
void stub_builds_fail(void); /* all that run, with "no such wheel" */

/* Whether there is an object store. */
void stub_remote_set(bool set);
int stub_charge_snapshot(const char *account, struct err *e);
