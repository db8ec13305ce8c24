/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One request's answer as another request's body, through a bounded buffer: a file from one VM to
 * another. Thread: the main one. */

#include "cli/api_client.h"

struct api_copy {
    struct api_client *from, *to;  /* two different ones */
    const struct api_request *get; /* sent first; nothing is put when it does not answer 200 */
    const struct api_request *put; /* its upload says the type only */
};

/* ret_get and ret_put get what both came to; ret_put->status is 0 when nothing was put. The errors
 * of api_client_send; when the source ends before its end, the put is broken off, so that what is
 * there stays. `get->moved` is told. */
int api_client_copy(const struct api_copy *copy, struct api_answer *ret_get,
                    struct api_answer *ret_put, struct err *e);
