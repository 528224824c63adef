package native

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"

	"github.com/lockstep-sync/lockstep/internal/control"
)

// storedAnswer is an answer kept under an idempotency key.
type storedAnswer struct {
	Status int         `json:"status"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
}

// once serves a write that has an idempotency key. Answers that say it was done are kept
// and given again, marked Idempotent-Replayed; others leave the key free.
func (a *API) once(w http.ResponseWriter, r *http.Request, c *route, who control.Caller, key string, body []byte) {
	request := append([]byte(r.Method+" "+r.URL.EscapedPath()+"?"+r.URL.RawQuery+"\n"), body...)
	var done *recorder
	answer, replayed, err := a.control.Once(r.Context(), who, key, request, func() ([]byte, bool) {
		done = &recorder{header: http.Header{}}
		c.serve(done, r)
		if done.status/100 != 2 {
			return nil, false
		}
		raw, err := json.Marshal(storedAnswer{done.status, done.header, done.body.Bytes()})
		return raw, err == nil
	})
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	out := storedAnswer{}
	if replayed {
		if err := json.Unmarshal(answer, &out); err != nil {
			a.refuse(w, r, err)
			return
		}
		w.Header().Set("Idempotent-Replayed", "true")
	} else {
		out = storedAnswer{done.status, done.header, done.body.Bytes()}
	}
	maps.Copy(w.Header(), out.Header)
	w.WriteHeader(out.Status)
	_, _ = w.Write(out.Body)
}

// recorder holds an answer back until it is stored.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *recorder) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}
