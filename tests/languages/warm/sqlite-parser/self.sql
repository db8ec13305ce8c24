-- ÄÖÜ 漢字 🙂
create table t (id int primary key, name varchar(20) not null);
insert into t (id, name) values (1, '漢字'), (2, 'it''s');
select a.name, count(*) from t a left join t b on a.id = b.id where a.id in (1, 2) group by a.name order by 2 desc limit 3;
update t set name = 'x' where id = 1;
