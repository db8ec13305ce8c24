-- Lines that hold no separator come in as they are.
create table input(line text);
.mode list
.separator "\001" "\n"
.import /dev/stdin input
select line from input;
