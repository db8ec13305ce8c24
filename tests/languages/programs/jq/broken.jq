{"never": closed
