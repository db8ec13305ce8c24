/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What holm-oci does, as functions. */

#include "base/err.h"
#include "oci/layout.h"
#include "oci/tree.h"

/* All that the guest will have: the layers, and what a VM needs besides. */
int unpack_tree(const struct oci_image *image, const struct oci_meter *meter, struct tree *t,
                struct err *e);
