package plan

import (
	"strconv"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// ParseMode returns the mode of that name; "" is ModeAuto. The error is a
// *task.Error with code BAD_COMPARE.
func ParseMode(name string) (Mode, error) {
	switch m := Mode(name); m {
	case "":
		return ModeAuto, nil
	case ModeAuto, ModeSizeTime, ModeChecksum, ModeAlways, ModeNever, ModeOMS:
		return m, nil
	}
	return "", &task.Error{
		Kind: task.Invalid, Code: "BAD_COMPARE",
		Text: "there is no way of comparing called " + strconv.Quote(name),
		Next: "use auto, size+mtime, checksum, always, never or oms",
	}
}
