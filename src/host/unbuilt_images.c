/* SPDX-License-Identifier: Apache-2.0 */
#include "host/images.h"
#include "host/vms.h"
#define NOT err_set(e, ERR_INTERNAL, "not built yet")
int host_image_get(struct host *h, const char *account, const char *ref, struct image_info *ret, struct err *e) { return NOT; }
int host_image_list(struct host *h, const char *account, struct image_info **ret, size_t *ret_n, struct err *e) { return NOT; }
int host_image_create(struct host *h, const char *account, const char *name, const char *description, struct image_info *ret, struct err *e) { return NOT; }
int host_image_update(struct host *h, const char *account, const char *id, const char *name, const char *description, struct image_info *ret, struct err *e) { return NOT; }
int host_image_upload(struct host *h, const char *account, const char *id, enum image_part part, int64_t length, struct image_upload **ret, struct err *e) { return NOT; }
int image_upload_write(struct image_upload *u, const void *data, size_t len, struct err *e) { return NOT; }
int image_upload_finish(struct image_upload *u, struct image_info *ret, struct err *e) { return NOT; }
void image_upload_free(struct image_upload *u) {}
int host_image_set_default(struct host *h, const char *account, const char *id, struct err *e) { return NOT; }
int host_image_delete(struct host *h, const char *account, const char *id, struct err *e) { return NOT; }
