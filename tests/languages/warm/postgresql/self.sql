select version();
select :'arg1', :'arg2', :'arg3';
\echo `env | sort`
\echo `pwd`
\! ls -l /proc/self/fd | wc -l
\set
select name, setting from pg_settings where name !~ 'pid|log' order by name;
select datname, usename, application_name, backend_type from pg_stat_activity order by 4, 3;
select xact_commit, xact_rollback, sessions from pg_stat_database where datname = current_database();
select txid_current(), oid from pg_class where relname = 'pg_class';
create table t (id serial primary key, name text);
insert into t (name) values ('one'), ('zwei'), ('三') returning *;
copy t to program 'cat; env | grep -v ^PG | sort';
select 't'::regclass::oid;
create temp table input (line text);
\copy input from pstdin
select * from input;
\d t
\pset format aligned
\pset tuples_only off
table t;
