import Control.Monad

main :: IO ()
main = replicateM_ 16384 (putStrLn (replicate 63 'x'))
