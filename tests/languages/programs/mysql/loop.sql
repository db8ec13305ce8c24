delimiter //
begin not atomic
  loop
    do 0;
  end loop;
end//
