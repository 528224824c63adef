package elastic

import (
	"encoding/json"
	"strings"
	"time"
)

// For the tests of package elastic_test.

// Routes are all calls, as "METHOD /path" with * for ids.
func Routes() (out []string) {
	for _, p := range patterns {
		for _, r := range p.routes {
			out = append(out, r.method+" "+strings.TrimSuffix(Root+"/"+strings.Join(p.segments, "/"), "/"))
		}
	}
	return out
}

func ReadLastSync(body []byte) (map[string]any, error)   { return readLastSync(body) }
func ParseDate(s string) (time.Time, bool)               { return parseDate(s) }
func FormatDate(t time.Time) string                      { return formatDate(t) }
func Contains(s, pattern string) bool                    { return contains(s, pattern) }
func FilterPaths(raw []byte, p []string) ([]byte, error) { return filterPaths(raw, p) }
func FilterPage(n int64, rows []json.RawMessage, p []string) ([]byte, error) {
	return page{n, rows}.encode(p)
}

func Quartz(crontab string) (string, bool) { return quartz(crontab) }
func CronEvery(s string, at time.Time) (time.Duration, error) {
	c, err := parseCron(s)
	if err != nil {
		return 0, err
	}
	return c.every(at), nil
}

func ParseLong(s string) (int64, string) {
	n, why := parseLong(s)
	if why != nil {
		return 0, why.kind
	}
	return n, ""
}
