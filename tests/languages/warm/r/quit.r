message("oops"); print(summary(lm(dist ~ speed, cars))$r.squared); quit(status = 3)
