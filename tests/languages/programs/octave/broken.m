disp("never closed)
