<?php mt_srand(7); echo mt_rand(), "\n"; srand(7); echo rand(), "\n"; var_dump(strlen(random_bytes(3)));
