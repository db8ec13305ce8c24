console.log("ÄÖÜ 漢字 🙂");
