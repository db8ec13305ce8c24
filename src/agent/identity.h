/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who this guest is: its host name, and /run/holm/vm.json for programs that want to know. */

#include "base/err.h"
#include "wire/report.h"

/* Sets what the request names, leaves the rest. A guest without a place for the file only lacks the
 * file. */
int identity_set(const struct restored_request *q, struct err *e);
