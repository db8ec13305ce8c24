fn main() {
    let mut turns = 0u32;
    loop {
        turns = turns.wrapping_add(1);
    }
}
