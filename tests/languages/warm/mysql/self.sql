select version(), user(), database(), connection_id(), @arg1, @arg2, @arg3;
\! env | sort
\! pwd
\! ls -l /proc/self/fd | wc -l
show variables where variable_name not regexp 'pid|timestamp|rand_seed|server_uid|error_count';
show processlist;
show databases;
create table t (id int primary key auto_increment, name text);
insert into t (name) values ('one'), ('zwei'), ('三');
select * from t;
show create table t;
show status like 'Connections';
load data local infile '/dev/stdin' into table t character set utf8mb4 (name);
select * from t;
select length(rand()) > 0, length(uuid()), length(random_bytes(4));
delimiter //
create procedure p(n int) begin select n, 'in p'; end//
delimiter ;
call p(3);
