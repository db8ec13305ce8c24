<?php
$d = stream_get_contents(STDIN);
var_dump(strlen($d), md5($d), feof(STDIN), fgets(STDIN));
