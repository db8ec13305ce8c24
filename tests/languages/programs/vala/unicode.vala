class Text : Object {
    public string content { get; construct; }

    public Text (string content) {
        Object (content: content);
    }
}

void main () {
    var text = new Text ("ÄÖÜ 漢字 🙂");
    stdout.printf ("%s\n", text.content);
}
