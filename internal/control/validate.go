package control

import (
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/robfig/cron/v3"

	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// Limits of what a task may be.
const (
	maxName        = 255
	maxDescription = 4096
	maxBucket      = 255
	maxFilterRules = 1000
	maxWindows     = 100
	maxConcurrency = 10_000
	maxShards      = 256
)

// checkTask checks what a task says by itself.
func checkTask(k task.Task) error {
	switch k.State {
	case task.Active, task.Paused, task.Stopped:
	default:
		return invalid("BAD_STATE", "there is no such state", "use active, paused or stopped")
	}
	switch {
	case !validName(k.Name):
		return invalid("BAD_NAME", "a task's name is 1 to 255 bytes of UTF-8 without control characters", "choose another name")
	case task.ID(k.Name).Valid():
		return invalid("BAD_NAME", "a task's name has the form of an id", "choose another name")
	case len(k.Description) > maxDescription || !utf8.ValidString(k.Description):
		return invalid("BAD_DESCRIPTION", "the description is too long or no UTF-8", "use at most "+strconv.Itoa(maxDescription)+" bytes")
	}
	for _, l := range []task.Location{k.Source, k.Destination} {
		if l.Bucket == "" || len(l.Bucket) > maxBucket || strings.ContainsAny(l.Bucket, "/\x00") {
			return invalid("BAD_BUCKET", "a bucket's name is missing, too long, or has a / in it", "write ENDPOINT:bucket/prefix")
		}
		if len(l.Prefix) > task.MaxKeyBytes-1 {
			return invalid("BAD_PREFIX", "a prefix is longer than a key may be", "choose a shorter one")
		}
	}
	return checkOptions(k.Options)
}

func validName(s string) bool {
	return s != "" && len(s) <= maxName && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) && strings.TrimSpace(s) == s
}

func checkOptions(o task.Options) error {
	if _, err := plan.ParseMode(o.Compare); err != nil {
		return err
	}
	if _, err := parseFilter(o.Filter); err != nil {
		return err
	}
	if o.Concurrency < 0 || o.Concurrency > maxConcurrency {
		return invalid("BAD_CONCURRENCY", "at most "+strconv.Itoa(maxConcurrency)+" objects can be in flight", "leave it out: it adapts by itself")
	}
	if len(o.StorageClass) > 64 || strings.ContainsFunc(o.StorageClass, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return invalid("BAD_STORAGE_CLASS", "a storage class has up to 64 visible ASCII characters", "name it as the destination does, e.g. STANDARD_IA")
	}
	if o.Guard.MaxPercent > 100 {
		return invalid("BAD_GUARD", "a guard's limit is above 100 percent", "use a negative number for no limit")
	}
	if len(o.Bandwidth) > maxWindows {
		return invalid("BAD_WINDOW", "there are more than "+strconv.Itoa(maxWindows)+" bandwidth windows", "join some of them")
	}
	for _, w := range o.Bandwidth {
		if err := checkWindow(w); err != nil {
			return err
		}
	}
	return checkSchedule(o.Schedule)
}

// parseFilter reads the rules of a task.
func parseFilter(rules []string) (plan.Filter, error) {
	if len(rules) > maxFilterRules {
		return plan.Filter{}, invalid("BAD_FILTER", "a filter has more than "+strconv.Itoa(maxFilterRules)+" rules", "join some of them with {a,b}")
	}
	parsed := make([]plan.Rule, len(rules))
	for i, text := range rules {
		r, err := plan.ParseRule(text)
		if err != nil {
			return plan.Filter{}, err
		}
		parsed[i] = r
	}
	return plan.NewFilter(parsed...), nil
}

func checkWindow(w task.Window) error {
	for _, at := range []string{w.From, w.To} {
		if _, err := time.Parse("15:04", at); err != nil || len(at) != 5 {
			return invalid("BAD_WINDOW", "a bandwidth window begins and ends at a time like 09:30", "write two digits for the hour and two for the minute")
		}
	}
	if w.BytesPerSecond <= 0 {
		return invalid("BAD_WINDOW", "a bandwidth window lets no byte through", "pause the task instead, or name bytes per second")
	}
	return checkZone("BAD_WINDOW", w.Zone)
}

func checkZone(code, name string) error {
	if name == "Local" {
		return invalid(code, "the time zone Local is another on every machine", "name it as the IANA does, e.g. Europe/Berlin")
	}
	if _, err := time.LoadLocation(name); err != nil {
		return invalid(code, "there is no such time zone", "name it as the IANA does, e.g. Europe/Berlin")
	}
	return nil
}

func checkSchedule(s task.Schedule) error {
	const code = "BAD_SCHEDULE"
	switch s.Missed {
	case "", "run", "skip":
	default:
		return invalid(code, "there is no such policy for missed starts", "use run or skip")
	}
	if s.Cron == "" {
		if s.Zone != "" || s.Missed != "" {
			return invalid(code, "a schedule has a zone or a policy and no times", "name five fields, e.g. 30 2 * * *")
		}
		return nil
	}
	// The parser would take a zone in front, and descriptors are not five fields.
	if _, err := cron.ParseStandard(s.Cron); err != nil || strings.Contains(s.Cron, "TZ=") || strings.HasPrefix(s.Cron, "@") {
		return invalid(code, "the schedule is not five fields of cron", "write minute, hour, day of month, month, day of week, e.g. 30 2 * * *")
	}
	return checkZone(code, s.Zone)
}
