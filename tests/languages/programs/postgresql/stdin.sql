-- Lines that hold no separator and no quote come in as they are.
create table input (n serial, line text);
\copy input (line) from pstdin with (format csv, delimiter e'\x01', quote e'\x02')
select line from input order by n;
