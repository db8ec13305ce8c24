; SPDX-License-Identifier: Apache-2.0
; After its files newlisp would go on with the standard input, which is the program's data.
(exit)
