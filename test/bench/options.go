package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lockstep-sync/lockstep/test/bench/workload"
)

// options is what the command line asks for.
type options struct {
	workloads []workload.Workload
	runs      int
	scale     float64 // of the number of objects
	tools     []string
	peers     []string
	server    serverKind
	delay     time.Duration // per request, in workloads that have one
	json      string        // file that a line is appended to for each run
	lockstep  string        // executable; "" builds this module's
	baseline  string        // another executable of Lockstep, measured beside it
	data      string        // parent of the folder for data and logs
}

// The names of tools that are not peers.
const (
	toolLimit    = "limit"
	toolLockstep = "lockstep"
	toolBaseline = "baseline"
)

// quickScale is for -quick: a few seconds for everything.
const quickScale = .02

func parseOptions(args []string) (options, error) {
	opt := options{server: mem}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	names := fs.String("w", "", "workloads, comma-separated, of W1 W2 W3 W4 W5 delay same (default all that the server can run)")
	fs.IntVar(&opt.runs, "runs", 3, "runs of each tool")
	fs.Float64Var(&opt.scale, "scale", 1, "scale of the number of objects; figures per object need 1")
	tools := fs.String("tools", toolLimit+","+toolLockstep, "what to measure beside peers")
	peers := fs.String("peers", "", "peers to measure: rclone, mc; built when they are not there")
	fs.Var(&opt.server, "server", "mem, versitygw or minio")
	fs.DurationVar(&opt.delay, "delay", 10*time.Millisecond, "added to each request of workload delay")
	fs.StringVar(&opt.json, "json", "", "append a JSON line for each run to this file")
	fs.StringVar(&opt.lockstep, "lockstep", "", "executable to measure instead of building one")
	fs.StringVar(&opt.baseline, "baseline", "", "another executable of Lockstep to measure beside it")
	fs.StringVar(&opt.data, "data", "", "folder for data and logs of real servers (default: the system's temporary folder)")
	quick := fs.Bool("quick", false, "one run at a small scale: does everything run and verify?")
	if err := fs.Parse(args); err != nil {
		return opt, err
	}
	if fs.NArg() > 0 {
		return opt, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if *quick {
		opt.runs, opt.scale = 1, quickScale
	}
	opt.tools, opt.peers = split(*tools), split(*peers)
	if opt.baseline != "" {
		opt.tools = append(opt.tools, toolBaseline)
	}
	var err error
	opt.workloads, err = workload.Select(*names)
	if *names == "" && opt.server != mem { // only the server in memory can delay
		opt.workloads = slices.DeleteFunc(slices.Clone(opt.workloads), func(w workload.Workload) bool { return w.Delayed })
	}
	if err != nil {
		return opt, err
	}
	return opt, opt.check()
}

func (o *options) check() error {
	if o.runs < 1 || o.scale <= 0 {
		return fmt.Errorf("-runs and -scale must be greater than 0")
	}
	for _, w := range o.workloads {
		if w.Delayed && o.server != mem {
			return fmt.Errorf("workload %s needs -server mem", w.Name)
		}
	}
	for _, name := range o.tools {
		if name != toolLimit && name != toolLockstep && name != toolBaseline {
			return fmt.Errorf("unknown tool %q", name)
		}
	}
	for _, name := range o.peers {
		if peerTools[name] == nil {
			return fmt.Errorf("unknown peer %q", name)
		}
	}
	return nil
}

// comparable says whether the targets speak of what is measured.
func (o *options) comparable() bool { return o.scale == 1 && o.server == mem }

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}
