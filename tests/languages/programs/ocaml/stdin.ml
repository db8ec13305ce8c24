let () =
  set_binary_mode_in stdin true;
  try
    while true do
      print_char (input_char stdin)
    done
  with End_of_file -> ()
