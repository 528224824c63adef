package file

import "golang.org/x/sys/unix"

// openPlace: there is no descriptor for a place alone.
const openPlace = unix.O_RDONLY

func resolve(int, string) (int, error) { return -1, unix.ENOSYS }

func canResolve(int) bool { return false }

func isUnresolved(error) bool { return true }

func renameNoReplace(from int, name string, to int, toName string) error {
	return unix.RenameatxNp(from, name, to, toName, unix.RENAME_EXCL)
}

func traitsOf(dir) traits { return traits{} }
