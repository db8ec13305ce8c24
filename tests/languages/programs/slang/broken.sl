message ("never closed);
