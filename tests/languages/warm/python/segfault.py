# SPDX-License-Identifier: Apache-2.0
import ctypes
print('before', flush=True)
ctypes.string_at(0)
