if true
    echo 'never closed
