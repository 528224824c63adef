package app

import (
	"errors"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/worker"
)

// A domain is asked for again when a task is opened, on the node that opens it; a stopped
// task needs none for its lists.
func TestDomainOfATask(t *testing.T) {
	t.Parallel()
	box, err := secret.NewBox(secret.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	r := newRegistry(nil, box, nil)
	src, e := mem.New("source"), &openEndpoint{row: task.Endpoint{ID: "e", Provider: "mem"}}
	open := func(state task.State, via task.CDN) (objstore.Bucket, error) {
		return r.throughCDN(task.Task{ID: task.NewID(), State: state, Options: task.Options{SourceCDN: via}}, e, src)
	}
	via := task.CDN{Protocol: "https", Domain: "cdn.example.com"}
	refused := func(what string, via task.CDN) {
		t.Helper()
		_, err := open(task.Active, via)
		if _, ok := errors.AsType[*worker.RefusedError](err); !ok || !errors.Is(err, objstore.ErrDenied) {
			t.Errorf("%s: %v", what, err)
		}
		if b, err := open(task.Stopped, via); err != nil || b != objstore.Bucket(src) {
			t.Errorf("%s, stopped: %v, %v", what, b, err)
		}
	}
	refused("not on the list", via)
	r.hosts = control.Hosts{"*.example.com"}
	b, err := open(task.Active, via)
	if err != nil || b.Identity().Service == src.Identity().Service {
		t.Errorf("on the list: %v, %v", b, err)
	}
	if b, err := open(task.Active, task.CDN{}); err != nil || b != objstore.Bucket(src) {
		t.Errorf("none: %v, %v", b, err)
	}
	via.Authentication = task.AliyunB
	refused("without its key", via)
	via.Authentication = task.QiniuPrivate
	refused("without a pair", via)
	if one, two := r.domainAt("https://cdn.example.com"), r.domainAt("https://cdn.example.com"); one != two {
		t.Error("tasks do not share a domain")
	}
}
