<?php var_dump($argv, $_SERVER['argv']);
