package s3fault

import (
	"bytes"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
)

// Kind is how a request is broken.
type Kind uint8

// The kinds of faults.
const (
	Answer    Kind = iota // Status and Code instead of doing anything
	SlowDown              // 503 SlowDown, Retry-After: 1
	Reset                 // the connection is reset before anything is done
	LostReply             // it is done, and the connection is reset before the answer
	Torn                  // the answer's body ends after half of it
	Errors200             // 200 with an Error document of Code in it
	Early                 // like Answer, before the request's body is read
)

// Fault breaks requests. Op is the server's name of a request: list, list-buckets, get, head,
// put, delete, delete-many, copy, create, put-part, copy-part, list-parts,
// complete, abort, tags, set-tags, restore.
type Fault struct {
	Op   string // "" is any
	Key  string // "" is any
	Skip int    // requests let through first
	Runs int    // requests broken; 0 means 1, negative all

	Kind   Kind
	Status int
	Code   string
	// Message is the text of the Error document; "" repeats the code.
	Message string
	// NoBody leaves the Error document out.
	NoBody bool
}

// Inject adds a fault. Of several that fit a request the oldest is used.
func (s *Server) Inject(f Fault) {
	if f.Runs == 0 {
		f.Runs = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Clear takes all faults back.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// fault returns the fault for a request, nil when it is to be served well.
func (s *Server) fault(op, key string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		switch {
		case f.Op != "" && f.Op != op, f.Key != "" && f.Key != key, f.Runs == 0:
		case f.Skip > 0:
			f.Skip--
		default:
			if f.Runs > 0 {
				f.Runs--
			}
			return f
		}
	}
	return nil
}

// broken answers a request as the fault says. do serves it well.
func (f *Fault) broken(w http.ResponseWriter, r *http.Request, do func(http.ResponseWriter)) (status int) {
	switch f.Kind {
	case SlowDown:
		w.Header().Set("Retry-After", "1")
		return refuse(w, r, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	case Reset:
		reset(w)
	case LostReply:
		do(httptest.NewRecorder())
		reset(w)
	case Torn:
		return tear(w, do)
	case Errors200:
		return refuse(w, r, http.StatusOK, f.Code, f.Message)
	case Answer, Early:
		if f.NoBody {
			w.WriteHeader(f.Status)
			return f.Status
		}
		return refuse(w, r, f.Status, f.Code, f.Message)
	}
	return 0
}

// reset ends the connection without an answer.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// tear serves a request and ends the connection in the middle of the answer's body.
func tear(w http.ResponseWriter, do func(http.ResponseWriter)) int {
	whole := httptest.NewRecorder()
	do(whole)
	maps.Copy(w.Header(), whole.Header())
	body := whole.Body.Bytes()
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(whole.Code)
	_, _ = w.Write(bytes.Clone(body[:len(body)/2]))
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
