select 1;

select
  'ä' || nope
from nowhere;
select 'not reached';
