function f(n: number): number { if (n === 0) throw new Error("no", { cause: new RangeError("c") }); return f(n - 1); }
Promise.reject(new Error("unhandled"));
f(3);
