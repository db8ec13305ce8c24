loop {
}
