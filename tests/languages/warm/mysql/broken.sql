select 1;

select
  concat('ä', nope)
from nowhere;
select 'not reached';
