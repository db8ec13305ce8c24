if (1) then
    echo 'never closed
endif
