package file

// A name on Linux is any bytes but NUL and slash.
const nonUTF8Keys = true

func isReserved(name string) bool { return name == Reserved }

func checkSegment(string) string { return "" }
