/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Brings the loopback interface up; its addresses come with it. Failure is logged only. */
void init_loopback_up(void);
