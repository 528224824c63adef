package config

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// CheckPair refuses a destination that overlaps its source: such a sync would
// read what it writes. Directories are compared with symbolic links resolved,
// buckets by endpoint, name and prefix; two names of one server can only be
// told apart by the server itself. Errors are *task.Error of kind Invalid.
func CheckPair(src, dst Store) error {
	if src.Scheme != dst.Scheme {
		return nil
	}
	var dstInSrc, srcInDst bool
	if src.Scheme == schemeFile {
		dstInSrc, srcInDst = inside(dst.Dir, src.Dir), inside(src.Dir, dst.Dir)
	} else if service(src.Endpoint) == service(dst.Endpoint) && src.Bucket == dst.Bucket {
		dstInSrc, srcInDst = strings.HasPrefix(dst.Prefix, src.Prefix), strings.HasPrefix(src.Prefix, dst.Prefix)
	}
	const next = "choose a source and a destination that do not overlap"
	switch {
	case dstInSrc && srcInDst:
		return invalid("SAME_STORE", "source and destination are the same", next)
	case dstInSrc:
		return invalid("DESTINATION_INSIDE_SOURCE", "the destination lies inside the source", next)
	case srcInDst:
		return invalid("SOURCE_INSIDE_DESTINATION", "the source lies inside the destination", next)
	}
	return nil
}

// CheckOutside refuses a path that a run writes for itself (flag names which)
// inside a store it reads or writes: it would be synced, or deleted, as an object.
func CheckOutside(flag, path string, stores ...Store) error {
	if path == "" {
		return nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return invalid("INVALID_PATH", "the path of "+flag+" cannot be made absolute", "give an absolute path")
	}
	for _, s := range stores {
		if s.Scheme == schemeFile && inside(abs, s.Dir) {
			return invalid("PATH_INSIDE_STORE", "the path of "+flag+" lies inside a directory that is synced", "choose a path outside source and destination")
		}
	}
	return nil
}

// inside reports whether path is dir or lies below it, by whatever name. Files
// are compared by identity too, for bind mounts and file systems that fold case.
func inside(path, dir string) bool {
	path, dir = resolve(path), resolve(dir)
	root, err := os.Stat(dir)
	for p := path; ; p = filepath.Dir(p) {
		if p == dir {
			return true
		}
		if err == nil {
			if info, statErr := os.Stat(p); statErr == nil && os.SameFile(info, root) {
				return true
			}
		}
		if p == filepath.Dir(p) {
			return false
		}
	}
}

// resolve follows the symbolic links of the part of path that exists. A
// destination need not exist yet.
func resolve(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	parent := filepath.Dir(path)
	if parent == path {
		return path
	}
	return filepath.Join(resolve(parent), filepath.Base(path))
}

// service names the server behind an endpoint. Amazon's bucket names are unique
// across regions, so all its endpoints of a partition are one service; the usual
// names of this machine are one host.
func service(endpoint string) string {
	if endpoint == "" {
		return "amazonaws.com"
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return endpoint
	}
	host, port := strings.TrimSuffix(u.Hostname(), "."), u.Port()
	for _, partition := range []string{"amazonaws.com", "amazonaws.com.cn"} {
		if strings.HasSuffix(host, "."+partition) {
			return partition
		}
	}
	if host == "127.0.0.1" || host == "::1" {
		host = "localhost"
	}
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(host, port)
}
