package config

import (
	"crypto/x509"
	"errors"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/task"
)

// Side names one end of a sync; it is also the middle of its environment
// variables: LOCKSTEP_SRC_ACCESS_KEY.
type Side string

// The sides.
const (
	Source      Side = "SRC"
	Destination Side = "DST"
)

// String is the side's word in texts.
func (s Side) String() string {
	if s == Destination {
		return "destination"
	}
	return "source"
}

// flag is the name of a flag of this side.
func (s Side) flag(name string) string { return "--" + strings.ToLower(string(s)) + "-" + name }

// StoreFlags are the settings of one side beside its address.
type StoreFlags struct {
	Endpoint    string
	Region      string
	Provider    string
	VirtualHost bool
	Anonymous   bool
	CAFile      string
	SignPayload bool
	Options     []string // capability overrides, "name=value"
}

// ResolveStore makes a Store of an address, its flags and the environment. Keys
// come from LOCKSTEP_<side>_ACCESS_KEY, …_SECRET_KEY and …_SESSION_TOKEN; when
// these are empty the fields stay empty, and the driver looks at the usual AWS
// variables and files. Without endpoint and region flags the region comes from
// AWS_REGION or AWS_DEFAULT_REGION. Errors are *task.Error of kind Invalid.
func ResolveStore(side Side, arg string, flags StoreFlags, env func(string) string) (Store, error) {
	s, err := ParseStore(arg)
	if err == nil && s.Scheme == schemeFile {
		err = checkDirFlags(side, &s, flags)
	} else if err == nil {
		err = resolveS3(side, &s, flags, env)
	}
	if err != nil {
		return Store{}, onSide(side, err)
	}
	return s, nil
}

// onSide says in err's text which side it is about.
func onSide(side Side, err error) error {
	e, ok := errors.AsType[*task.Error](err)
	if !ok {
		return err
	}
	told := *e
	told.Text = side.String() + ": " + e.Text
	return &told
}

// checkDirFlags refuses flags that mean nothing to a directory: whoever gives
// them means another store.
func checkDirFlags(side Side, s *Store, flags StoreFlags) error {
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"endpoint", flags.Endpoint != ""},
		{"region", flags.Region != ""},
		{"provider", flags.Provider != ""},
		{"virtual-host", flags.VirtualHost},
		{"anonymous", flags.Anonymous},
	} {
		if f.given {
			return invalid("FLAG_NEEDS_BUCKET", side.flag(f.name)+" is given, but the address is a directory",
				"leave the flag out, or write s3://BUCKET/PREFIX")
		}
	}
	return setOptions(side, s, flags.Options)
}

func resolveS3(side Side, s *Store, flags StoreFlags, env func(string) string) error {
	endpoint, err := parseEndpoint(side, flags.Endpoint)
	if err != nil {
		return err
	}
	if err := checkCAFile(flags.CAFile); err != nil {
		return err
	}
	s.Endpoint, s.Region, s.Provider = endpoint, flags.Region, flags.Provider
	s.VirtualHost, s.CAFile, s.SignPayload = flags.VirtualHost, flags.CAFile, flags.SignPayload
	if s.Region == "" && s.Endpoint == "" {
		s.Region = firstSet(env, "AWS_REGION", "AWS_DEFAULT_REGION")
	}
	if err := setKeys(side, s, flags.Anonymous, env); err != nil {
		return err
	}
	return setOptions(side, s, flags.Options)
}

func firstSet(env func(string) string, names ...string) string {
	for _, name := range names {
		if v := env(name); v != "" {
			return v
		}
	}
	return ""
}

func setKeys(side Side, s *Store, anonymous bool, env func(string) string) error {
	variable := "LOCKSTEP_" + string(side) + "_"
	access, secret, token := env(variable+"ACCESS_KEY"), env(variable+"SECRET_KEY"), env(variable+"SESSION_TOKEN")
	switch {
	case anonymous:
		// An explicit flag wins over an environment that may be meant for other runs.
		s.Anonymous = true
		return nil
	case (access == "") != (secret == "") || access == "" && token != "":
		return invalid("INCOMPLETE_KEYS", "only a part of the keys is set in the environment",
			"set both "+variable+"ACCESS_KEY and "+variable+"SECRET_KEY, or neither of them and no "+variable+"SESSION_TOKEN")
	}
	s.AccessKey, s.SecretKey, s.SessionToken = access, secret, token
	return nil
}

func setOptions(side Side, s *Store, options []string) error {
	for _, o := range options {
		if name, value, ok := strings.Cut(o, "="); !ok || name == "" || value == "" {
			return invalid("INVALID_OPTION", "an option is not of the form name=value", "write "+side.flag("option")+" NAME=VALUE")
		}
	}
	s.Override = slices.Clone(options)
	return nil
}

// parseEndpoint returns endpoint as scheme://host[:port], lower case.
func parseEndpoint(side Side, endpoint string) (string, error) {
	if endpoint == "" {
		return "", nil
	}
	form := "write " + side.flag("endpoint") + " https://HOST or http://HOST:PORT"
	// First of all, and by hand: what url.Parse complains of it also repeats.
	if strings.Contains(endpoint, "@") {
		return "", invalid("KEYS_IN_ADDRESS", "an endpoint must not hold access keys: other users of this machine can read arguments",
			"give keys in LOCKSTEP_"+string(side)+"_ACCESS_KEY and LOCKSTEP_"+string(side)+"_SECRET_KEY")
	}
	if !strings.Contains(endpoint, "://") {
		return "", invalid("INVALID_ENDPOINT", "the endpoint has no scheme, so it is not known whether to encrypt", form)
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || u.Opaque != "" {
		return "", invalid("INVALID_ENDPOINT", "the endpoint is not a URL", form)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "", invalid("INVALID_ENDPOINT", "the endpoint's scheme is neither http nor https", form)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", invalid("INVALID_ENDPOINT", "the endpoint has something behind the host", form+"; bucket and prefix belong to s3://BUCKET/PREFIX")
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
}

// checkCAFile reads the file now, because a TLS error much later would not name it.
func checkCAFile(path string) error {
	if path == "" {
		return nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return &task.Error{
			Kind: task.Invalid, Code: "INVALID_CA_FILE", Text: "the file of --ca-file cannot be read: " + cause(err),
			Next: "check its path and permissions", Err: err,
		}
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return invalid("INVALID_CA_FILE", "the file of --ca-file holds no PEM certificate", "give a file with -----BEGIN CERTIFICATE----- blocks")
	}
	return nil
}

// cause is the operating system's word of a file error, without the path.
func cause(err error) string {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
