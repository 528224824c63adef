package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/client"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func (r *remote) endpointCommand() *cobra.Command {
	return commands("endpoint", "Registers stores and tries what they allow",
		r.endpointAdd(), r.endpointList(), r.endpointShow(), r.endpointCheck(), r.endpointRotate(), r.endpointRemove())
}

// storeKeys are the flags for credentials of a store.
type storeKeys struct {
	access, secret, token string
	stdin                 bool
}

func (k *storeKeys) flags(f *pflag.FlagSet) {
	f.StringVar(&k.access, "access-key", "", "access key of the store (default LOCKSTEP_STORE_ACCESS_KEY)")
	f.StringVar(&k.secret, "secret-key", "", "its secret key; others can see command lines: prefer LOCKSTEP_STORE_SECRET_KEY or --secret-stdin")
	f.BoolVar(&k.stdin, "secret-stdin", false, "read the secret key from standard input, one line")
	f.StringVar(&k.token, "session-token", "", "its session token (default LOCKSTEP_STORE_SESSION_TOKEN)")
}

// wire completes the credentials and returns them as the API takes them.
func (k *storeKeys) wire(env func(string) string) (map[string]string, error) {
	for name, field := range map[string]*string{"ACCESS_KEY": &k.access, "SECRET_KEY": &k.secret, "SESSION_TOKEN": &k.token} {
		if *field == "" {
			*field = env("LOCKSTEP_STORE_" + name)
		}
	}
	if k.stdin {
		line, err := bufio.NewReader(os.Stdin).ReadString('\n')
		if err != nil && line == "" {
			return nil, &task.Error{Kind: task.Invalid, Code: "NO_SECRET", Text: "standard input holds no secret key", Next: "pipe it in, one line", Err: err}
		}
		k.secret = strings.TrimRight(line, "\r\n")
	}
	out := map[string]string{}
	for name, v := range map[string]string{"access_key": k.access, "secret_key": k.secret, "session_token": k.token} {
		if v != "" {
			out[name] = v
		}
	}
	return out, nil
}

func (r *remote) endpointAdd() *cobra.Command {
	var keys storeKeys
	var provider, url, region, options string
	var aliases []string
	cmd := r.leaf("add NAME --provider P [--url URL] [flags]", "Register a store",
		`  LOCKSTEP_STORE_ACCESS_KEY=… LOCKSTEP_STORE_SECRET_KEY=… lockstep endpoint add frankfurt --provider aws --region eu-central-1
  lockstep endpoint add dr --provider minio --url https://minio.example.com --access-key … --secret-stdin <secret
  lockstep endpoint add disk --provider file --url file:///srv/buckets     each directory below is a bucket`, cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			credentials, err := keys.wire(r.env)
			if err != nil {
				return err
			}
			in := map[string]any{"name": args[0], "provider": provider, "url": url, "region": region, "credentials": credentials}
			if len(aliases) > 0 {
				in["aliases"] = aliases
			}
			if options != "" {
				if !json.Valid([]byte(options)) {
					return &task.Error{Kind: task.Invalid, Code: "BAD_OPTIONS", Text: "--options is no JSON object", Next: `write e.g. '{"concurrency":16}'; docs/stores.md has them all`}
				}
				in["options"] = json.RawMessage(options)
			}
			var answer json.RawMessage
			if err := api.Post(ctx, "/endpoints", in, &answer); err != nil {
				return err
			}
			return show(r, answer, func(e native.Endpoint) error {
				_, err := fmt.Fprintf(r.stdout, "%s\nnext: lockstep endpoint check %s --bucket BUCKET\n", e.Name, e.Name)
				return err
			})
		})
	f := cmd.Flags()
	f.StringVar(&provider, "provider", "", "aws, obs, minio, ceph, versitygw, r2, b2, wasabi, gcs, oss, cos, generic (any S3), file")
	f.StringVar(&url, "url", "", "http(s)://HOST[:PORT], or file:///DIR")
	f.StringVar(&region, "region", "", "region of the store")
	f.StringArrayVar(&aliases, "oms", nil, "CLOUDTYPE/REGION by which OMS clients name the store, e.g. AWS/us-east-1; repeatable")
	f.StringVar(&options, "options", "", "JSON object of the store's options (docs/stores.md)")
	keys.flags(f)
	f.Lookup("access-key").Usage = "access key of the store (default LOCKSTEP_STORE_ACCESS_KEY; none: anonymous)"
	_ = cmd.MarkFlagRequired("provider")
	return cmd
}

func (r *remote) endpointList() *cobra.Command {
	return r.leaf("list", "The registered stores", "  lockstep endpoint list", cobra.NoArgs,
		func(ctx context.Context, api *client.Client, _ []string) error {
			items, err := api.All(ctx, "/endpoints")
			if err != nil {
				return err
			}
			return showList(r, items, "NAME PROVIDER URL REGION OMS", func(e native.Endpoint) []any {
				return []any{e.Name, e.Provider, dash(e.URL), dash(e.Region), dash(strings.Join(e.Aliases, ","))}
			})
		})
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}

func (r *remote) endpointShow() *cobra.Command {
	return r.leaf("show NAME", "One store, without its credentials", "  lockstep endpoint show disk", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			var answer json.RawMessage
			if err := api.Get(ctx, in("/endpoints/%s", args[0]), &answer); err != nil {
				return err
			}
			return r.pretty(answer)
		})
}

// pretty prints one object, indented for people.
func (r *remote) pretty(answer json.RawMessage) error {
	return show(r, answer, func(v json.RawMessage) error {
		var b bytes.Buffer
		if err := json.Indent(&b, v, "", "  "); err != nil {
			return err
		}
		_, err := fmt.Fprintln(r.stdout, strings.TrimSpace(b.String()))
		return err
	})
}

func (r *remote) endpointCheck() *cobra.Command {
	var bucket string
	var write bool
	cmd := r.leaf("check NAME --bucket BUCKET[/PREFIX] [--write]", "Try what a store allows, and print the policy for what is missing",
		"  lockstep endpoint check dr --bucket photos-copy --write", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			name, prefix, _ := strings.Cut(bucket, "/")
			var answer json.RawMessage
			if err := api.Post(ctx, in("/endpoints/%s/check", args[0]), map[string]any{"bucket": name, "prefix": prefix, "write": write}, &answer); err != nil {
				return err
			}
			return show(r, answer, r.showCheck)
		})
	cmd.Flags().StringVar(&bucket, "bucket", "", "bucket, or a part of it, to try")
	cmd.Flags().BoolVar(&write, "write", false, "try what a destination needs too: small objects below .lockstep-check/, deleted again")
	_ = cmd.MarkFlagRequired("bucket")
	return cmd
}

func (r *remote) showCheck(k native.Check) error {
	t := table(r.stdout, "")
	for _, p := range k.Probes {
		mark, said := "✓", fmt.Sprintf("%.1f ms", p.Millis)
		if !p.OK {
			mark, said = "✗", p.Code
			if p.Error != "" {
				said += ": " + oneLine(p.Error)
			}
		}
		t.row(mark+" "+p.Name, said)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(k.Policy) > 0 {
		fmt.Fprint(r.stdout, "\nThe least that must be allowed for what was denied, as an IAM policy:\n\n")
		enc := json.NewEncoder(r.stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(k.Policy); err != nil {
			return err
		}
	}
	if !k.OK {
		r.code = exitError
	}
	return nil
}

func (r *remote) endpointRotate() *cobra.Command {
	var keys storeKeys
	var anonymous bool
	cmd := r.leaf("rotate NAME", "Replace a store's credentials; nothing needs a restart",
		"  lockstep endpoint rotate dr --access-key … --secret-stdin <secret", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			credentials, err := keys.wire(r.env)
			if err != nil {
				return err
			}
			if len(credentials) == 0 && !anonymous {
				return &task.Error{
					Kind: task.Invalid, Code: "NO_STORE_KEYS", Text: "there are no keys to replace the credentials with",
					Next: "give --access-key and a secret, or LOCKSTEP_STORE_ACCESS_KEY and LOCKSTEP_STORE_SECRET_KEY; --anonymous takes the credentials away",
				}
			}
			if anonymous {
				credentials = map[string]string{}
			}
			var answer json.RawMessage
			if err := api.Do(ctx, "PUT", in("/endpoints/%s/credentials", args[0]), credentials, &answer); err != nil || !r.json {
				return err
			}
			return r.pretty(answer)
		})
	keys.flags(cmd.Flags())
	cmd.Flags().BoolVar(&anonymous, "anonymous", false, "take the credentials away: requests are not signed from then on")
	return cmd
}

func (r *remote) endpointRemove() *cobra.Command {
	return r.leaf("remove NAME", "Take a store away that no task uses", "  lockstep endpoint remove dr", cobra.ExactArgs(1),
		func(ctx context.Context, api *client.Client, args []string) error {
			return api.Do(ctx, "DELETE", in("/endpoints/%s", args[0]), nil, nil)
		})
}
