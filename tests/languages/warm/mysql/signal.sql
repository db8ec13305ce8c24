signal sqlstate '45000' set message_text = 'an error of its own';
