forever { }
