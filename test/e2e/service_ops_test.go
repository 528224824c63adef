package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// diskTask makes a task between two directories, of which the source holds n objects.
func (s *service) diskTask(n int) (store string) {
	s.Helper()
	store = s.TempDir()
	for i := range n {
		path := filepath.Join(store, "source", fmt.Sprintf("d%02d/o%05d", i%50, i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("body"), 0o644); err != nil {
			s.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(store, "destination"), 0o755); err != nil {
		s.Fatal(err)
	}
	s.call(http.MethodPost, "/endpoints", map[string]any{"name": "disk", "provider": "file", "url": "file://" + store}, nil)
	s.newTask("t", "disk:source", "disk:destination", nil)
	return store
}

// TestStopUnderLoad ends a service by SIGTERM while clients post, a scan copies and a
// stream of live counts is open. It must end in order within 10 s, and lose nothing.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.start()
	s.diskTask(5000)
	scan := s.scan("t")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var accepted atomic.Int64
	var streaming atomic.Bool
	var clients sync.WaitGroup
	for p := range 8 {
		clients.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				status, _, err := s.try(ctx, http.MethodPost, "/api/v1/tasks/t/events", map[string]any{"keys": []string{fmt.Sprintf("d%02d/o%05d", i%50, i%5000), fmt.Sprintf("gone/%d/%d", p, i)}})
				if err != nil {
					return // it has stopped listening
				}
				if status == http.StatusAccepted {
					accepted.Add(2)
				}
			}
		})
	}
	stream, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/api/v1/tasks/t/live", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	stream.SetBasicAuth(serviceKey, serviceSecret)
	clients.Go(func() {
		if resp, err := s.client.Do(stream); err == nil {
			streaming.Store(resp.StatusCode == http.StatusOK)
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
	s.until("the scan copies", func() bool { return s.job(scan.ID).Counts.Synced > 100 && accepted.Load() > 100 && streaming.Load() })
	begun := time.Now()
	s.stop()
	if took := time.Since(begun); took > 12*time.Second { // 10 s, and two for a busy machine
		t.Errorf("it stopped after %v", took)
	}
	stop()
	clients.Wait()
	s.start()
	s.settled("t")
	if c := s.prove("t"); c.Requested-s.job(scan.ID).Counts.Requested < accepted.Load() {
		t.Errorf("%d keys were accepted, %+v are recorded", accepted.Load(), c)
	}
	s.until("the scan ends", func() bool { return s.job(scan.ID).State == "done" })
	s.stop()
}

// TestKeyRate: a key that asks too often is told to wait, and served again after it.
func TestKeyRate(t *testing.T) {
	t.Parallel()
	s := newService(t, "--key-rate", "0.2")
	s.start()
	var limited *http.Response
	s.until("a request is refused", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.address+"/api/v1/tasks", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(serviceKey, serviceSecret)
		resp, err := s.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		limited = resp
		return resp.StatusCode == http.StatusTooManyRequests
	})
	if limited.Header.Get("Retry-After") == "" {
		t.Error("nobody says how long to wait")
	}
	wants(t, s.cli(1, "", "task", "list"), "RATE_LIMITED")
	s.until("it is served again", func() bool {
		status, _, err := s.try(t.Context(), http.MethodGet, "/api/v1/tasks", nil)
		return err == nil && status == http.StatusOK
	})
	s.stop()
}

// TestTLS serves by a certificate from files; the command line trusts the system's.
func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	s := newService(t, "--tls-cert", cert, "--tls-key", key)
	pool := x509.NewCertPool()
	text, err := os.ReadFile(cert)
	if err != nil || !pool.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}}
	defer client.CloseIdleConnections()
	s.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), binary, append([]string{"serve", "--data", s.data, "--listen", s.address}, s.flags...)...)
	s.cmd.Env = append(os.Environ(), "LOCKSTEP_ACCESS_KEY="+serviceKey, "LOCKSTEP_SECRET_KEY="+serviceSecret)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.until("it answers by TLS", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.address+"/readyz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	run := func(extra ...string) (string, int) {
		cmd := exec.CommandContext(t.Context(), binary, "status")
		cmd.Env = append(append(os.Environ(), "LOCKSTEP_URL=https://"+s.address, "LOCKSTEP_ACCESS_KEY="+serviceKey, "LOCKSTEP_SECRET_KEY="+serviceSecret), extra...)
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, code := run("SSL_CERT_FILE=" + cert); code != 0 || !strings.Contains(out, "no task yet") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if out, code := run(); code != 1 || !strings.Contains(out, "certificate") {
		t.Errorf("a strange certificate is trusted: exit %d\n%s", code, out)
	}
	s.stop()
}

// certificate writes one for 127.0.0.1 that signs itself.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lockstep test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, form, form, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, body []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: body}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", signed), write("key.pem", "PRIVATE KEY", secret)
}
