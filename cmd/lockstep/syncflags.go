package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/plan"
)

func (f *syncFlags) groups() []flagGroup {
	return []flagGroup{
		{"Source", sideFlags(config.Source, &f.src)},
		{"Destination", sideFlags(config.Destination, &f.dst)},
		group("Both sides", func(fs *pflag.FlagSet) {
			fs.StringVar(&f.caFile, "ca-file", "", "trust the PEM certificates in `FILE` too")
			fs.BoolVar(&f.signPayload, "sign-payload", false, "sign the bytes of every upload, for stores that insist on it")
		}),
		group("What is synced", func(fs *pflag.FlagSet) {
			fs.Var(&ruleFlag{&f.rules, plan.Include}, "include", "sync keys that match `RULE`")
			fs.Var(&ruleFlag{&f.rules, plan.Exclude}, "exclude", "leave keys that match `RULE` alone")
			fs.StringVar(&f.compare, "compare", string(plan.ModeAuto), "compare existing objects in this `MODE`, see above")
		}),
		group("What may happen", func(fs *pflag.FlagSet) {
			fs.BoolVar(&f.dryRun, "dry-run", false, "say what would be done and write to neither side")
			fs.BoolVar(&f.delete, "delete", false, "delete at the destination what the source does not have")
			fs.Int64Var(&f.maxDelete, "max-delete", 1000, "stop before deleting more than `N` objects; -1: no limit")
			fs.Float64Var(&f.maxDeletePercent, "max-delete-percent", 10, "stop before deleting more than `P` percent of the destination; -1: no limit")
		}),
		group("How fast", func(fs *pflag.FlagSet) {
			fs.Var(&f.limitRate, "limit-rate", "copy at most `N` bytes a second through this machine, as 500K, 10M or 1.5G (of 1,024)")
			fs.Float64Var(&f.limitRequests, "limit-requests", 0, "send at most `N` requests a second to each side")
			fs.IntVar(&f.concurrency, "concurrency", 0, "have at most `N` requests in flight per side; 0 finds out what the stores take")
		}),
		group("What is kept", func(fs *pflag.FlagSet) {
			fs.StringVar(&f.stateFile, "state", "", "remember unfinished uploads in `FILE`, so that a later run goes on with their parts")
			fs.StringVar(&f.reportDir, "report", "", "write lists of synced, failed and ignored keys and a manifest to `DIR`")
			fs.BoolVar(&f.reportUnchanged, "report-unchanged", false, "name unchanged objects in the lists too")
		}),
		group("Output", func(fs *pflag.FlagSet) {
			fs.BoolVar(&f.output.json, "json", false, "end with one line of JSON on standard output; all else goes to standard error")
			fs.BoolVarP(&f.output.quiet, "quiet", "q", false, "show errors only")
			fs.BoolVarP(&f.output.verbose, "verbose", "v", false, "log every object but the unchanged")
			fs.StringVar(&f.output.logFormat, "log-format", "text", "`FORMAT` of log lines: text or json")
			fs.StringVar(&f.output.cpuProfile, "cpu-profile", "", "write a CPU profile for go tool pprof to `FILE`")
		}),
	}
}

func group(title string, add func(*pflag.FlagSet)) flagGroup {
	fs := pflag.NewFlagSet(title, pflag.ContinueOnError)
	fs.SortFlags = false
	add(fs)
	return flagGroup{title, fs}
}

func sideFlags(side config.Side, f *config.StoreFlags) *pflag.FlagSet {
	p := strings.ToLower(string(side)) + "-"
	return group("", func(fs *pflag.FlagSet) {
		fs.StringVar(&f.Endpoint, p+"endpoint", "", "`URL` of the S3 server; none: Amazon S3")
		fs.StringVar(&f.Region, p+"region", "", "sign for `REGION`; none: AWS_REGION, or the server is asked")
		fs.StringVar(&f.Provider, p+"provider", "", "server is a `NAME`: aws, obs, minio, ceph or generic; none: found out")
		fs.BoolVar(&f.VirtualHost, p+"virtual-host", false, "name the bucket in the host instead of the path")
		fs.BoolVar(&f.Anonymous, p+"anonymous", false, "send unsigned requests, for public buckets")
		fs.StringArrayVar(&f.Options, p+"option", nil, "say what the server can do, `NAME=VALUE`; repeatable")
	}).flags
}

// byteSize is a flag for a number of bytes.
type byteSize int64

func (b *byteSize) Set(s string) error {
	n, err := parseBytes(s)
	if err == nil && n == 0 {
		err = fmt.Errorf("it must be more than nothing")
	}
	*b = byteSize(n)
	return err
}

func (b *byteSize) String() string {
	if *b == 0 {
		return ""
	}
	return formatBytes(int64(*b))
}

func (b *byteSize) Type() string { return "bytes" }

// ruleList is what --include and --exclude together say, in the order given.
type ruleList []plan.Rule

// ruleFlag is one of the two flags that add to a ruleList.
type ruleFlag struct {
	list *ruleList
	rule func(pattern string) (plan.Rule, error)
}

func (r *ruleFlag) Set(pattern string) error {
	rule, err := r.rule(pattern)
	if err == nil {
		*r.list = append(*r.list, rule)
	}
	return err
}

func (r *ruleFlag) String() string { return "" }
func (r *ruleFlag) Type() string   { return "rule" }
