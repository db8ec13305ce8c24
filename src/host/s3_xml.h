/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The XML that an S3 store answers with: elements and text. A document type, CDATA, comments and
 * processing instructions never come from one and are refused; attributes are passed over. What a
 * store sends is not trusted: depth, names, text and count are bounded (S3_XML_* of limits.h). */

#include <stddef.h>

#include "base/err.h"

/* Called at each element's end: its path from the root, "ListBucketResult/Contents/Key", and the
 * text that stands directly in it (blanks between children too), entities resolved. A negative
 * return ends the reading and is returned. */
typedef int s3_xml_fn(void *arg, const char *path, const char *text);

/* ERR_UNAVAILABLE when `data` is no such document. */
int s3_xml_read(const char *data, size_t len, s3_xml_fn *each, void *arg, struct err *e);
