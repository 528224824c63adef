package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/lockstep-sync/lockstep/internal/app"
	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// defaultListen is where a service is found when nobody says otherwise.
const defaultListen = "127.0.0.1:8321"

// defaultVerifySkew is what clocks that are set by NTP differ by, and more.
const defaultVerifySkew = 2 * time.Second

func (c *cli) serveCommand() *cobra.Command {
	cfg := config.Serve{Keep: config.DefaultKeep}
	var file, logFormat, cpuProfile string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "serve [--data DIR] [--listen HOST:PORT] [flags]",
		Short: "Runs the service: tasks, events, scans, history, the API",
		Example: `  lockstep serve --data /var/lib/lockstep
  LOCKSTEP_DATABASE=postgres://lockstep:…@db/lockstep lockstep serve --listen :8321 --tls-cert cert.pem --tls-key key.pem`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fillFlags(cmd.Flags(), file, c.env); err != nil {
				return err
			}
			cfg.SealKey = c.env(secret.KeyVariable)
			cfg.Project = task.ProjectID(c.env("LOCKSTEP_PROJECT"))
			cfg.AccessKey, cfg.SecretKey = task.KeyID(c.env("LOCKSTEP_ACCESS_KEY")), secret.New(c.env("LOCKSTEP_SECRET_KEY"))
			if logFormat != "text" && logFormat != "json" {
				return usageError(cmd, fmt.Errorf("there is no log format %q: use text or json", logFormat))
			}
			profiled, err := startProfile(cpuProfile)
			if err != nil {
				return err
			}
			err = c.serve(cmd.Context(), app.ServeConfig{Serve: cfg, Log: serviceLog(c.stderr, logFormat, verbose), Version: thisBuild().Version})
			return errors.Join(err, profiled())
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Data, "data", defaultData(c.env), "directory of the database and the sealing key")
	f.StringVar(&cfg.Listen, "listen", defaultListen, "address to answer on")
	f.StringVar(&cfg.Database, "database", "", "postgres://… instead of SQLite in the data directory (better in LOCKSTEP_DATABASE: it holds a password)")
	f.BoolVar(&cfg.Migrate, "migrate", false, "let a PostgreSQL schema that holds data be migrated; back it up first")
	f.StringVar((*string)(&cfg.Role), "role", string(config.RoleAll), "what this process does: all, api, worker")
	f.StringVar(&cfg.SealKeyFile, "seal-key-file", "", "key that seals secrets in the database (default DATA/seal.key, made once)")
	f.StringArrayVar(&cfg.AllowDirs, "allow-dir", nil, "directory that endpoints of provider file may be below; repeatable (default any: an admin makes endpoints)")
	f.BoolVar(&cfg.DIDSpacesOpen, "didspaces-open", false, "register an app at its first signed DID Spaces request (default: an admin does, with lockstep app add)")
	f.StringVar(&cfg.TLSCert, "tls-cert", "", "PEM file of the certificate chain")
	f.StringVar(&cfg.TLSKey, "tls-key", "", "PEM file of its key")
	f.IntVar(&cfg.OMS.EventKeys, "oms-event-keys", 10, "OMS: most keys of one request of events, up to 100")
	f.StringVar(&cfg.OMS.KeyForm, "oms-keys", "form", "OMS: encoding of event keys: form (+ is a space), path (+ is a plus)")
	f.IntVar(&cfg.OMS.MaxTasks, "oms-max-tasks", 0, "OMS: most synchronization tasks of a project made by its API (default no limit)")
	f.StringArrayVar(&cfg.OMS.AllowHosts, "oms-allow-host", nil, "OMS: HOST, HOST:PORT or *.DOMAIN of stores that clients may name by address instead of a region, and of CDNs that sources are read from; repeatable (default none)")
	f.BoolVar(&cfg.OMS.UnsignedPayload, "oms-unsigned-payload", false, "OMS: take requests whose signature leaves the body out (signed X-Sdk-Content-Sha256: UNSIGNED-PAYLOAD); only behind TLS")
	f.Var(&cfg.Keep.Jobs, "keep-jobs", "how long ended jobs stay, e.g. 90d, 2y, forever; totals and the audit chain stay for ever")
	f.Var(&cfg.Keep.Failures, "keep-failures", "how long failed records stay whose key has ended otherwise since")
	f.Var(&cfg.Keep.Intervals, "keep-intervals", "how long 5-minute statistics stay; months stay for ever")
	f.Var(&cfg.Keep.Lists, "keep-lists", "how long lists stay that the destination does not take")
	f.Float64Var(&cfg.KeyRate, "key-rate", 10_000, "most requests a second of one access key; more are answered 429; -1: no limit")
	f.DurationVar(&cfg.VerifySkew, "verify-skew", defaultVerifySkew, "how far a destination's clock may be behind its source's when a task checks the times of its copies")
	f.DurationVar(&cfg.RestoreWait, "restore-wait", 3*time.Minute, "how long a key of a task that restores waits for its object to come back from an archive")
	f.StringVar(&file, "config", "", "YAML file of these flags, e.g. listen: 0.0.0.0:8321; flags and LOCKSTEP_… variables win over it")
	f.StringVar(&logFormat, "log-format", "text", "text or json")
	f.StringVar(&cpuProfile, "cpu-profile", "", "write a CPU profile to this file when it ends")
	f.BoolVar(&verbose, "verbose", false, "log requests and each step")
	return cmd
}

// serve runs a service until it is interrupted.
func (c *cli) serve(ctx context.Context, cfg app.ServeConfig) (err error) {
	s, err := app.NewService(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() {
		if e := s.Close(); err == nil {
			err = e
		}
	}()
	c.greet(s, cfg)
	ctx, release := interruptible(ctx, &screen{w: c.stderr})
	defer release()
	return s.Run(ctx)
}

// greet says where the service is and how to get in.
func (c *cli) greet(s *app.Service, cfg app.ServeConfig) {
	where := "SQLite in " + cfg.Data
	if cfg.Database != "" {
		where = "PostgreSQL"
	}
	fmt.Fprintf(c.stdout, "lockstep %s answers at %s (%s)\n", cfg.Version, s.URL(), where)
	if k := s.FirstKey(); k.Made {
		fmt.Fprintf(c.stdout, "\nThe first access key, an admin's. Its secret is shown this once:\n\n  export LOCKSTEP_URL=%s\n  export LOCKSTEP_ACCESS_KEY=%s\n  export LOCKSTEP_SECRET_KEY=%s\n\n",
			s.URL(), k.ID, k.Secret.Reveal())
		fmt.Fprintf(c.stdout, "next: lockstep endpoint add NAME --provider P --url URL, then lockstep task create NAME SRC DST\n")
	}
}

// fillFlags fills in flags that the command line did not set: from LOCKSTEP_ and the flag's
// name, else from the file. A flag that the file names and nobody knows is an error.
func fillFlags(flags *pflag.FlagSet, file string, env func(string) string) error {
	values, err := readConfig(file, flags)
	if err != nil {
		return err
	}
	var bad error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || f.Name == "config" || bad != nil {
			return
		}
		given := values[f.Name]
		if v := env(variable(f.Name)); v != "" {
			given = []string{v}
		}
		for _, v := range given {
			if err := flags.Set(f.Name, v); err != nil {
				bad = &task.Error{Kind: task.Invalid, Code: "BAD_CONFIG", Text: fmt.Sprintf("%s cannot be %s", f.Name, printable(v)), Next: "see lockstep serve --help", Err: err}
			}
		}
	})
	return bad
}

// variable is the environment variable of a flag.
func variable(flag string) string {
	name := []byte("LOCKSTEP_" + flag)
	for i, b := range name {
		switch {
		case b == '-':
			name[i] = '_'
		case b >= 'a' && b <= 'z':
			name[i] = b - 'a' + 'A'
		}
	}
	return string(name)
}

// readConfig reads a YAML file of flags: scalars, and lists for repeatable ones.
func readConfig(file string, flags *pflag.FlagSet) (map[string][]string, error) {
	if file == "" {
		return nil, nil
	}
	broken := func(text string, err error) error {
		return &task.Error{Kind: task.Invalid, Code: "BAD_CONFIG", Text: "the configuration " + file + " " + text, Next: "write one flag per line, e.g. listen: 127.0.0.1:8321", Err: err}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, broken("cannot be read", err)
	}
	var nodes map[string]yaml.Node
	if err := yaml.Unmarshal(text, &nodes); err != nil {
		return nil, broken("is no YAML", err)
	}
	out := map[string][]string{}
	for name, n := range nodes {
		if flags.Lookup(name) == nil || name == "config" || name == "help" {
			return nil, broken("names "+printable(name)+", which is no flag", nil)
		}
		switch n.Kind {
		case yaml.ScalarNode:
			out[name] = []string{n.Value}
		case yaml.SequenceNode:
			for _, v := range n.Content {
				out[name] = append(out[name], v.Value)
			}
		default:
			return nil, broken(name+" is neither a value nor a list", nil)
		}
	}
	return out, nil
}

// defaultData is a directory of the user's, as the XDG base directories name it.
func defaultData(env func(string) string) string {
	if d := env("XDG_DATA_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "lockstep")
	}
	if home := env("HOME"); home != "" {
		return filepath.Join(home, ".local", "share", "lockstep")
	}
	return "lockstep-data"
}

// serviceLog logs to w.
func serviceLog(w io.Writer, format string, verbose bool) *slog.Logger {
	opts := &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: withCauses}
	if verbose {
		opts.Level = slog.LevelDebug
	}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
