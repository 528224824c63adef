package config_test

import (
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/config"
)

func TestParseAge(t *testing.T) {
	t.Parallel()
	const day = config.Age(24 * time.Hour)
	for text, want := range map[string]config.Age{
		"90d": 90 * day, "2y": 730 * day, "forever": config.Forever, "36h": 36 * config.Age(time.Hour), "1d": day, "0d": 0,
	} {
		if got, err := config.ParseAge(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1w", "1.5y", "-3h", "99999999999y", "never"} {
		if got, err := config.ParseAge(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func FuzzParseAge(f *testing.F) {
	f.Add("90d")
	f.Add("2y")
	f.Add("36h5m")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := config.ParseAge(text)
		if err != nil {
			return
		}
		if got < 0 && got != config.Forever {
			t.Fatalf("%q is %d", text, got)
		}
		if again, err := config.ParseAge(got.String()); err != nil || again != got {
			t.Fatalf("%q is %v, which reads as %v, %v", text, &got, again, err)
		}
	})
}
