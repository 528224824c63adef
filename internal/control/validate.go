package control

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/plan"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/timetable"
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
	case len(k.Description) > maxDescription || !utf8.ValidString(k.Description) || strings.ContainsRune(k.Description, 0): // PostgreSQL holds no NUL
		return invalid("BAD_DESCRIPTION", "the description is too long, no UTF-8, or has a NUL character", "use at most "+strconv.Itoa(maxDescription)+" bytes")
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
		return invalid("BAD_CONCURRENCY", "1 to "+strconv.Itoa(maxConcurrency)+" objects can be in flight", "leave it out: it adapts by itself")
	}
	if len(o.StorageClass) > 64 || strings.ContainsFunc(o.StorageClass, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return invalid("BAD_STORAGE_CLASS", "a storage class has up to 64 visible ASCII characters", "name it as the destination does, e.g. STANDARD_IA")
	}
	switch o.Verify {
	case "", task.VerifySizeTime, task.VerifyCRC64, task.VerifyTransmission:
	default:
		return invalid("BAD_VERIFY", "there is no such check of copies", "use size_last_modified, crc64 or transmission, or leave it out")
	}
	if o.Encrypt != "" && o.Encrypt != objstore.EncryptKMS {
		return invalid("BAD_ENCRYPTION", "there is no such encryption", "use "+objstore.EncryptKMS+", or leave it out for what the destination bucket says")
	}
	if o.Guard.MaxPercent > 100 {
		return invalid("BAD_GUARD", "a guard's limit is above 100 percent", "use a negative number for no limit")
	}
	if len(o.Bandwidth) > maxWindows {
		return invalid("BAD_WINDOW", "there are more than "+strconv.Itoa(maxWindows)+" bandwidth windows", "join some of them")
	}
	if _, err := timetable.ParseWindows(o.Bandwidth); err != nil {
		return err
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

func checkSchedule(s task.Schedule) error {
	if s == (task.Schedule{}) {
		return nil
	}
	if s.Cron == "" {
		return invalid("BAD_SCHEDULE", "a schedule has a zone or a policy and no times", "name five fields, e.g. 30 2 * * *")
	}
	_, err := timetable.ParseSchedule(s)
	return err
}
