<?php
register_shutdown_function(function () { echo "leaving\n"; });
function inner(int $x) { throw new LogicException("no good"); }
echo $undefined;
try { inner("a"); } catch (TypeError $e) { echo $e, "\n"; }
inner(1);
