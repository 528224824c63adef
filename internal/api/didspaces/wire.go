package didspaces

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// entry is a log entry as the client reads it.
type entry struct {
	ID         string    `json:"id"`
	EntityID   string    `json:"entityId"`
	EntityName string    `json:"entityName"`
	ActionType string    `json:"actionType"`
	UserID     string    `json:"userId"`
	Username   string    `json:"username"`
	Data       entryData `json:"data"`
	Status     string    `json:"status"`
	Reason     string    `json:"reason"`
	Env        struct{}  `json:"env"`
	CreatedAt  string    `json:"createdAt"`
	UpdatedAt  string    `json:"updatedAt"`
}

type entryData struct {
	AppName        string `json:"appName"`
	AppDescription string `json:"appDescription"`
	places
	figures
	Metadata json.RawMessage `json:"metadata,omitempty"`
}

// places are what is synced.
type places struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

// figures are the five figures of a sync.
type figures struct {
	TotalCount   int64   `json:"totalCount"`
	ErrorCount   int64   `json:"errorCount"`
	SuccessCount int64   `json:"successCount"`
	Size         int64   `json:"size"`     // bytes
	Duration     float64 `json:"duration"` // milliseconds; the client's own folder push sends seconds
}

// kept is what is stored beside the job.
type kept struct {
	places
	figures
	Metadata json.RawMessage `json:"metadata,omitempty"`
	Reason   string          `json:"reason,omitempty"`
	User     string          `json:"user,omitempty"`
}

// object is a JSON object of a request by the names of its fields, in their own case. What
// nobody asks for is ignored: the client sends whatever its user gives it.
type object map[string]json.RawMessage

// encode writes JSON with < > & as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// codeField is the code of a body with a field that is wrong.
const codeField = "BAD_FIELD"

func badField(field, must string) error {
	return invalid(codeField, field+" "+must, "nothing was stored")
}

// decodeObject reads a JSON object. what names it in errors.
func decodeObject(what string, text json.RawMessage) (o object, err error) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return nil, badField(what, "is missing")
	case !json.Valid(text):
		return nil, invalid("BAD_JSON", what+" is no JSON", "send application/json")
	case text[0] != '{':
		return nil, badField(what, "must be an object")
	}
	if err := json.Unmarshal(text, &o); err != nil {
		return nil, &task.Error{Kind: task.Invalid, Code: codeField, Text: what + " cannot be read", Next: "send what the official client sends", Err: err}
	}
	return o, nil
}

// maxText bounds names and reasons, in bytes.
const maxText = 16 << 10

// decodeText reads a JSON string that is there and not empty, unless it may be.
func decodeText(field string, text json.RawMessage, mayLack bool) (string, error) {
	if len(text) == 0 {
		if mayLack {
			return "", nil
		}
		return "", badField(field, "is missing")
	}
	var s string
	if text[0] != '"' || json.Unmarshal(text, &s) != nil {
		return "", badField(field, "must be text")
	}
	switch {
	case s == "" && !mayLack:
		return "", badField(field, "must not be empty")
	case len(s) > maxText || !utf8.ValidString(s):
		return "", badField(field, "is longer than 16 KiB")
	}
	return s, nil
}

// maxMetadata bounds the metadata of an entry, in bytes: a page has a hundred of them, twice.
const maxMetadata = 64 << 10

// decodeMetadata reads an object of anything, which may be left out.
func decodeMetadata(text json.RawMessage) (json.RawMessage, error) {
	if len(text) == 0 {
		return nil, nil
	}
	if _, err := decodeObject("data.metadata", text); err != nil {
		return nil, err
	}
	if len(text) > maxMetadata {
		return nil, badField("data.metadata", "is longer than 64 KiB")
	}
	return text, nil
}

// checkAction refuses what is no object sync. Early clients leave the field out.
func checkAction(text json.RawMessage) error {
	s, err := decodeText("actionType", text, true)
	if err == nil && s != action && s != "" {
		err = badField("actionType", "must be "+action)
	}
	return err
}

// maxWhole is the largest whole number that JavaScript counts to exactly.
const maxWhole = 1<<53 - 1

// decodeNumber reads a figure: finite, not negative, and whole unless it may be a
// fraction. given is false when it is left out, which only an optional one may be.
func decodeNumber(field string, text json.RawMessage, fraction, mayLack bool) (v float64, given bool, err error) {
	switch {
	case len(text) == 0 && mayLack:
		return 0, false, nil
	case len(text) == 0:
		return 0, false, badField(field, "is missing")
	case string(text) == "null":
		return 0, false, badField(field, "must be a number; null is what JavaScript makes of Infinity")
	case text[0] != '-' && (text[0] < '0' || text[0] > '9'):
		return 0, false, badField(field, "must be a number")
	}
	v, err = strconv.ParseFloat(string(text), 64)
	switch {
	case err != nil || math.IsInf(v, 0):
		return 0, false, badField(field, "is larger than any number")
	case v < 0:
		return 0, false, badField(field, "must not be negative")
	case !fraction && v != math.Trunc(v):
		return 0, false, badField(field, "must be a whole number")
	case v > maxWhole:
		return 0, false, badField(field, "is larger than 2^53 - 1")
	}
	return v + 0, true, nil // no minus zero
}

// decodeFigures reads the five figures. Where mayLack is set all may be left out.
func decodeFigures(data object, mayLack bool) (f figures, err error) {
	var success float64
	var given bool
	for _, n := range []struct {
		field     string
		fraction  bool
		optional  bool
		into      *int64
		intoFloat *float64
	}{
		{"totalCount", false, mayLack, &f.TotalCount, nil},
		{"errorCount", false, mayLack, &f.ErrorCount, nil},
		{"successCount", false, true, nil, &success},
		{"size", false, mayLack, &f.Size, nil},
		{"duration", true, mayLack, nil, &f.Duration},
	} {
		v, ok, err := decodeNumber("data."+n.field, data[n.field], n.fraction, n.optional)
		if err != nil {
			return figures{}, err
		}
		if n.into != nil {
			*n.into = int64(v)
		} else {
			*n.intoFloat = v
		}
		if n.field == "successCount" {
			given = ok
		}
	}
	if f.ErrorCount > f.TotalCount {
		return figures{}, badField("data.errorCount", "is larger than totalCount")
	}
	f.SuccessCount = int64(success)
	if !given {
		f.SuccessCount = f.TotalCount - f.ErrorCount
	}
	if f.SuccessCount > f.TotalCount-f.ErrorCount {
		return figures{}, badField("data.successCount", "and errorCount together are larger than totalCount")
	}
	return f, nil
}
