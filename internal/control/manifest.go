package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// ManifestFormat is how a manifest names keys.
type ManifestFormat string

// The formats. Keys stand as they are: nothing is decoded but the format itself.
const (
	// ManifestCSV: the key is the field under the header "key" when the first line has
	// one, else the first field of each line (RFC 4180). Keys need be no UTF-8.
	ManifestCSV ManifestFormat = "csv"
	// ManifestJSONL: each line is a JSON string, or an object with key, or key_base64 for
	// keys that are no UTF-8.
	ManifestJSONL ManifestFormat = "jsonl"
)

// maxManifestLine bounds a line of a manifest in memory.
const maxManifestLine = 64 << 10

// StartManifest opens a job of the keys that r names and reads it to its end, in constant
// memory. A line that cannot be read, or an end of ctx, cancels the job: what has been
// accepted and not been worked on by then ends ignored CANCELLED. The job is returned
// beside such an error too.
func (c *Control) StartManifest(ctx context.Context, who Caller, ref string, format ManifestFormat, r io.Reader) (task.Job, error) {
	if err := who.may(mayOperate); err != nil {
		return task.Job{}, err
	}
	var keys iter.Seq2[string, error]
	switch format {
	case ManifestCSV:
		keys = csvKeys(r)
	case ManifestJSONL:
		keys = jsonKeys(r)
	default:
		return task.Job{}, invalid("BAD_MANIFEST_FORMAT", "a manifest is csv or jsonl", "say which")
	}
	k, err := c.task(ctx, who, ref)
	if err != nil {
		return task.Job{}, err
	}
	job, err := c.store.StartJob(ctx, queue.JobStart{Task: k.ID, Kind: task.ManifestJob}, who.Actor)
	if err != nil {
		return task.Job{}, err
	}
	err = c.feed(ctx, k, job.ID, keys)
	finish := context.WithoutCancel(ctx)
	if err != nil {
		err = errors.Join(err, c.store.CancelJob(finish, job.ID, "the manifest could not be read to its end", who.Actor))
	} else {
		err = c.store.CloseJob(finish, job.ID)
	}
	now, readErr := c.store.Job(finish, job.ID)
	if readErr == nil {
		job = now
	}
	return job, errors.Join(err, readErr)
}

// feed accepts the keys of a manifest in batches.
func (c *Control) feed(ctx context.Context, k task.Task, job task.JobID, keys iter.Seq2[string, error]) error {
	batch := make([]Event, 0, task.MaxBatchKeys)
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		defer func() { batch = make([]Event, 0, task.MaxBatchKeys) }() // the acceptor may hold the old one
		return c.acceptPatiently(ctx, k, job, batch)
	}
	line := 0
	for key, err := range keys {
		line++
		if err == nil {
			err = task.CheckKey(key)
		}
		if err != nil {
			return manifestError(line, err)
		}
		if batch = append(batch, Event{Key: key}); len(batch) == task.MaxBatchKeys {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func manifestError(line int, err error) error {
	var e *task.Error
	if errors.As(err, &e) && e.Kind != task.Invalid || errors.Is(err, context.Canceled) {
		return err
	}
	return &task.Error{
		Kind: task.Invalid, Code: "BAD_MANIFEST", Text: fmt.Sprintf("key %d of the manifest: %v", line, err),
		Next: "mend it and send the whole manifest again; keys that are in step cost little",
	}
}

// queueWait is how long a manifest waits for a full queue between attempts.
const queueWait = 100 * time.Millisecond

// acceptPatiently accepts a batch; a manifest waits where an event is refused.
func (c *Control) acceptPatiently(ctx context.Context, k task.Task, job task.JobID, batch []Event) error {
	for {
		_, err := c.accept(ctx, k, job, batch)
		var e *task.Error
		if !errors.As(err, &e) || e.Code != "QUEUE_FULL" {
			return err
		}
		pause := time.NewTimer(queueWait)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

func csvKeys(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		line := &lineLimit{r: r}
		in := csv.NewReader(line)
		in.FieldsPerRecord, in.ReuseRecord = -1, true
		column, first := 0, true
		for {
			line.read = 0
			record, err := in.Read()
			if errors.Is(err, io.EOF) {
				return
			}
			if err == nil && first {
				first = false
				if i, ok := keyColumn(record); ok {
					column = i
					continue
				}
			}
			if err == nil && column >= len(record) {
				err = errors.New("the line has no key")
			}
			if err != nil {
				yield("", err)
				return
			}
			if !yield(string([]byte(record[column])), nil) {
				return
			}
		}
	}
}

// lineLimit fails when more is read for one line than a line may have: a quote that is not
// closed would take all that follows into memory.
type lineLimit struct {
	r    io.Reader
	read int
}

func (l *lineLimit) Read(p []byte) (int, error) {
	if l.read > maxManifestLine {
		return 0, errors.New("the line is too long, or a quote in it is not closed")
	}
	n, err := l.r.Read(p)
	l.read += n
	return n, err
}

// keyColumn finds the header "key".
func keyColumn(record []string) (int, bool) {
	for i, name := range record {
		if name == "key" || name == "Key" || i == 0 && name == "\ufeffkey" {
			return i, true
		}
	}
	return 0, false
}

func jsonKeys(r io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		in := bufio.NewScanner(r)
		in.Buffer(make([]byte, 4096), maxManifestLine)
		for in.Scan() {
			line := bytes.TrimSpace(in.Bytes())
			if len(line) == 0 {
				continue
			}
			key, err := jsonKey(line)
			if !yield(key, err) || err != nil {
				return
			}
		}
		if err := in.Err(); err != nil {
			yield("", err)
		}
	}
}

// jsonKey reads a line of JSONL.
func jsonKey(line []byte) (string, error) {
	if err := CheckJSON(line); err != nil {
		return "", err
	}
	if line[0] == '"' {
		var key string
		err := json.Unmarshal(line, &key)
		return key, err
	}
	var o struct {
		Key    string  `json:"key"`
		Base64 *string `json:"key_base64"`
	}
	if err := json.Unmarshal(line, &o); err != nil || o.Base64 == nil {
		return o.Key, err
	}
	if o.Key != "" {
		return "", errors.New("key and key_base64 are both given")
	}
	key, err := base64.StdEncoding.DecodeString(*o.Base64)
	return string(key), err
}

var errJSONText = errors.New("the JSON holds bytes that are no UTF-8, or half of a surrogate pair; give such keys as key_base64")

// CheckJSON refuses text that encoding/json would read with U+FFFD in place of what it
// says: bytes that are no UTF-8, and escapes of single surrogates. A key must not become
// another key.
func CheckJSON(text []byte) error {
	if !utf8.Valid(text) {
		return errJSONText
	}
	for rest := text; ; {
		i := bytes.IndexByte(rest, '\\')
		if i < 0 || i+1 >= len(rest) {
			return nil
		}
		escape := rest[i:]
		if escape[1] != 'u' || len(escape) < 6 {
			rest = escape[2:]
			continue
		}
		switch surrogate(escape) {
		case highSurrogate:
			if len(escape) < 12 || surrogate(escape[6:]) != lowSurrogate {
				return errJSONText
			}
			rest = escape[12:]
		case lowSurrogate:
			return errJSONText
		default:
			rest = escape[6:]
		}
	}
}

const (
	noSurrogate = iota
	highSurrogate
	lowSurrogate
)

// surrogate says what an escape of six bytes at the beginning of b is.
func surrogate(b []byte) int {
	if b[0] != '\\' || b[1] != 'u' || b[2]|0x20 != 'd' {
		return noSurrogate
	}
	switch b[3] | 0x20 {
	case '8', '9', 'a', 'b':
		return highSurrogate
	case 'c', 'd', 'e', 'f':
		return lowSurrogate
	}
	return noSurrogate
}
