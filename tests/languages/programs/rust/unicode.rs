fn main() {
    let text = "ÄÖÜ 漢字 🙂";
    assert_eq!(text.chars().count(), 8);
    println!("{}", text);
}
