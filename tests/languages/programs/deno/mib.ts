for (let i = 0; i < 16384; i++) {
    console.log("x".repeat(63));
}
