define(`x', `never closed
