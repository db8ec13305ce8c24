/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Preparing the agent's own process for life in a guest. */

#include "wire/report.h"

/* Real-time priority and locked memory, so that a guest that is starved of either still answers;
 * `exempt` also takes it from the OOM killer's list. Children get none of it. */
void guest_harden(bool exempt);

/* Serves the agent's port until the guest is turned off. Returns a negative errno only when the
 * port did not appear or the loop broke. */
int guest_serve(enum report_init init);
