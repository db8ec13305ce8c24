<?php
echo "ÄÖÜ 漢字 🙂\n";
