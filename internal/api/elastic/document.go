package elastic

import (
	"bytes"
	"encoding/json"
	"maps"
	"time"
)

// document is what is kept of a connector or a sync job: JSON as its clients read it,
// without the id. Fields that were never set are absent.
type document map[string]any

func decodeDocument(raw []byte) (document, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var d document
	err := dec.Decode(&d)
	return d, err
}

// withID is a stored document as it is answered. It is spliced, since a page of a list
// would spend its time on decoding.
func withID(id string, raw []byte) (json.RawMessage, error) {
	quoted, err := encode(id)
	if err != nil {
		return nil, err
	}
	out := append([]byte(`{"id":`), quoted...)
	if len(raw) > 2 {
		out = append(out, ',')
	}
	return append(out, raw[1:]...), nil
}

// merge makes an update as Elasticsearch does: objects merge, everything else is replaced.
func (d document) merge(with map[string]any) {
	for name, v := range with {
		to, old := d[name].(map[string]any)
		from, now := v.(map[string]any)
		if !old || !now {
			d[name] = v
			continue
		}
		merged := document(maps.Clone(to))
		merged.merge(from)
		d[name] = map[string]any(merged)
	}
}

// maxDocument is how large updates may make a document, in bytes: objects merge, so that a
// cursor could grow for ever.
const maxDocument = MaxBody

// checkGrowth refuses an update that makes a document larger than that.
func checkGrowth(before, after []byte) error {
	if n := len(after); n > maxDocument && n > len(before) {
		return illegalArgument("the document would have [%d] bytes; at most [%d] are kept", n, maxDocument)
	}
	return nil
}

// text returns the text of a field, empty when it has none.
func (d document) text(name string) string {
	s, _ := d[name].(string)
	return s
}

// object returns an object within, nil when there is none.
func (d document) object(name string) document {
	m, _ := d[name].(map[string]any)
	return m
}

// first returns the first of the objects in an array, nil when there is none.
func (d document) first(name string) document {
	all, _ := d[name].([]any)
	if len(all) == 0 {
		return nil
	}
	m, _ := all[0].(map[string]any)
	return m
}

// nextSeen returns now, or the first moment after the document's last_seen: it never stands
// still, since clients compare it. A time that a client told far ahead of now is no reason
// to go on from there.
func (d document) nextSeen(now time.Time) time.Time {
	now = now.UTC().Truncate(time.Microsecond)
	if t, ok := parseDate(d.text("last_seen")); ok && !now.After(t) && t.Sub(now) < time.Second {
		return t.Add(time.Microsecond).Truncate(time.Microsecond)
	}
	return now
}
