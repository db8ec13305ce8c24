/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Uploaded images as the store has them, and the accounts' choice of a default. See store.h. */

#include "host/images.h"
#include "host/store.h"

int store_image_put(struct store *s, const struct image_info *info, struct err *e);
int store_image_delete(struct store *s, const char *id, struct err *e); /* absent is fine */
/* `info` is a struct image_info; in order of creation. */
int store_images_each(struct store *s, int (*each)(void *arg, const void *info), void *arg,
                      struct err *e);

/* `key` "": the configuration's. */
int store_default_image_put(struct store *s, const char *account, const char *key, struct err *e);
/* For all accounts that have one. */
int store_default_images_each(struct store *s,
                              int (*each)(void *arg, const char *account, const char *key),
                              void *arg, struct err *e);
