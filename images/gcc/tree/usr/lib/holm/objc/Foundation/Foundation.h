/* SPDX-License-Identifier: Apache-2.0 */
/* Foundation.h.gch, beside this, is the header compiled beforehand; where that cannot be taken,
 * this is. */
#include_next <Foundation/Foundation.h>
