package main

import (
	"strings"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// ignoredWords say after a number what the keys ignored for a reason are.
var ignoredWords = map[task.Reason]string{
	task.UpToDate:             "unchanged",
	task.UpToDateButDifferent: "taken as unchanged by --compare oms although their ETags differ",
	task.Excluded:             "excluded by a rule",
	task.DestinationExists:    "left alone because they exist",
	task.SourceGone:           "gone at the source meanwhile",
	task.LiteralKey:           "not there, and synced with their plus signs as written",
	task.Superseded:           "named again meanwhile",
	task.DeleteSuperseded:     "not deleted because they are back at the source",
}

// failureAdvice says in one sentence what to do about the keys that failed for a reason.
var failureAdvice = map[task.Reason]string{
	task.SourceDenied:            "The source refuses to read these: let its access key get objects and their tags.",
	task.SourceUnavailable:       "The source did not answer in several attempts: check it, then run the same command again.",
	task.SourceThrottled:         "The source asked to slow down until the attempts ran out: run again with --limit-requests.",
	task.SourceBucketMissing:     "The source bucket is gone: check that nobody deleted or renamed it.",
	task.SourceArchived:          "These are archived at the source: restore them there, or have the task do it (--restore), then run again.",
	task.SourceChanging:          "These changed under every attempt to read them: run again when nobody writes them.",
	task.SourceCorrupt:           "Their bytes disagree with the source's own checksum: have the source's storage examined before anything else.",
	task.SourceInvalid:           "The source refuses these for a reason of its own: --report DIR keeps its words and error code.",
	task.DestinationDenied:       "The destination refuses to take these: let its access key put, tag and delete objects.",
	task.DestinationUnavailable:  "The destination did not answer in several attempts: check it, then run the same command again.",
	task.DestinationThrottled:    "The destination asked to slow down until the attempts ran out: run again with --limit-requests.",
	task.DestinationBucketGone:   "The destination bucket is gone: check that nobody deleted or renamed it.",
	task.DestinationFull:         "The destination is full: make room or raise the quota, then run the same command again.",
	task.DestinationConflict:     "Somebody else keeps writing these at the destination: find out who, and let only one write.",
	task.DestinationInvalid:      "The destination refuses these for a reason of its own: --report DIR keeps its words and error code.",
	task.KeyNotRepresentable:     "The destination cannot hold these names: rename the objects, exclude them, or choose a bucket as destination.",
	task.TooLarge:                "These are larger than the destination takes: exclude them or choose another destination.",
	task.ChecksumMismatch:        "What arrived was not what was read, and is not kept: run again, and have network and memory examined if it repeats.",
	task.DestinationInconsistent: "The copies are there and fail the check that the task wants: look at one with lockstep explain, compare the clocks of both stores, then run lockstep retry.",
	task.DestinationNotEncrypted: "The destination does not encrypt these as the task wants: set up its key service (--encrypt), then run lockstep retry.",
	task.Unsupported:             "The destination lacks an operation these need: see --dst-provider and --dst-option.",
	task.InternalFailure:         "Lockstep met something it does not know: --report DIR keeps the words, please tell us.",
}

// means says in a few words what a reason of failure is: the first part of its advice.
func means(reason task.Reason) string {
	if reason == task.SourceRestoring { // of keys that wait
		return "These are archived at the source, were asked back, and are copied when they are there"
	}
	what, _, _ := strings.Cut(failureAdvice[reason], ":")
	return strings.TrimSuffix(what, ".")
}
