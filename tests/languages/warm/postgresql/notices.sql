do $$ begin raise notice 'a notice'; raise warning 'a warning'; end $$;
\warn to standard error
select pg_terminate_backend(pg_backend_pid());
select 'not reached';
