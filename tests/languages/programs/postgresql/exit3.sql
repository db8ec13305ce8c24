-- This is how psql ends when a script fails.
select 1 / 0;
