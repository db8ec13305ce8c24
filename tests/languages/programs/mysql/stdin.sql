create table input (n int primary key auto_increment, line text);
load data local infile '/dev/stdin' into table input character set utf8mb4
  fields terminated by '\x01' escaped by '' lines terminated by '\n' (line);
select line from input order by n;
