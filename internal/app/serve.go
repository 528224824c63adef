package app

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/api/didspaces"
	"github.com/lockstep-sync/lockstep/internal/api/hooks"
	"github.com/lockstep-sync/lockstep/internal/api/native"
	"github.com/lockstep-sync/lockstep/internal/config"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/db"
	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
	"github.com/lockstep-sync/lockstep/internal/worker"
)

// ServeConfig says what a Service is made of.
type ServeConfig struct {
	config.Serve
	Log     *slog.Logger // nil: none
	Version string
}

// Service is a running Lockstep: the API and the workers over one database. Close it
// when it was made, whether it ran or not.
type Service struct {
	cfg      ServeConfig
	log      *slog.Logger
	lock     *os.File // of the data directory
	db       *db.Store
	stores   *registry
	box      *secret.Box
	in       *queue.Committer
	control  *control.Control
	listener net.Listener
	server   *http.Server
	stopping chan struct{}
	metrics  *serviceMetrics
	lags     lags
	firstKey FirstKey
}

// FirstKey is the access key of the operator who starts a service.
type FirstKey struct {
	ID     task.KeyID
	Secret secret.String // empty: it was made by an earlier start
	Made   bool          // by this start
}

// NewService opens the database and the listener, and sees to the first access key. It
// answers and works once Run runs. Errors are *task.Error where a person can do something.
func NewService(ctx context.Context, cfg ServeConfig) (_ *Service, err error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{cfg: cfg, log: cfg.Log, stopping: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.lock, err = lockData(cfg.Data, cfg.Database == ""); err != nil {
		return nil, err
	}
	key, err := secret.Load(cfg.SealKey, cfg.SealKeyFile)
	if err != nil {
		return nil, err
	}
	box, err := secret.NewBox(key)
	if err != nil {
		return nil, err
	}
	s.db, err = db.Open(ctx, db.Config{Path: filepath.Join(cfg.Data, databaseFile), URL: cfg.Database, Migrate: cfg.Migrate, Log: cfg.Log})
	if err != nil {
		return nil, err
	}
	if cfg.Database == "" { // the lock says that nobody else works here
		if err := s.db.ShortenLeases(ctx, afterCrash); err != nil {
			return nil, err
		}
	}
	s.lags.store = s.db
	s.box = box
	s.stores = newRegistry(s.db, box, cfg.Log)
	s.stores.hosts, s.stores.skew = cfg.OMS.AllowHosts, cfg.VerifySkew
	s.in = queue.NewCommitter(s.db, queue.CommitterConfig{})
	s.control = control.New(control.Config{Store: changingStore{s.db, s.stores}, Accept: s.in, Box: box, Stores: s.stores, KeyRate: cfg.KeyRate, Hosts: cfg.OMS.AllowHosts})
	s.metrics = newServiceMetrics(s)
	if err := s.listen(ctx); err != nil {
		return nil, err
	}
	// The last step: a start that fails after it would have made a key whose secret nobody saw.
	return s, s.ensureKey(ctx)
}

// afterCrash is how long stores may still be busy with requests of a process that was
// killed: nothing of its lanes is worked on before.
const afterCrash = time.Second

// databaseFile is the SQLite database in the data directory.
const databaseFile = "lockstep.db"

func (s *Service) ensureKey(ctx context.Context) error {
	k, given, made, err := s.control.EnsureKey(ctx, s.cfg.Project, s.cfg.AccessKey, s.cfg.SecretKey)
	s.firstKey = FirstKey{ID: k.ID, Secret: given, Made: made && s.cfg.AccessKey == ""}
	return err
}

// FirstKey returns the operator's access key.
func (s *Service) FirstKey() FirstKey { return s.firstKey }

// Control is what clients may ask, for a client in the same process.
func (s *Service) Control() *control.Control { return s.control }

// Admin is the operator as a client in the same process.
func (s *Service) Admin() control.Caller {
	return control.Caller{Project: s.cfg.Project, Role: task.Admin, Actor: task.Actor{Key: s.firstKey.ID, Dialect: task.Native}}
}

// URL is where clients find the service.
func (s *Service) URL() string {
	scheme := "http"
	if s.cfg.TLSCert != "" {
		scheme = "https"
	}
	addr := s.listener.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, fmt.Sprint(addr.Port))
}

func (s *Service) listen(ctx context.Context) (err error) {
	var lc net.ListenConfig
	certificates, err := s.cfg.certificates()
	if err != nil {
		return err
	}
	s.listener, err = lc.Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return &task.Error{
			Kind: task.Unavailable, Code: "CANNOT_LISTEN", Text: fmt.Sprintf("cannot listen on %s: %v", s.cfg.Listen, err),
			Next: "end the program that has the port, or give --listen another address", Err: err,
		}
	}
	s.server = &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		TLSConfig:         &tls.Config{MinVersion: tls.VersionTLS12, Certificates: certificates},
	}
	return nil
}

// certificates reads the certificate and its key: none without TLS.
func (c *ServeConfig) certificates() ([]tls.Certificate, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
	if err != nil {
		return nil, &task.Error{
			Kind: task.Invalid, Code: "TLS_UNUSABLE", Text: "the certificate or its key cannot be used: " + err.Error(),
			Next: "give --tls-cert and --tls-key PEM files that belong together and that this user may read", Err: err,
		}
	}
	return []tls.Certificate{pair}, nil
}

// routes are the front door: every dialect below one listener.
func (s *Service) routes() http.Handler {
	router := api.NewRouter(api.Config{
		Log: s.log, Metrics: s.metrics.handler(), Observer: s.metrics.requests,
		Ready: s.ready,
	})
	if s.cfg.Role != config.RoleWorker {
		router.Add(api.Route{Name: "native", Prefix: native.Root, MaxBody: -1, Handler: native.New(native.Config{
			Control: s.control, Log: s.log, Version: s.cfg.Version, Stopping: s.stopping,
		})})
		s.addElastic(router)
		router.Add(s.didspaces())
		s.addOMS(router)
		router.Add(api.Route{
			Name: "s3-hook", Prefix: hooks.Root, Mask: hooks.Mask,
			Handler: hooks.New(hooks.Config{Control: s.control, Log: s.log}),
		})
	}
	return router
}

// didspaces is the dialect of programs that report their own syncs.
func (s *Service) didspaces() api.Route {
	cfg := didspaces.Config{Control: s.control, Log: s.log}
	if s.cfg.DIDSpacesOpen {
		cfg.Register = func(ctx context.Context, did string) error {
			who := s.Admin()
			who.Actor.Dialect = task.DIDSpaces
			_, _, err := s.control.RegisterApp(ctx, who, did, "")
			return err
		}
	}
	return api.Route{Name: "didspaces", Match: didspaces.Match, MaxBody: -1, Handler: didspaces.New(cfg)}
}

// ready asks whether the database writes.
func (s *Service) ready(ctx context.Context) error { return s.db.Ping(ctx) }

// graceful is how long a service may take to stop.
const graceful = 10 * time.Second

// Run serves until ctx ends, then stops: it takes no more requests, answers those under
// way, lets keys in flight finish or hands them back, and ends within 10 s.
func (s *Service) Run(ctx context.Context) error {
	node := newNodeID()
	// Each part stops before what it needs: requests, then accepts, then the work.
	accepting, stopAccepting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopAccepting()
	g, running := errgroup.WithContext(ctx)
	g.Go(func() error { return s.in.Run(accepting) })
	g.Go(func() error { return s.db.Run(accepting) })
	g.Go(func() error {
		defer stopAccepting()
		return s.serveHTTP(running)
	})
	if s.cfg.Role != config.RoleAPI {
		for _, part := range s.workers(node) {
			g.Go(func() error { return part(running) })
		}
	}
	err := g.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if e := s.lags.flush(last); e != nil {
		s.log.WarnContext(ctx, "the last lags are lost", "error", e)
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// workers are the parts that do what was asked.
func (s *Service) workers(node task.NodeID) []func(context.Context) error {
	lanes := worker.NewLanes(worker.LanesConfig{
		Node: node, Queue: s.db, Deletes: s.db, Wake: s.db.Wake(), Stores: s.stores, Log: s.log, Ended: s.metrics.ended, Accept: s.in,
		Patience: worker.Patience{Archived: s.cfg.RestoreWait},
	})
	scans := worker.NewScans(worker.ScansConfig{
		Node: node, Partitions: s.db, Scans: s.db, Jobs: s.db, Stores: s.stores, Log: s.log, Sweep: 500 * time.Millisecond,
	})
	schedules := worker.NewSchedules(worker.SchedulesConfig{Queue: s.db, Log: s.log, Started: s.metrics.scheduled})
	lists := worker.NewUploader(worker.UploaderConfig{Outbox: s.db, Stores: listStores{s.stores}, Log: s.log})
	janitor := worker.NewJanitor(worker.JanitorConfig{Jobs: s.db, Log: s.log, Every: time.Second, Ended: s.metrics.jobEnded, Chores: s.chores()})
	notices := worker.NewNotices(worker.NoticesConfig{Queue: s.db, Log: s.log, Open: func(n task.Notification) ([]byte, error) {
		return control.OpenNotification(s.box, n)
	}})
	return []func(context.Context) error{lanes.Run, scans.Run, lists.Run, schedules.Run, notices.Run, janitor.Run}
}

// onceKept is how long an idempotency key answers repeated requests.
const onceKept = 24 * time.Hour

func (s *Service) chores() []worker.Chore {
	return []worker.Chore{
		{Name: "forget idempotency keys", Every: time.Hour, Do: func(ctx context.Context) error { return s.db.ForgetOnce(ctx, onceKept) }},
		{Name: "store lags", Every: lagEvery, Do: s.lags.flush},
		{Name: "retention", Every: time.Minute, Do: s.retire},
	}
}

// serveHTTP answers until ctx ends, and then what is under way.
func (s *Service) serveHTTP(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() {
		if s.cfg.TLSCert != "" {
			failed <- s.server.ServeTLS(s.listener, "", "")
			return
		}
		failed <- s.server.Serve(s.listener)
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("listener: %w", err)
	case <-ctx.Done():
	}
	close(s.stopping) // streams of live counts never end by themselves
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceful-2*time.Second)
	defer cancel()
	if err := s.server.Shutdown(patience); err != nil {
		s.log.Warn("requests were cut off", "error", err)
		return s.server.Close()
	}
	return nil
}

// Close gives everything back.
func (s *Service) Close() error {
	var errs []error
	if s.listener != nil {
		if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if s.stores != nil {
		errs = append(errs, s.stores.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// newNodeID names this process among those that share the database.
func newNodeID() task.NodeID {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	var b [4]byte
	rand.Read(b[:])
	return task.NodeID(fmt.Sprintf("%.40s-%d-%s", host, os.Getpid(), hex.EncodeToString(b[:])))
}
