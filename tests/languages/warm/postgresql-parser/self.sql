-- ÄÖÜ 漢字 🙂
create table t (id serial primary key, name text not null default 'x');
insert into t (name) values ('漢字'), ($$it's$$) on conflict do nothing returning *;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 3)
select i, sum(i) over (order by i) from n join lateral (select 1) s on true;
do $$ begin null; end $$;
