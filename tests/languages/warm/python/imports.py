# SPDX-License-Identifier: Apache-2.0
import json
import random
import re
import time
import uuid

import main
print(main.__name__, main.__file__, hasattr(main, '__cached__'))
print(json.dumps({'a': [1, None]}), re.sub('a', 'b', 'aa'), len(str(uuid.uuid4())), 0 <= random.random() < 1)
print(time.tzname, time.timezone, abs(time.time() - time.time()) < 5)
