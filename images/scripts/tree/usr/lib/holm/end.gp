\\ SPDX-License-Identifier: Apache-2.0
\\ After its files gp would go on with the standard input, which is the program's data.
quit
