/* SPDX-License-Identifier: Apache-2.0 */
/* stdc++.h.gch, beside this, is the header compiled beforehand; where that cannot be taken, this
 * is. */
#include_next <bits/stdc++.h>
