package file

import "golang.org/x/sys/unix"

// errNoAttr: the file has no such attribute.
const errNoAttr = unix.ENODATA
