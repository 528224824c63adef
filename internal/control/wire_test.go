package control

import (
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// FuzzCheckJSON: text that passes is read without losing a character.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`"a"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\\ud800"`, `"\udc00\ud800"`, "\"\xff\"", `"\ufffd"`, `"\uD800\uDBFF"`, `"\u`, `"\`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if CheckJSON(text) != nil {
			return
		}
		var s string
		if json.Unmarshal(text, &s) != nil {
			return
		}
		if strings.ContainsRune(s, '\ufffd') && !strings.ContainsRune(string(text), '\ufffd') &&
			!strings.Contains(strings.ToLower(string(text)), `\ufffd`) {
			t.Fatalf("%q became %q", text, s)
		}
	})
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		`"\ud83d\ude00"`: true, `"\\ud800"`: true, `"\\\\"`: true, `"\ufffd"`: true, "\"\ufffd\"": true, `"\uD83D\uDE00"`: true,
		`"\ud83d"`: false, `"\ude00"`: false, `"\ud83dx"`: false, `"\ud83d\n"`: false, `"\\\ud800"`: false, "\"\xed\xa0\x80\"": false, "\xff": false,
	} {
		if err := CheckJSON([]byte(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestBrokenQuotesInCSV: keys that follow a broken quote are not taken for a part of one.
func TestBrokenQuotesInCSV(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a\n\"b\nc\nd\n": "quote",
		"a\n\"b\n" + strings.Repeat("c\n", 1<<20): "not closed",
		"a\nb\"c\n": `"`,
	} {
		var keys []string
		var failed error
		for key, err := range csvKeys(strings.NewReader(text)) {
			if failed = err; err == nil {
				keys = append(keys, key)
			}
		}
		if failed == nil || !strings.Contains(failed.Error(), want) || len(keys) != 1 {
			t.Errorf("%.20q: keys %.40q, error %v", text, keys, failed)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add("key\na\nb")
	f.Add("\"a\"\n{\"key\":\"b\"}\n{\"key_base64\":\"/w==\"}")
	f.Add("bucket,key\nx,\"y\nz\"")
	f.Fuzz(func(t *testing.T, text string) {
		for key, err := range csvKeys(strings.NewReader(text)) {
			if err == nil && len(key) > len(text) {
				t.Fatalf("%q of %q", key, text)
			}
		}
		for key, err := range jsonKeys(strings.NewReader(text)) {
			if err == nil && !strings.Contains(text, key) && !strings.ContainsAny(text, `\"`) {
				t.Fatalf("%q is nowhere in %q", key, text)
			}
		}
		// A key that csv wrote comes back whole.
		if text == "" || strings.Contains(text, "\r") || len(text) > maxManifestLine/2 {
			return // csv reads CR LF as LF, and a line has a limit
		}
		var out strings.Builder
		w := csv.NewWriter(&out)
		if err := w.WriteAll([][]string{{"size", "key"}, {"1", text}}); err != nil {
			t.Fatal(err)
		}
		n := 0
		for key, err := range csvKeys(strings.NewReader(out.String())) {
			n++
			if err != nil || key != text {
				t.Fatalf("%q came back as %q, %v", text, key, err)
			}
		}
		if n != 1 {
			t.Fatalf("%d keys", n)
		}
	})
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	for _, good := range []task.Schedule{{}, {Cron: "*/5 * * * *"}, {Cron: "0 0 1 JAN MON-FRI", Zone: "Asia/Tokyo", Missed: "run"}} {
		if err := checkSchedule(good); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
	for _, bad := range []task.Schedule{
		{Cron: "* * * *"},
		{Cron: "* * * * * *"},
		{Cron: "@daily"},
		{Cron: "TZ=UTC * * * * *"},
		{Cron: "CRON_TZ=UTC * * * * *"},
		{Cron: "61 * * * *"},
		{Cron: "* * * * *", Zone: "Local"},
		{Cron: "* * * * *", Missed: "twice"},
		{Zone: "UTC"},
	} {
		if err := checkSchedule(bad); task.KindOf(err) != task.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
