Text before <?= 1 + 1 ?> and after
<?php include 'main.inc';
