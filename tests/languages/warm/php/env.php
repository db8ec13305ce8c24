<?php
var_dump(getenv(), getenv('GREETING'), $_SERVER['GREETING']);
system('env');
