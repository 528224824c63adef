package file

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"iter"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore"
)

// List walks the tree in the order of the keys. It holds the wanted names of
// the directories on the way to where it is; those of a huge directory wait in
// sorted runs on disk, so memory does not grow with the number of objects.
// Directories outside of the range are not read, and only what goes into a page
// is looked at. A file that vanishes meanwhile is left out. A directory that
// cannot be read ends the listing with an error: an incomplete listing never
// looks complete.
func (b *Bucket) List(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
	return func(yield func(objstore.Page, error) bool) {
		l := &lister{b: b, ctx: ctx, page: newPage(opt.PageSize), yield: yield}
		defer l.close()
		err := l.start(opt)
		if err == nil {
			err = l.walk()
		}
		if err == nil {
			// A bucket that has vanished looks empty.
			err = b.alive("list")
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(objstore.Page{}, translate("list", "", err))
		}
	}
}

// errStopped: the receiver wants no more pages.
var errStopped = errors.New("listing stopped by its receiver")

// lister is one listing.
type lister struct {
	b     *Bucket
	ctx   context.Context //nolint:containedctx // lives as long as the call it came with
	yield func(objstore.Page, error) bool
	page  page
	stack []*level
	spare []*level // ended ones, for their memory
	held  int      // bytes of names in memory
	buf   []byte   // for reading directories
}

// level is a directory being listed.
type level struct {
	dir
	prefix string // of its keys: "" or ending in a slash
	window window
	names  names
	held   int
}

// start opens the directory that holds all keys with the prefix.
func (l *lister) start(opt objstore.ListOptions) error {
	all := window{after: opt.After, until: opt.Until, prefix: opt.Prefix, bounded: opt.Until != ""}
	prefix := opt.Prefix[:strings.LastIndexByte(opt.Prefix, '/')+1]
	if prefix == "" {
		at, err := l.b.root.open(".")
		if err != nil {
			return unreadable("", err)
		}
		return l.push(at, "", all)
	}
	path := prefix[:len(prefix)-1]
	if checkKey(path) != "" || !all.dir([]byte(prefix)) {
		return nil // no key can begin so
	}
	parent, name := splitKey(path)
	at, err := l.b.root.walk(parent)
	if err == nil {
		defer at.close()
		err = l.enter(at, name, prefix, all.enter(prefix))
	} else if isAbsent(err) {
		err = nil
	}
	return err
}

// enter pushes the directory name in at, if it is one still.
func (l *lister) enter(at dir, name, prefix string, w window) error {
	sub, err := at.open(name)
	if isAbsent(err) {
		return nil
	}
	if err != nil {
		return unreadable(prefix, err)
	}
	return l.push(sub, prefix, w)
}

// unreadable names the directory that ends a listing: who is to mend it cannot guess which
// of many it is.
func unreadable(prefix string, err error) error {
	return &fs.PathError{Op: "directory", Path: strconv.Quote(cmp.Or(prefix, ".")), Err: err}
}

// push reads the wanted names of a directory and makes it the next to list.
func (l *lister) push(d dir, prefix string, w window) error {
	var top *level
	if n := len(l.spare); n > 0 {
		top, l.spare = l.spare[n-1], l.spare[:n-1]
	} else {
		top = new(level)
	}
	top.dir, top.prefix, top.window = d, prefix, w
	l.stack = append(l.stack, top)
	if l.buf == nil {
		l.buf = make([]byte, direntBuffer)
	}
	limits := l.b.sort
	limit := max(minHeld, (limits.bytes-l.held)/2)
	n := &top.names
	var failed error // of ours, not of the directory
	err := d.readNames(l.ctx, l.buf, func(name []byte, k kind) error {
		if failed = l.take(top, name, k); failed != nil {
			return failed
		}
		if len(n.refs) >= limits.names || n.held() >= limit {
			failed = l.spill(n)
		}
		return failed
	})
	if failed != nil {
		return failed
	}
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist): // removed meanwhile, with all its keys
	case l.ctx.Err() != nil:
		return err
	default:
		return unreadable(prefix, err)
	}
	if n.runs != nil && len(n.refs) > 0 {
		if err := l.spill(n); err != nil {
			return err
		}
	}
	if n.runs != nil {
		n.arena, n.refs = nil, nil // all names are on disk
	}
	n.sort()
	top.held = n.held()
	l.held += top.held
	return nil
}

// take keeps a name if it is asked for.
func (l *lister) take(top *level, name []byte, k kind) error {
	if k == kindUnknown {
		s, err := top.lstat(string(name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		k = s.kind
	}
	if k == kindSpecial || isReserved(string(name)) {
		return nil
	}
	n := &top.names
	n.add(name, k)
	if !top.wants(n) {
		n.dropLast()
	}
	return nil
}

// wants reports whether the name added last is in the window.
func (top *level) wants(n *names) bool {
	r := n.refs[len(n.refs)-1]
	if r.kind == kindDir {
		return top.window.dir(n.name(r))
	}
	return top.window.file(n.name(r))
}

func (n *names) dropLast() {
	r := n.refs[len(n.refs)-1]
	n.refs, n.arena = n.refs[:len(n.refs)-1], n.arena[:r.off]
}

func (l *lister) spill(n *names) error {
	if n.runs == nil {
		r, err := newRuns(l.b.opt.SpillDir, l.b.sort)
		if err != nil {
			return spillError(err)
		}
		n.runs = r
	}
	return spillError(n.runs.spill(n))
}

// spillError says that it is not the bucket that failed.
func spillError(err error) error {
	if err == nil {
		return nil
	}
	return &objstore.Error{
		Kind: objstore.ErrUnavailable, Op: "list", Message: "cannot keep the names of a huge directory in a temporary file", Err: err,
	}
}

// walk lists what was pushed until nothing is left.
func (l *lister) walk() error {
	for len(l.stack) > 0 {
		top := l.stack[len(l.stack)-1]
		name, k, ok, err := top.names.next()
		switch {
		case err != nil:
			return spillError(err)
		case !ok:
			l.pop()
		case k == kindDir:
			sub := string(name)
			err = l.enter(top.dir, sub[:len(sub)-1], top.prefix+sub, top.window.enter(sub))
		default:
			err = l.object(top, name, k)
		}
		if err != nil {
			return err
		}
	}
	return l.flush()
}

// object puts a file, or what a link leads to, into the page.
func (l *lister) object(top *level, name []byte, k kind) error {
	key := l.page.key(top.prefix, name)
	var s state
	var err error
	if k == kindLink {
		s, err = l.b.follow(key)
	} else {
		s, err = top.lstat(key[len(top.prefix):])
	}
	if errors.Is(err, fs.ErrNotExist) || err == nil && s.kind != kindFile {
		return nil // it has gone, or has become something else
	}
	if err != nil {
		return err
	}
	if l.page.add(key, s, l.b.etag) {
		return l.flush()
	}
	return nil
}

// flush yields the page, unless it is empty.
func (l *lister) flush() error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	if len(l.page.objects) > 0 && !l.yield(objstore.Page{Objects: l.page.take()}, nil) {
		return errStopped
	}
	return nil
}

// pop leaves a directory that is done and keeps its memory for others.
func (l *lister) pop() {
	top := l.stack[len(l.stack)-1]
	l.stack = l.stack[:len(l.stack)-1]
	top.close()
	l.held -= top.held
	if cap(top.names.arena) <= minHeld && len(l.spare) < 8 {
		top.names.reset()
		l.spare = append(l.spare, top)
	}
}

func (l *level) close() {
	l.dir.close()
	if l.names.runs != nil {
		l.names.runs.close()
		l.names.runs = nil
	}
}

func (l *lister) close() {
	for len(l.stack) > 0 {
		l.pop()
	}
}
