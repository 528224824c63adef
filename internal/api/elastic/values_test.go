package elastic_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/api/elastic"
)

func TestDates(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"2023-05-25T12:30:00.000Z":            "2023-05-25T12:30:00.000Z",
		"2023-05-25T12:30:00Z":                "2023-05-25T12:30:00.000Z",
		"2023-05-25T12:30:00.123456Z":         "2023-05-25T12:30:00.123456Z",
		"2023-05-25T12:30:00.123456789+02:00": "2023-05-25T10:30:00.123456789Z",
		"2023-05-25T12:30:00,5-0130":          "2023-05-25T14:00:00.500Z",
		"2023-05-25T12:30+02":                 "2023-05-25T10:30:00.000Z",
		"2023-05-25T12":                       "2023-05-25T12:00:00.000Z",
		"2023-05-25T":                         "2023-05-25T00:00:00.000Z",
		"2024-02-29":                          "2024-02-29T00:00:00.000Z",
		"2023-05":                             "2023-05-01T00:00:00.000Z",
		"2023":                                "2023-01-01T00:00:00.000Z",
		"1731165188231":                       "2024-11-09T15:13:08.231Z",
		"1731165188231.5":                     "2024-11-09T15:13:08.231500Z",
		"-1":                                  "1969-12-31T23:59:59.999Z",
		"0":                                   "1970-01-01T00:00:00.000Z",
	} {
		got, ok := elastic.ParseDate(in)
		if !ok || elastic.FormatDate(got) != want {
			t.Errorf("%s: %s, %v, want %s", in, elastic.FormatDate(got), ok, want)
		}
	}
	for _, bad := range []string{
		"", " ", "yesterday", "2023-13-01", "2023-02-29", "2023-5-25", "23-05-25", "2023-05-25 12:30:00Z", "2023-05-25T24:00:00Z", "2023-05-25T12:60:00Z",
		"2023-05-25T12:30:60Z", "2023-05-25T12:30:00.Z", "2023-05-25T12:30:00.1234567890Z", "2023-05-25T12:30:00ZZ", "2023-05-25T12:30:00+2", "2023-05-25T12:30:00+25:00",
		"2023-05-25Z", "+1731165188231", "17e9", "1.", "1.1234567", "99999999999999999", "0000-01-01T00:00:00+01:00", "-", ".5",
	} {
		if got, ok := elastic.ParseDate(bad); ok {
			t.Errorf("%q is %s", bad, got)
		}
	}
}

func TestLongs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{
		"0": 0, "42": 42, "-7": -7, "+7": 7, "2.9": 2, "-2.9": -2, ".5": 0, "5.": 5, "1e3": 1000, "1.5E1": 15, "1e-400": 0,
		"9223372036854775807": 1<<63 - 1, "-9223372036854775808": -1 << 63, "9007199254740993.5": 9007199254740993, "007": 7,
		"9007199254740993e0": 9007199254740993, "90071992547409931e-1": 9007199254740993, "9.223372036854775807E+18": 1<<63 - 1, "-0.00012e4": -1,
		"0e999999999999999999999": 0, "1e-999999999999999999999": 0, "100e-2": 1, "12e-2": 0,
	} {
		if got, why := elastic.ParseLong(in); why != "" || got != want {
			t.Errorf("%s: %d %s, want %d", in, got, why, want)
		}
	}
	for in, want := range map[string]string{
		"9223372036854775808": "illegal_argument_exception", "9223372036854775808e0": "illegal_argument_exception", "1e999999999999999999999": "illegal_argument_exception",
		"0.1e999": "illegal_argument_exception", "-9223372036854775809e0": "illegal_argument_exception", "1e5.5": "number_format_exception", "1e19": "illegal_argument_exception", "1e999999999": "illegal_argument_exception",
		"": "number_format_exception", "many": "number_format_exception", "--1": "number_format_exception", "0x10": "number_format_exception",
		"1_0": "number_format_exception", "NaN": "number_format_exception", "inf": "number_format_exception", "1e": "number_format_exception",
		" 1": "number_format_exception", "1e5e5": "number_format_exception", ".": "number_format_exception", "1e+-5": "number_format_exception",
	} {
		if got, why := elastic.ParseLong(in); why != want {
			t.Errorf("%q: %d %q, want %s", in, got, why, want)
		}
	}
}

func TestCron(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"0 0 * * * ?":              time.Hour,
		"0 0/15 * * * ?":           15 * time.Minute,
		"0 0 0 * * ?":              24 * time.Hour,
		"0 30 1,13 ? * *":          12 * time.Hour,
		"0 0 9 ? * MON-FRI":        72 * time.Hour,
		"0 0 9 ? * FRI-MON":        4 * 24 * time.Hour,
		"0 0 9 1 * ? 2026-2199":    30 * 24 * time.Hour,
		"0 0 12 L * ?":             31 * 24 * time.Hour,
		"0 0 12 ? * 6#3":           31 * 24 * time.Hour,
		"0 0 12 15W JAN-DEC/1 ? *": 31 * 24 * time.Hour,
		"0 0 0 ? * sun":            7 * 24 * time.Hour,
	} {
		if got, err := elastic.CronEvery(in, at); err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", in, got, err, want)
		}
	}
	for _, bad := range []string{
		"", "* * *", "0 0 * * *", "61 0 0 * * ?", "0 0 24 * * ?", "0 0 0 32 * ?", "0 0 0 * 13 ?", "0 0 0 ? * 8", "0 0 0 * * *", "0 0 0 ? * ?", "a 0 0 * * ?",
		"0 0/0 * * * ?", "0 0 0 * * ? 1969", "0 0 0 * * ? 2026 5", "0 -5 0 * * ?", "0 , 0 * * ?", "0 0 0 32W * ?", "0 0 0 ? * MON#6", "0 0 0 L-31 * ?",
		"0 0 0 " + strings.Repeat("1,", 1000) + "1 * ?",
	} {
		if got, err := elastic.CronEvery(bad, at); err == nil {
			t.Errorf("%q is every %v", bad, got)
		}
	}
	for in, want := range map[string]string{
		"0 3 * * *": "0 0 3 * * ?", "*/5 * * * *": "0 */5 * * * ?", "0 9 * * 1-5": "0 0 9 ? * 2-6", "0 9 * * 0": "0 0 9 ? * 1", "0 9 * * 7": "0 0 9 ? * 1",
		"0 9 * * sun": "0 0 9 ? * SUN", "0 9 1 jan *": "0 0 9 1 JAN ?",
	} {
		if got, ok := elastic.Quartz(in); !ok || got != want {
			t.Errorf("%s: %q %v, want %q", in, got, ok, want)
		}
	}
	for _, bad := range []string{"", "0 9 1 * 1", "@daily", "0 0 9 * * *"} {
		if got, ok := elastic.Quartz(bad); ok {
			t.Errorf("%q is %q", bad, got)
		}
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s, pattern string
		want       bool
	}{
		{"google-drive", "drive", true},
		{"google-drive", "Drive", false},
		{"google-drive", "g*e", true},
		{"google-drive", "g?r", false},
		{"google-drive", "d?ive", true},
		{"", "", true},
		{"", "a", false},
		{"a", "", true},
		{"aab", "*ab*b", false},
		{"aabab", "ab*b", true},
		{"abc", "***", true},
	} {
		if got := elastic.Contains(c.s, c.pattern); got != c.want {
			t.Errorf("%q in %q: %v", c.pattern, c.s, got)
		}
	}
	if elastic.Contains(strings.Repeat("a", 20_000), strings.Repeat("*a", 500)+"b") { // in time
		t.Error("found what is not there")
	}
}

func TestFilterPath(t *testing.T) {
	t.Parallel()
	const doc = `{"count":2,"results":[{"id":"a","f":{"g":1,"h":{}}},{"id":"b"}],"e":[]}`
	for paths, want := range map[string]string{
		"count":         `{"count":2}`,
		"results.id":    `{"results":[{"id":"a"},{"id":"b"}]}`,
		"results":       `{"results":[{"f":{"g":1,"h":{}},"id":"a"},{"id":"b"}]}`,
		"*.f.g":         `{"results":[{"f":{"g":1}}]}`,
		"**.g":          `{"results":[{"f":{"g":1}}]}`,
		"r*.i*,e":       `{"e":[],"results":[{"id":"a"},{"id":"b"}]}`,
		"-results,-e":   `{"count":2}`,
		"results,-**.f": `{"results":[{"id":"a"},{"id":"b"}]}`,
		"nothing":       `{}`,
		"count.deeper":  `{}`,
		"results.f.h":   `{"results":[{"f":{"h":{}}}]}`,
	} {
		got, err := elastic.FilterPaths([]byte(doc), strings.Split(paths, ","))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v, want %s", paths, got, err, want)
		}
	}
}

// What a fuzzed body is read as may be stored: it has known fields alone, dates that read
// back, states in lower case and whole numbers.
func FuzzLastSync(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"last_sync_status":"COMPLETED","last_synced":"2024-11-09T17:13:08.231456+0200"}`, `{"last_indexed_document_count":"43","last_deleted_document_count":2.9}`,
		`{"sync_cursor":{"a":[1,{"b":null}]}}`, `{"last_sync_error":null}`, `{"last_sync_error":"\ud800"}`, "{\"last_sync_error\":\"\xff\"}", `[[[[`, `{"a":1,"a":2}`, `{"last_synced":"1e5"}`,
		strings.Repeat("[", 1000), `{"last_sync_error":"a"}}`, `{},`, `{}:`, `{"last_sync_error" "a"}`, `{1:2}`, "\ufeff{}", `{"last_indexed_document_count":1e400}`,
	} {
		f.Add([]byte(s))
	}
	states := []string{"canceling", "canceled", "completed", "error", "in_progress", "pending", "suspended"}
	f.Fuzz(func(t *testing.T, body []byte) {
		set, err := elastic.ReadLastSync(body)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("a refusal without a reason")
			}
			return
		}
		if !json.Valid(body) {
			t.Fatalf("%q is no JSON and was read", body)
		}
		for name, v := range set {
			s, _ := v.(string)
			switch {
			case strings.HasSuffix(name, "_status"):
				if !slices.Contains(states, s) {
					t.Fatalf("%s is %v", name, v)
				}
			case strings.HasSuffix(name, "_at"), name == "last_synced":
				if at, ok := elastic.ParseDate(s); !ok || elastic.FormatDate(at) != s {
					t.Fatalf("%s is %v", name, v)
				}
			case strings.HasSuffix(name, "_count"):
				if _, err := v.(json.Number).Int64(); err != nil {
					t.Fatalf("%s is %v", name, v)
				}
			}
		}
		if _, err := json.Marshal(set); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDates(f *testing.F) {
	for _, s := range []string{"2023-05-25T12:30:00.123456789+02:00", "1731165188231.5", "-1", "2023", "2024-02-29T", "9999-12-31T23:59:59.999-18:00", "0000-01-01T00:00:00+18:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, ok := elastic.ParseDate(s)
		if !ok {
			return
		}
		text := elastic.FormatDate(at)
		if again, ok := elastic.ParseDate(text); !ok || !again.Equal(at) || !strings.HasSuffix(text, "Z") || len(text) < 24 {
			t.Fatalf("%q is %s is %s", s, text, again)
		}
	})
}

func FuzzCron(f *testing.F) {
	for _, s := range []string{"0 0 0 * * ?", "0 0/15 9-17 ? * MON-FRI 2026", "0 0 12 LW * ?", "59/1 * * L-3,15W * ?", "0 0 0 ? * FRI#2"} {
		f.Add(s)
	}
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if every, err := elastic.CronEvery(s, at); err == nil && (every < 0 || every > 70*24*time.Hour) {
			t.Fatalf("%q is every %v", s, every)
		}
	})
}

func FuzzFilterPath(f *testing.F) {
	f.Add(`{"a":{"b":[1,{"c":2}]}}`, "a.b.c,-**.d,*.x")
	f.Add(`[]`, "**")
	f.Fuzz(func(t *testing.T, doc, paths string) {
		if strings.Count(paths, "**") > 2 || len(paths) > 200 || len(doc) > 1000 {
			return
		}
		if out, err := elastic.FilterPaths([]byte(doc), strings.Split(paths, ",")); err == nil && !json.Valid(out) {
			t.Fatalf("%s of %s is %s", paths, doc, out)
		}
	})
}

// A job whose program told a last_seen of the far future is seen now when it next checks in.
func TestLastSeenComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want("PUT", "/_connector/c", `{"index_name":"i","service_type":"s"}`, 201)
	job := "/_connector/_sync_job/" + w.want("POST", "/_connector/_sync_job", `{"id":"c"}`, 201)["id"].(string)
	for path, body := range map[string]string{"/_check_in": "", "/_claim": `{"worker_hostname":"h"}`} {
		w.want("PUT", job+"/_stats", `{"deleted_document_count":0,"indexed_document_count":0,"indexed_document_volume":0,"last_seen":"9999-12-31T23:59:59.999999999Z"}`, 200)
		w.want("PUT", job+path, body, 200)
		if seen, _ := w.want("GET", job, "", 200)["last_seen"].(string); !strings.HasPrefix(seen, "2001-02-03T04:") {
			t.Errorf("after %s it was seen at %s", path, seen)
		}
	}
}
