package s3server

import "testing"

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		names          string
		limited, built bool
		want           verdict
	}{
		{"", false, true, usable},
		{"", false, false, optional},
		{"", true, true, leftOut},
		{"minio", true, true, leftOut},
		{"minio", true, false, leftOut},
		{"versitygw", true, true, usable},
		{"minio,versitygw", true, false, missing},
	} {
		if got := judge("versitygw", c.names, c.limited, c.built); got != c.want {
			t.Errorf("judge(names=%q limited=%v built=%v) = %d, want %d", c.names, c.limited, c.built, got, c.want)
		}
	}
}
