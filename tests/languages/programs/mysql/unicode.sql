select 'ÄÖÜ 漢字 🙂';
