#!/usr/bin/env php
<?php
// SPDX-License-Identifier: Apache-2.0
fwrite(STDERR, "oops\n");
exit(3);
