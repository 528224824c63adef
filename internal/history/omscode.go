package history

import "github.com/lockstep-sync/lockstep/internal/task"

// omsCodes are OMS's codes of objects that failed, by the reason here. Those of OMS that
// are publicly known have their names; the others follow their style.
var omsCodes = map[task.Reason]string{
	task.SourceGone:              "GET_SRC_OBJ_META_FAILURE",
	task.SourceBucketMissing:     "GET_SRC_OBJ_META_FAILURE",
	task.SourceDenied:            "GET_SRC_OBJ_FAILURE",
	task.SourceUnavailable:       "GET_SRC_OBJ_FAILURE",
	task.SourceThrottled:         "GET_SRC_OBJ_FAILURE",
	task.SourceChanging:          "GET_SRC_OBJ_FAILURE",
	task.SourceCorrupt:           "GET_SRC_OBJ_FAILURE",
	task.SourceInvalid:           "GET_SRC_OBJ_FAILURE",
	task.SourceArchived:          "RESTORE_SRC_OBJ_FAILURE",
	task.DestinationDenied:       "UPLOAD_DST_OBJ_FAILURE",
	task.DestinationUnavailable:  "UPLOAD_DST_OBJ_FAILURE",
	task.DestinationThrottled:    "UPLOAD_DST_OBJ_FAILURE",
	task.DestinationBucketGone:   "UPLOAD_DST_OBJ_FAILURE",
	task.DestinationFull:         "UPLOAD_DST_OBJ_FAILURE",
	task.DestinationConflict:     "UPLOAD_DST_OBJ_FAILURE",
	task.DestinationInvalid:      "UPLOAD_DST_OBJ_FAILURE",
	task.KeyNotRepresentable:     "UPLOAD_DST_OBJ_FAILURE",
	task.TooLarge:                "UPLOAD_DST_OBJ_FAILURE",
	task.ChecksumMismatch:        "CHECK_CONSISTENCY_FAILURE",
	task.DestinationInconsistent: "CHECK_CONSISTENCY_FAILURE",
	task.DestinationNotEncrypted: "UPLOAD_DST_OBJ_FAILURE",
	task.TaskDeleted:             "TASK_DELETED",
}

// cdnDiffers is the code, as package objstore/cdn gives it, of objects of which a CDN
// serves another state than the source has. OMS publishes a code for them.
const cdnDiffers = "CDN_DIFFERS"

// OMSCode is what the last column of a failed list says for tasks that were made through
// OMS: its code, and behind a dash the store's own.
func OMSCode(reason task.Reason, store string) string {
	if store == cdnDiffers {
		return "COMPARE_SRC_AND_CDN_FAILURE"
	}
	code := omsCodes[reason]
	if code == "" {
		code = "SYNC_OBJ_FAILURE"
	}
	if store != "" {
		code += "-" + store
	}
	return code
}
