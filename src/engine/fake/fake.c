/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine.h"
const struct engine_ops engine_fake_ops = {.name = "fake"};
