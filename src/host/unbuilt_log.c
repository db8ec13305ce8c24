/* SPDX-License-Identifier: Apache-2.0 */
#include "host/vms.h"
int host_vm_log(struct host *h, const char *account, const char *id, enum vm_log which, size_t lines, struct buf *ret, bool *ret_more, struct err *e) { return err_set(e, ERR_INTERNAL, "not built yet"); }
