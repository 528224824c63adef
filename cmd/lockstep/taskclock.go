package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// parseWindows reads FROM-TO=RATE. The service checks the times.
func parseWindows(texts []string, zone string) (out []task.Window, err error) {
	for _, text := range texts {
		if text == "" {
			continue
		}
		span, rate, ok := strings.Cut(text, "=")
		from, to, both := strings.Cut(span, "-")
		if !ok || !both {
			return nil, badWindow(text)
		}
		w := task.Window{From: from, To: to, Zone: zone}
		if w.BytesPerSecond, err = parseBytes(strings.TrimSuffix(rate, "/s")); err != nil || w.BytesPerSecond <= 0 {
			return nil, badWindow(text)
		}
		out = append(out, w)
	}
	return out, nil
}

func badWindow(text string) error {
	return &task.Error{
		Kind: task.Invalid, Code: "BAD_WINDOW", Text: fmt.Sprintf("%s is no FROM-TO=RATE", printable(text)),
		Next: "write e.g. --bandwidth 08:00-18:00=10MiB",
	}
}

// mergeClock changes the schedule and the windows as far as flags name them. A zone is that
// of what is named beside it, and alone moves both.
func (t *taskOptions) mergeClock(was *task.Options, flags *pflag.FlagSet) error {
	alone := flags.Changed("zone") && !flags.Changed("schedule") && !flags.Changed("bandwidth")
	switch {
	case flags.Changed("schedule") && t.o.Schedule.Cron == "":
		was.Schedule = task.Schedule{}
	case flags.Changed("zone") && was.Schedule.Cron != "" && (alone || flags.Changed("schedule")):
		was.Schedule.Zone = t.zone
	}
	if flags.Changed("bandwidth") {
		zone := t.zone
		if !flags.Changed("zone") && len(was.Bandwidth) > 0 {
			zone = was.Bandwidth[0].Zone
		}
		var err error
		was.Bandwidth, err = parseWindows(t.windows, zone)
		return err
	}
	if alone {
		for i := range was.Bandwidth {
			was.Bandwidth[i].Zone = t.zone
		}
	}
	return nil
}
