package didspaces_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha3"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/api/didspaces"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// wallet signs as the client does. Keys are those of the vectors, made for them alone.
type wallet struct {
	did, pk string
	secret  []byte
	alg     string
	version string
}

// wallets are the vectors', by label.
func wallets(tb testing.TB) map[string]wallet {
	tb.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		tb.Fatal(err)
	}
	var v struct {
		Wallets []struct{ Label, SecretKey, PublicKey, Address string }
	}
	if err := json.Unmarshal(text, &v); err != nil {
		tb.Fatal(err)
	}
	out := map[string]wallet{}
	for _, w := range v.Wallets {
		raw, err := hex.DecodeString(strings.TrimPrefix(w.SecretKey, "0x"))
		if err != nil {
			tb.Fatal(err)
		}
		alg, _, _ := strings.Cut(w.Label, "-")
		out[w.Label] = wallet{w.Address, w.PublicKey, raw, map[string]string{"ed25519": "Ed25519", "secp256k1": "ES256K", "ethereum": "Ethereum"}[alg], "1.0.0"}
	}
	return out
}

// token makes a token with these claims besides the usual ones.
func (w wallet) token(now time.Time, more map[string]any) string {
	claims := map[string]any{
		"iss": "did:abt:" + w.did, "iat": strconv.FormatInt(now.Unix(), 10), "nbf": strconv.FormatInt(now.Unix(), 10),
		"exp": strconv.FormatInt(now.Add(time.Hour).Unix(), 10), "version": w.version,
	}
	maps.Copy(claims, more)
	body, _ := json.Marshal(claims)
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString([]byte(`{"alg":"`+w.alg+`","type":"JWT"}`)) + "." + enc.EncodeToString(body)
	message := []byte(signed)
	if w.version == "1.1.0" {
		sum := sha3.Sum256(message)
		message = sum[:]
	}
	var signature []byte
	if w.alg == "Ed25519" {
		signature = ed25519.Sign(w.secret, message)
	} else {
		signature = ecdsa.Sign(secp256k1.PrivKeyFromBytes(w.secret), message[:32]).Serialize()
	}
	return signed + "." + enc.EncodeToString(signature)
}

func (w wallet) sign(r *http.Request, target string, now time.Time) {
	sum := sha3.Sum256([]byte(`{"data":{},"method":"` + r.Method + `","url":"` + target + `"}`))
	r.Header.Set("x-app-did", w.did)
	r.Header.Set("x-app-pk", w.pk)
	r.Header.Set("x-app-token", w.token(now, map[string]any{"digest": "0x" + hex.EncodeToString(sum[:])}))
}

// world is the dialect over a real database, in process on a port of its own.
type world struct {
	testing.TB
	url     string
	path    string // of the database
	db      *db.Store
	control *control.Control
	wallets map[string]wallet
	space   string
	open    *atomicBool

	admin, stranger control.Caller // of projects p and q
}

type atomicBool struct {
	mu sync.Mutex
	on bool
}

func (b *atomicBool) set(on bool) { b.mu.Lock(); b.on = on; b.mu.Unlock() }
func (b *atomicBool) get() bool   { b.mu.Lock(); defer b.mu.Unlock(); return b.on }

// template is an empty database: copying it costs less than migrating each anew.
var template = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "lockstep-template-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "lockstep.db")
	store, err := db.Open(context.Background(), db.Config{Path: path})
	if err != nil {
		return nil, err
	}
	if err := store.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// newWorld makes a project p with the apps "app" and "other", and q with "stranger".
func newWorld(tb testing.TB) *world {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "lockstep.db")
	empty, err := template()
	if err == nil {
		err = os.WriteFile(path, empty, 0o600)
	}
	if err != nil {
		tb.Fatal(err)
	}
	store, err := db.Open(tb.Context(), db.Config{Path: path})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := store.Close(); err != nil {
			tb.Error(err)
		}
	})
	box, err := secret.NewBox(secret.NewKey())
	if err != nil {
		tb.Fatal(err)
	}
	all := wallets(tb)
	w := &world{TB: tb, path: path, db: store, open: &atomicBool{}, space: all["ed25519-sha3-account-default-1"].did, wallets: map[string]wallet{
		"app": all["ed25519-sha3-application-1"], "other": all["ed25519-sha3-application-2"], "stranger": all["ed25519-sha3-application-3"],
		"unknown": all["ed25519-sha3-blocklet-1"], "user": all["ed25519-sha3-account-default-1"], "curve": all["secp256k1-sha3-application-1"],
	}}
	in := queue.NewCommitter(store, queue.CommitterConfig{})
	ctx, cancel := context.WithCancel(tb.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = in.Run(ctx) })
	for !in.Accepting() {
		time.Sleep(time.Millisecond)
	}
	tb.Cleanup(func() { cancel(); wg.Wait() })
	w.control = control.New(control.Config{Store: store, Accept: in, Box: box})
	w.admin = control.Caller{Project: "p", Role: task.Admin, Actor: task.Actor{Key: "k", Dialect: task.Native}}
	w.stranger = control.Caller{Project: "q", Role: task.Admin, Actor: task.Actor{Key: "k", Dialect: task.Native}}
	for name, who := range map[string]control.Caller{"app": w.admin, "other": w.admin, "curve": w.admin, "stranger": w.stranger} {
		_, made, err := w.control.RegisterApp(tb.Context(), who, w.wallets[name].did, "App "+name)
		if err != nil || !made {
			tb.Fatal(made, err)
		}
	}
	router := api.NewRouter(api.Config{})
	dialect := didspaces.New(didspaces.Config{Control: w.control, Register: func(ctx context.Context, did string) error {
		if !w.open.get() {
			return &task.Error{Kind: task.Denied, Code: control.CodeAppUnknown, Text: "the app is registered to no project", Next: "register it with: lockstep app add " + did}
		}
		_, _, err := w.control.RegisterApp(ctx, w.admin, did, "")
		return err
	}})
	router.Add(api.Route{Name: "didspaces", Match: didspaces.Match, MaxBody: -1, Handler: dialect})
	server := httptest.NewServer(router)
	tb.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// in is the world as a fuzz target of t uses it.
func (w *world) in(t *testing.T) *world {
	v := *w
	v.TB = t
	return &v
}

// base is the normalised endpoint of an app.
func (w *world) base(app string) string {
	return "/app/api/space/" + w.space + "/app/" + w.wallets[app].did
}

// httpClient follows no redirect: none may ever be answered.
var httpClient = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("redirected") }}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// do makes a request signed by who; nobody signs for "".
func (w *world) do(who, method, target, body string, header ...string) answer {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), method, w.url+target, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	if who != "" {
		w.signAs(req, who, target)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := httpClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, text}
}

// signAs signs as WALLET, WALLET/VERSION for a version of tokens, or WALLET<-DELEGATOR.
func (w *world) signAs(req *http.Request, who, target string) {
	w.Helper()
	who, from, delegated := strings.Cut(who, "<-")
	who, version, _ := strings.Cut(who, "/")
	one, ok := w.wallets[who]
	if !ok {
		w.Fatalf("there is no wallet %q", who)
	}
	if version != "" {
		one.version = version
	}
	now := time.Now()
	one.sign(req, target, now)
	if delegated {
		d := w.wallets[from]
		req.Header.Set("x-app-delegation", d.token(now, map[string]any{
			"from": d.did, "to": one.did, "userPk": d.pk, "permissions": []map[string]string{{"role": "DIDSpaceAgent"}},
		}))
	}
}

// ok makes a request that must succeed and reads the answer.
func (w *world) ok(who, method, target, body string, out any) {
	w.Helper()
	a := w.do(who, method, target, body)
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
		w.Fatalf("%s %s: %d %s", method, target, a.status, a.body)
	}
	if err := json.NewDecoder(bytes.NewReader(a.body)).Decode(out); err != nil {
		w.Fatalf("%s %s: %v in %s", method, target, err, a.body)
	}
}

// logEntry is an entry as a client reads it.
type logEntry struct {
	ID, EntityID, EntityName, ActionType, UserID, Status, Reason, CreatedAt, UpdatedAt string
	Data                                                                               struct {
		AppName, Source, Target                    string
		TotalCount, ErrorCount, SuccessCount, Size int64
		Duration                                   float64
		Metadata                                   json.RawMessage
	}
}

// page is a list as a client reads it.
type page struct {
	Rows, Data   []logEntry
	Count, Total int64
	Page, Size   int
}

// post makes an entry of an app and returns its id.
func (w *world) post(app string) string {
	w.Helper()
	var e logEntry
	w.ok(app, "POST", w.base(app)+"/audit-log", `{"actionType":"app-objects-sync","data":{"source":"a","target":"b"}}`, &e)
	return e.ID
}

// put reports on an entry of the app.
func (w *world) put(id, status string, total, failed int) logEntry {
	w.Helper()
	var e logEntry
	w.ok("app", "PUT", w.base("app")+"/audit-log", fmt.Sprintf(
		`{"id":%q,"status":%q,"actionType":"app-objects-sync","data":{"totalCount":%d,"errorCount":%d,"size":7,"duration":1.5}}`, id, status, total, failed), &e)
	return e
}

// addTask makes a task of project p and lets it take a record for each key.
func (w *world) addTask(name string, keys ...string) (task.Task, task.JobID) {
	w.Helper()
	k, err := w.db.CreateTask(w.Context(), task.Task{
		Project: "p", Name: name, Shards: 4, Origin: task.Native, State: task.Active,
		Source: task.Location{Endpoint: "src", Bucket: "b"}, Destination: task.Location{Endpoint: "dst", Bucket: "b", Prefix: name + "/"},
	}, task.Actor{})
	if err != nil {
		w.Fatal(err)
	}
	events := make([]control.Event, len(keys))
	for i, key := range keys {
		events[i].Key = key
	}
	r, err := w.control.AcceptEvents(w.Context(), w.admin, string(k.ID), events)
	if err != nil {
		w.Fatal(err)
	}
	return k, r.Job
}

// work settles what is due: synced, or failed when the key begins with "bad".
func (w *world) work() {
	w.Helper()
	for {
		lanes, err := w.db.ClaimLanes(w.Context(), "n", 100, time.Minute)
		if err != nil {
			w.Fatal(err)
		}
		if len(lanes) == 0 {
			return
		}
		for _, l := range lanes {
			slice, err := w.db.Slice(w.Context(), l.LaneID, 1000, nil)
			if err != nil {
				w.Fatal(err)
			}
			var done []queue.Settlement
			for _, r := range slice.Records {
				s := queue.Settlement{Record: r, Outcome: task.Synced, Reason: task.Copied, Size: 3}
				if strings.HasPrefix(r.Key, "bad") {
					s = queue.Settlement{Record: r, Outcome: task.Failed, Reason: task.DestinationDenied, Cause: "no"}
				}
				done = append(done, s)
			}
			if _, err := w.db.Settle(w.Context(), l, done); err != nil {
				w.Fatal(err)
			}
			if err := w.db.ReleaseLanes(w.Context(), []queue.Lane{l}); err != nil {
				w.Fatal(err)
			}
		}
	}
}
