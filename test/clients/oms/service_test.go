// Package oms runs unmodified clients of Huawei's OMS against the lockstep binary, with
// real S3 servers behind it. It is a module of its own: the SDKs are no dependency of
// Lockstep.
package oms

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	accessKey = "LSOMSCLIENTSTEST0000"
	secretKey = "a secret/+= that only these tests know"
	project   = "default"
)

// Made once for all tests.
var (
	binary    string
	cert, key string // PEM files of a certificate for 127.0.0.1, which clients here trust
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lockstep-oms-clients-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "lockstep")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "./cmd/lockstep")
	build.Dir = "../../.."
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	if cert, key, err = makeCertificate(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The Go SDK writes below HOME, and trusts what the system does.
	for name, value := range map[string]string{"HOME": dir, "SSL_CERT_FILE": cert} {
		if name == "HOME" {
			keepGoPaths()
		}
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

// keepGoPaths has what is found by HOME found without it: built servers.
func keepGoPaths() {
	if cache, err := os.UserCacheDir(); err == nil {
		_ = os.Setenv("XDG_CACHE_HOME", cache)
	}
}

func makeCertificate(dir string) (cert, key string, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	t := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lockstep"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, &t, &t, &k.PublicKey, k)
	if err != nil {
		return "", "", err
	}
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		return "", "", err
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err = os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return "", "", err
	}
	return cert, key, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600)
}

// service is a running lockstep over two S3 servers.
type service struct {
	*testing.T
	address  string // host:port
	url      string
	src, dst s3server.Server
	log      *bytes.Buffer
}

// newService starts lockstep with a source at AWS/us-east-1 whose keys come with each
// task, and a destination at HEC/cn-north-4 with registered ones.
func newService(t *testing.T, flags ...string) *service {
	t.Helper()
	s := &service{T: t, src: s3server.VersityGW(t), dst: s3server.VersityGW(t), log: &bytes.Buffer{}}
	s3server.MakeBucket(t, s.src, "photos")
	s3server.MakeBucket(t, s.dst, "photos-copy")
	s3server.MakeBucket(t, s.dst, "more")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	s.must(err)
	s.address = l.Addr().String()
	s.must(l.Close())
	s.url = "http://" + s.address
	if slices.Contains(flags, "--tls-cert") {
		s.url = "https://" + s.address
	}
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"serve", "--data", t.TempDir(), "--listen", s.address}, flags...)...)
	cmd.Env = s.env()
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 15 * time.Second
	s.must(cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("lockstep said:\n%s", s.log)
		}
	})
	s.await()
	s.lockstep("endpoint", "add", "source", "--provider", "generic", "--url", s.src.Endpoint, "--oms", "AWS/us-east-1")
	s.lockstep("endpoint", "add", "copies", "--provider", "versitygw", "--url", s.dst.Endpoint, "--oms", "HEC/cn-north-4",
		"--access-key", s.dst.AccessKey, "--secret-key", s.dst.SecretKey)
	return s
}

func (s *service) env() []string {
	return append(os.Environ(), "LOCKSTEP_ACCESS_KEY="+accessKey, "LOCKSTEP_SECRET_KEY="+secretKey, "LOCKSTEP_URL="+s.url)
}

func (s *service) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *service) await() {
	s.Helper()
	pool := x509.NewCertPool()
	raw, err := os.ReadFile(cert)
	s.must(err)
	pool.AppendCertsFromPEM(raw)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	for range 200 {
		req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.url+"/readyz", nil)
		s.must(err)
		if resp, err := client.Do(req); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-s.Context().Done():
		}
	}
	s.Fatalf("lockstep does not answer:\n%s", s.log)
}

// lockstep runs a command and returns what it prints.
func (s *service) lockstep(args ...string) string {
	s.Helper()
	cmd := exec.CommandContext(s.Context(), binary, args...)
	cmd.Env = s.env()
	out, err := cmd.Output()
	if err != nil {
		s.Fatalf("lockstep %s: %v\n%s", strings.Join(args, " "), err, stderrOf(err))
	}
	return strings.TrimSpace(string(out))
}

func stderrOf(err error) []byte {
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		return e.Stderr
	}
	return nil
}

// store is a client of one of the S3 servers.
func (s *service) store(srv s3server.Server) *minio.Client {
	s.Helper()
	c, err := minio.New(strings.TrimPrefix(srv.Endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4(srv.AccessKey, srv.SecretKey, ""), Region: srv.Region})
	s.must(err)
	return c
}

func (s *service) put(key, data string) {
	s.Helper()
	_, err := s.store(s.src).PutObject(s.Context(), "photos", key, strings.NewReader(data), int64(len(data)),
		minio.PutObjectOptions{ContentType: "text/x-test", UserMetadata: map[string]string{"owner": "me"}})
	s.must(err)
}

// get returns an object's text; ok is false when it is not there.
func (s *service) get(srv s3server.Server, bucket, key string) (string, minio.ObjectInfo, bool) {
	s.Helper()
	o, err := s.store(srv).GetObject(s.Context(), bucket, key, minio.GetObjectOptions{})
	s.must(err)
	defer func() { _ = o.Close() }()
	info, err := o.Stat()
	if err != nil {
		return "", info, false
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(o)
	s.must(err)
	return b.String(), info, true
}

// lists waits until there is a list in each directory and returns them all by name.
func (s *service) lists(bucket, prefix string, wanted ...string) map[string]string {
	s.Helper()
	for range 300 {
		out := map[string]string{}
		for o := range s.store(s.dst).ListObjects(s.Context(), bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
			s.must(o.Err)
			out[strings.TrimPrefix(o.Key, prefix)], _, _ = s.get(s.dst, bucket, o.Key)
		}
		missing := slices.ContainsFunc(wanted, func(w string) bool {
			for name := range out {
				if strings.HasPrefix(name, w) {
					return false
				}
			}
			return true
		})
		if !missing {
			return out
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-s.Context().Done():
		}
	}
	s.Fatalf("no lists below %s", prefix)
	return nil
}
