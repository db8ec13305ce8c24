select 1;
selekt 2;
