package history

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Directories of the lists that only a task's jobs have.
const (
	ReceivedDir = "object_lists"
	RetriedDir  = "retried_object_lists"
	// UnstartedDir is below that of the failed lists.
	UnstartedDir = "creation_failures"
)

// listRoot is where OMS keeps what belongs to its synchronization tasks.
const listRoot = "oms/sync_task/"

// ListPlace is the beginning of the names of all lists of a task, in its
// destination bucket.
func ListPlace(id task.ID) string { return listRoot + string(id) + "/" }

// ListOwner returns the task whose lists a key of a whole bucket is among, if the
// key has that form. Whether there is such a task is for the caller to find out.
func ListOwner(key string) (id task.ID, ok bool) {
	rest, ok := strings.CutPrefix(key, listRoot)
	if !ok {
		return "", false
	}
	name, _, ok := strings.Cut(rest, "/")
	id = task.ID(name)
	return id, ok && id.Valid()
}

// MayHoldLists says whether a run of keys from first to last can have lists in it.
func MayHoldLists(first, last string) bool {
	return last >= listRoot && (first < listRoot || strings.HasPrefix(first, listRoot))
}

// BatchName is a job as OMS names it: source bucket, destination bucket, start to
// the millisecond in UTC, and a number below 1,000 made of the job's id.
func BatchName(source, destination string, start time.Time, job task.JobID) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(job)) // never fails
	number := strconv.Itoa(1000 + int(h.Sum32()%1000))[1:]
	stamp := strings.Replace(start.UTC().Format("20060102150405.000"), ".", "", 1)
	flat := strings.NewReplacer("/", "-")
	return flat.Replace(source) + "-" + flat.Replace(destination) + "-" + stamp + "_" + number
}

var listFiles = [...]struct{ dir, suffix string }{
	queue.ListReceived: {ReceivedDir, ".txt"},
	queue.ListSynced:   {SyncedDir, ".success_list.txt"},
	queue.ListFailed:   {FailedDir, ".failed_list.txt"},
	queue.ListIgnored:  {IgnoredDir, ".skip_list.txt"},
	queue.ListRetried:  {RetriedDir, ".retried_list.txt"},
}

// ListName is the name of a sealed list below ListPlace.
func ListName(batch string, f queue.ListFile) string {
	if f.Kind == queue.ListUnstarted {
		return unstartedName(f)
	}
	k := listFiles[f.Kind]
	return k.dir + "/" + batch + "/" + strconv.FormatInt(f.SealedAt.UnixMilli(), 10) + k.suffix
}

// unstartedName is the name of a list of records that never began: milliseconds, an id of
// 24 hexadecimal digits whose first eight are the second, and the number of lines. OMS has
// them beside the batches, since there is none.
func unstartedName(f queue.ListFile) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(f.Job)) // never fails
	_, _ = h.Write([]byte(strconv.FormatInt(f.Num, 10)))
	return fmt.Sprintf("%s/%s/%d_%08x%016x_%d.failed_list.txt", FailedDir, UnstartedDir, f.SealedAt.UnixMilli(), uint32(f.SealedAt.Unix()), h.Sum64(), f.Lines)
}

// JobManifestName is the name of a job's closing manifest below ListPlace, where the
// names of its lists begin too.
func JobManifestName(batch string) string { return batch + "." + ManifestName }
