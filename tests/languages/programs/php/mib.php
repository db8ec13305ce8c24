<?php
for ($i = 0; $i < 16384; $i++)
    echo str_repeat("x", 63), "\n";
