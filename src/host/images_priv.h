/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Images, for those files of the host that launch from them. */

#include <jansson.h>

#include "host/images.h"

/* The key of the account's default: its own choice, or the configuration's. */
void images_default(struct host *h, const char *account, char ret[IMAGE_KEY_SIZE]);

/* `ref`: as host_image_get's; NULL or "": the default. ERR_INVALID (the field "image"): there is
 * none; ERR_CONFLICT: a file of it is missing. The state is not filled in. */
int images_launchable(struct host *h, const char *account, const char *ref, struct image_info *ret,
                      struct err *e);

/* An event of the feed about an image; takes `data`, which may be NULL. */
void images_note(struct host *h, const char *account, const char *type,
                 const struct image_info *image, json_t *data);

/* For who has made something from an image, once that can be found: ERR_NOT_FOUND when the image
 * was deleted meanwhile. */
int images_still_there(struct host *h, const char *key, struct err *e);
