/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The guest's interfaces: loopback, and the one to the host, `eth0` where there is one, with its
 * addresses and default routes, which are the same in every guest. Failure is logged only. */
void init_net(void);
