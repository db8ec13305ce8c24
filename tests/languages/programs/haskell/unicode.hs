main :: IO ()
main = putStrLn "ÄÖÜ 漢字 🙂"
