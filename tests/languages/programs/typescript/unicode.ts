const text: string = "ÄÖÜ 漢字 🙂";
console.log(text);
