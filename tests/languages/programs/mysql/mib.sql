select repeat('x', 63) from seq_1_to_16384;
