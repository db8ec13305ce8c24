<?php
var_dump(__FILE__, __DIR__, $argv, $argc, get_included_files(), getcwd(), PHP_SAPI);
var_dump(array_keys($GLOBALS), count(get_defined_functions()['user']), count(get_declared_classes()), error_get_last());
$s = $_SERVER;
foreach (['REQUEST_TIME', 'REQUEST_TIME_FLOAT'] as $k) unset($s[$k]);
var_dump($s, $_ENV, getenv(), ini_get_all(null, false)['auto_prepend_file'], debug_backtrace());
var_dump(abs($_SERVER['REQUEST_TIME'] - time()) < 3, get_loaded_extensions(), stream_isatty(STDIN));
