with recursive n(i) as (select 1 union all select i + 1 from n limit 16384)
select replace(hex(zeroblob(31)) || '0', '0', 'x') from n;
