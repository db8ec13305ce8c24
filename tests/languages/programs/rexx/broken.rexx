say 'never closed
