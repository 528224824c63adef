package elastic

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/history"
)

// params are the query of a request.
type params struct{ values url.Values }

// common are the parameters that every call takes.
var common = []string{"pretty", "human", "error_trace", "filter_path", "format"}

// readParams reads a query and refuses what the call does not take.
func readParams(r *http.Request, takes []string) (params, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return params{}, illegalArgument("the query of the request cannot be read")
	}
	var unknown []string
	for name, all := range values {
		if slices.ContainsFunc(all, func(v string) bool { return !utf8.ValidString(v) || strings.ContainsRune(v, 0) }) {
			return params{}, illegalArgument("the parameter [%s] is no UTF-8 text, or holds a NUL", strings.ToValidUTF8(name, "\uFFFD"))
		}
		if !slices.Contains(common, name) && !slices.Contains(takes, name) {
			unknown = append(unknown, "["+name+"]")
		}
	}
	if len(unknown) == 0 {
		return params{values}, nil
	}
	slices.Sort(unknown)
	what := "parameter: "
	if len(unknown) > 1 {
		what = "parameters: "
	}
	return params{}, illegalArgument("request [%s] contains unrecognized %s%s", r.URL.EscapedPath(), what, strings.Join(unknown, ", "))
}

// last returns the last value of a parameter, as Elasticsearch takes it.
func (p params) last(name string) (string, bool) {
	v, ok := p.values[name]
	if !ok || len(v) == 0 {
		return "", false
	}
	return v[len(v)-1], true
}

// truth reads a boolean; one without a value is true.
func (p params) truth(name string) (bool, error) {
	v, ok := p.last(name)
	switch {
	case !ok, v == "false":
		return false, nil
	case v == "", v == "true":
		return true, nil
	}
	return false, illegalArgument("Failed to parse value [%s] as only [true] or [false] are allowed.", v)
}

// list reads a list with commas; empty entries are dropped.
func (p params) list(name string) []string {
	v, _ := p.last(name)
	return slices.DeleteFunc(strings.Split(v, ","), func(s string) bool { return s == "" })
}

// whole reads a number that is not negative.
func (p params) whole(name string, otherwise int) (int, error) {
	v, ok := p.last(name)
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.ParseInt(v, 10, 32)
	switch {
	case err != nil:
		return 0, illegalArgument("Failed to parse int parameter [%s] with value [%s]", name, v)
	case n < 0:
		return 0, notValid("[" + name + "] parameter cannot be negative, found [" + v + "]")
	}
	return int(n), nil
}

// page reads from and size.
func (p params) page() (from, size int, err error) {
	if from, err = p.whole("from", 0); err != nil {
		return 0, 0, err
	}
	if size, err = p.whole("size", 100); err != nil {
		return 0, 0, err
	}
	if from+size > maxWindow {
		return 0, 0, illegalArgument("Result window is too large, from + size must be less than or equal to: [%d] but was [%d].", maxWindow, from+size)
	}
	return from, size, nil
}

// maxWindow is how deep a list can be paged into.
const maxWindow = history.MaxConnectorRow

// format says how a request wants its answer.
type format struct {
	mediaType string
	pretty    bool
	paths     []string // filter_path
	action    string   // what was asked, and by whom, for a refusal
	user      string
}

const vendorType = "application/vnd.elasticsearch+json"

// version returns the compatible-with of a vendor media type; without one it is the
// newest.
func version(header string) (n string, vendor bool) {
	for part := range strings.SplitSeq(header, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err == nil && media == vendorType {
			return cmp.Or(params["compatible-with"], "9"), true
		}
	}
	return "", false
}

// formatOf mirrors the media type that the client accepts.
func formatOf(r *http.Request) format {
	f := format{mediaType: "application/json"}
	if n, vendor := version(r.Header.Get("Accept")); vendor && (n == "8" || n == "9") {
		f.mediaType = vendorType + ";compatible-with=" + n
	}
	return f
}

// params reads what the query says of the answer.
func (f *format) params(p params) (err error) {
	if f.pretty, err = p.truth("pretty"); err != nil {
		return err
	}
	for _, name := range []string{"human", "error_trace"} {
		if _, err := p.truth(name); err != nil {
			return err
		}
	}
	if v, ok := p.last("format"); ok && v != "json" {
		return illegalArgument("the answer cannot be of format [%s]; it is json", v)
	}
	f.paths = p.list("filter_path")
	for _, path := range f.paths {
		// Each ** multiplies the ways to read a path.
		if strings.Count(path, "**") > 2 || len(f.paths) > 64 {
			return illegalArgument("[filter_path] is too complex")
		}
	}
	return nil
}

// media refuses media types that are not spoken here.
func (f *format) media(r *http.Request, body bool) error {
	for _, h := range []string{"Accept", "Content-Type"} {
		if n, vendor := version(r.Header.Get(h)); vendor && n != "8" && n != "9" {
			return &exception{
				status: http.StatusBadRequest, kind: "media_type_header_exception",
				reason: h + " version must be 8 or 9, but found " + strconv.Quote(n),
			}
		}
	}
	if !body {
		return nil
	}
	header := r.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(header); err == nil && (media == "application/json" || media == vendorType) {
		return nil
	}
	return &exception{
		status: http.StatusNotAcceptable, kind: "media_type_header_exception",
		reason: "Content-Type header [" + header + "] is not supported",
	}
}

func isTooLarge(err error) bool {
	var too *http.MaxBytesError
	return errors.As(err, &too)
}

// maxPretty is how long an answer may be, in bytes, that is indented: that makes a deep one
// a hundred times as long.
const maxPretty = 1 << 20

// encode writes the body of an answer, or what filter_path keeps of it.
func (f *format) encode(body any) ([]byte, error) {
	if p, ok := body.(page); ok {
		return p.encode(f.paths)
	}
	raw, err := encode(body)
	if err == nil && len(f.paths) > 0 {
		raw, err = filterPaths(raw, f.paths)
	}
	return raw, err
}

// write sends an answer.
func (f *format) write(w http.ResponseWriter, a answer) {
	raw, err := f.encode(a.body)
	if err != nil { // documents are made of what was decoded: they encode
		a.status, raw = http.StatusInternalServerError, []byte(`{"error":{"type":"exception","reason":"the answer cannot be written"},"status":500}`)
	}
	if f.pretty && len(raw) <= maxPretty {
		var b bytes.Buffer
		if json.Indent(&b, raw, "", "  ") == nil {
			b.WriteByte('\n')
			raw = b.Bytes()
		}
	}
	w.Header().Set("Content-Type", f.mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(a.status)
	_, _ = w.Write(raw) // the client went away
}

// encode writes JSON with < > & as they are.
func encode(v any) ([]byte, error) {
	if raw, ok := v.(json.RawMessage); ok {
		return raw, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
