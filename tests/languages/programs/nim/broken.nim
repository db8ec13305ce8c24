let number: int = "text"
echo number
