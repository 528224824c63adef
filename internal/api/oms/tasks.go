package oms

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// createTask makes a task, which starts at once.
func (a *API) createTask(r *request) error {
	var n newTask
	if err := decode(r.body, &n); err != nil {
		return err
	}
	if err := n.check(); err != nil {
		return err
	}
	src, dst, err := a.ends(r, &n)
	if err != nil {
		return err
	}
	keys := given(n.SrcAK, n.SrcSK, n.DstAK, n.DstSK)
	keys.CDNKey = n.SourceCDN.via().Key
	if err := a.reach(r, src, keys.Source, codeSource); err != nil {
		return err
	}
	if err := a.reachCDN(r, src, keys.Source, n.SourceCDN.via()); err != nil {
		return err
	}
	if err := a.reach(r, dst, keys.Destination, codeDestination); err != nil {
		return err
	}
	k, err := a.control.CreateTask(r.ctx(), r.who, control.NewTask{
		Name: a.taskName(&n), Description: n.Description, Source: src, Destination: dst, Options: n.options(),
		Ext: map[task.Dialect][]byte{task.OMS: n.extension(src, dst)}, Given: keys, Most: a.cfg.MaxTasks,
	})
	if err == nil {
		err = a.keepNamed(r)
	}
	if err != nil {
		return err
	}
	writeJSON(r.w, http.StatusOK, createdTask{string(k.ID)})
	return nil
}

// ends finds both places of a new task.
func (a *API) ends(r *request, n *newTask) (src, dst task.Location, err error) {
	from := side{clouds: cloudsOf(n.SrcCloudType), region: n.SrcRegion, address: n.SrcEndpoint, code: codeSrcRegion}
	if n.SrcCloudType == "" {
		n.SrcCloudType = defaultCloud
		from.clouds, from.elsewhere = []string{defaultCloud}, true
	}
	e, err := a.endpoint(r, from)
	if err != nil {
		return src, dst, err
	}
	src = task.Location{Endpoint: e.ID, Bucket: n.SrcBucket}
	e, err = a.endpoint(r, side{clouds: destinationClouds, elsewhere: true, region: n.DstRegion, address: n.DstEndpoint, code: codeDstRegion})
	return src, task.Location{Endpoint: e.ID, Bucket: n.DstBucket}, err
}

// reach asks whether a bucket can be listed with the keys that came for it.
func (a *API) reach(r *request, at task.Location, k control.Credentials, code string) error {
	err := a.control.ProbeBucket(r.ctx(), r.who, at, k)
	e, ok := asTaskError(err)
	if !ok {
		return err
	}
	switch {
	case e.Code == control.CodeSourceKeys, strings.HasPrefix(e.Code, "STORE_") && e.Kind == task.Invalid:
		return &task.Error{Kind: task.Invalid, Code: code, Text: "bucket " + at.Bucket + ": " + e.Text, Next: e.Next, Err: err}
	case e.Code == "STORE_UNAVAILABLE" || e.Code == "STORE_TIMEOUT":
		return &task.Error{Kind: task.Invalid, Code: code, Text: "bucket " + at.Bucket + " cannot be reached", Next: "check that its store is up", Err: err}
	}
	return err
}

// reachAll asks whether a task that is to be started can be worked on with what came for it.
func (a *API) reachAll(r *request, k task.Task, keys *control.Given) error {
	if err := a.reach(r, k.Source, keys.Source, codeSource); err != nil {
		return err
	}
	if err := a.reachCDN(r, k.Source, keys.Source, control.SourceCDN{CDN: k.Options.SourceCDN, Key: keys.CDNKey}); err != nil {
		return err
	}
	return a.reach(r, k.Destination, keys.Destination, codeDestination)
}

// taskName is the name that other dialects show: as OMS names its batches.
func (a *API) taskName(n *newTask) string {
	at := a.now().UTC()
	short := func(s string) string { return firstCharacters(s, 63) }
	return fmt.Sprintf("%s-%s-%s%03d-%s", short(n.SrcBucket), short(n.DstBucket), at.Format("20060102150405"), at.Nanosecond()/int(time.Millisecond), string(task.NewID())[:8])
}

// allTasks returns the tasks of the caller's project, oldest first. They are tens.
func (a *API) allTasks(ctx context.Context, who control.Caller) (all []task.Task, err error) {
	const page = 1000
	for after := task.ID(""); ; {
		ks, err := a.control.Tasks(ctx, who, after, page)
		if err != nil {
			return nil, err
		}
		all = append(all, ks...)
		if len(ks) < page {
			return all, nil
		}
		after = ks[page-1].ID
	}
}

// listTasks returns a page of tasks, newest first. offset counts tasks, not pages.
func (a *API) listTasks(r *request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	limit, err := number(q, "limit", 10, 1, 100, codeLimit)
	if err != nil {
		return err
	}
	offset, err := number(q, "offset", 0, 0, 10_000, codeLimit)
	if err != nil {
		return err
	}
	status := q.Get("status")
	if status != "" && status != "SYNCHRONIZING" && status != "STOPPED" {
		return invalid(codeState, "use SYNCHRONIZING or STOPPED, or leave it out", "status has an unknown value")
	}
	all, err := a.allTasks(r.ctx(), r.who)
	if err != nil {
		return err
	}
	names, err := a.aliases(r)
	if err != nil {
		return err
	}
	slices.Reverse(all)
	slices.SortStableFunc(all, func(x, y task.Task) int { return y.CreatedAt.Compare(x.CreatedAt) })
	out := taskPage{Tasks: []listedTask{}}
	for _, k := range all {
		if status != "" && state(k.State) != status {
			continue
		}
		if out.Count >= offset && int64(len(out.Tasks)) < limit {
			out.Tasks = append(out.Tasks, listedTask{taskOf(k, names), cdnOf(k)})
		}
		out.Count++
	}
	writeJSON(r.w, http.StatusOK, out)
	return nil
}

// task finds the task of the path. A name is no id here.
func (a *API) task(r *request) (task.Task, error) {
	if !task.ID(r.path.id).Valid() {
		return task.Task{}, errNoTask
	}
	return a.control.Task(r.ctx(), r.who, r.path.id)
}

var errNoTask = &task.Error{Kind: task.NotFound, Code: "TASK_NOT_FOUND", Text: "no resources found: there is no such synchronization task"}

// showTask returns a task with the counts of one month.
func (a *API) showTask(r *request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	k, err := a.task(r)
	if err != nil {
		return err
	}
	at, err := millis(q, "query_time")
	if err != nil {
		return err
	}
	// What scans found is counted elsewhere: these are objects in requests.
	month, err := a.control.Month(r.ctx(), r.who, string(k.ID), time.UnixMilli(at), true)
	if err != nil {
		return err
	}
	names, err := a.aliases(r)
	if err != nil {
		return err
	}
	writeJSON(r.w, http.StatusOK, shownTask{
		syncTask: taskOf(k, names), MonthlyAcceptanceRequest: month.Counts.Requested, MonthlySuccessObject: month.Counts.Synced,
		MonthlyFailureObject: month.Counts.Failed, MonthlySkipObject: month.Counts.Ignored, MonthlySize: month.Counts.Bytes,
	})
	return nil
}

// startTask starts a stopped task with the keys that come with the request.
func (a *API) startTask(r *request) error {
	var n startTask
	if err := decode(r.body, &n); err != nil {
		return err
	}
	if err := checkTexts(
		text{"src_ak", n.SrcAK, true, 100}, text{"src_sk", n.SrcSK, true, 100},
		text{"dst_ak", n.DstAK, true, 100}, text{"dst_sk", n.DstSK, true, 100},
		text{"source_cdn_authentication_key", n.SourceCDNKey, false, 255}, text{"source_cdn_kms_key_id", n.SourceCDNKMSKeyID, false, 36},
	); err != nil {
		return err
	}
	if err := n.check(); err != nil {
		return err
	}
	if err := checkCrypto(text{name: "source_cdn_crypto_type", value: n.SourceCDNCryptoType}); err != nil {
		return err
	}
	keys := given(n.SrcAK, n.SrcSK, n.DstAK, n.DstSK)
	keys.CDNKey = secret.New(n.SourceCDNKey)
	k, err := a.task(r)
	if err == nil && k.State == task.Stopped {
		err = a.reachAll(r, k, keys)
	}
	if err != nil {
		return err
	}
	_, err = a.control.StartTaskGiven(r.ctx(), r.who, r.path.id, *keys)
	return a.moved(r, err, control.CodeRunning, codeStarted, "the task has already been started")
}

// stopTask stops a task. When it answers, the task is stopped.
func (a *API) stopTask(r *request) error {
	if !task.ID(r.path.id).Valid() {
		return errNoTask
	}
	_, err := a.control.StopTaskForgetting(r.ctx(), r.who, r.path.id)
	return a.moved(r, err, control.CodeNotRunning, codeNotStarted, "failed to pause the task: the task is not in progress")
}

// deleteTask deletes a stopped task.
func (a *API) deleteTask(r *request) error {
	if !task.ID(r.path.id).Valid() {
		return errNoTask
	}
	err := a.control.DeleteTask(r.ctx(), r.who, r.path.id)
	return a.moved(r, err, control.CodeRunning, control.CodeRunning, "the task is in progress and cannot be deleted; stop it first")
}

// moved answers a change of state: refusal is the code of the state that refuses it.
func (a *API) moved(r *request, err error, refusal, code, text string) error {
	var e *task.Error
	if errors.As(err, &e) && e.Kind == task.Conflict && e.Code == refusal {
		return &task.Error{Kind: task.Conflict, Code: code, Text: text}
	}
	if err == nil {
		writeNothing(r.w)
	}
	return err
}
