// SPDX-License-Identifier: Apache-2.0
// Prints which test programs are missing or too many; exit status 1 when there are any.
import { findings } from './programs.mjs';

const found = findings();
found.forEach((line) => console.log(line));
process.exitCode = found.length ? 1 : 0;
