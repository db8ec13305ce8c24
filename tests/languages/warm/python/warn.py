# SPDX-License-Identifier: Apache-2.0
import asyncio
import warnings
warnings.warn('careful')
warnings.warn('old', DeprecationWarning)
print(1 is 1)
assert not '', 'unseen'


async def never():
    pass


never()
open('/etc/hostname')
print(asyncio.run(asyncio.sleep(0, 'slept')))
