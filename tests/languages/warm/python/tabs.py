# SPDX-License-Identifier: Apache-2.0
if True:
        print('eight')
	print('tab')
