do forever
  nop
end
