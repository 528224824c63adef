package worker

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lockstep-sync/lockstep/internal/queue"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// NoticesConfig says how a Notices works. Queue and Open are needed.
type NoticesConfig struct {
	Queue queue.Notices
	// Open returns the key that what goes to a notification is signed with.
	Open func(task.Notification) ([]byte, error)
	Log  *slog.Logger
	// Sweep is the time between two looks; 0: 2 s.
	Sweep time.Duration
	// Retry is how long after the first failed attempt comes the second; it doubles up to
	// an hour; 0: 10 s.
	Retry time.Duration
	// GiveUp is the age at which a notice is not tried again; 0: 24 h.
	GiveUp time.Duration
}

// Notices sends what is to be told. It may run on every node: one sends a notice at a
// time. One may arrive twice, when its answer is lost: Lockstep-Delivery tells.
type Notices struct {
	cfg  NoticesConfig
	http http.Client
}

// NewNotices returns a Notices. It starts nothing.
func NewNotices(cfg NoticesConfig) *Notices {
	cfg.Sweep, cfg.Retry, cfg.GiveUp = or(cfg.Sweep, 2*time.Second), or(cfg.Retry, 10*time.Second), or(cfg.GiveUp, 24*time.Hour)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	n := &Notices{cfg: cfg}
	n.http = http.Client{
		Transport:     http.DefaultTransport.(*http.Transport).Clone(), // what others close is theirs
		Timeout:       noticeTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return n
}

const (
	noticeTime = 10 * time.Second // that a receiver may take
	noticeStep = 20               // claimed at a time
	mostRetry  = time.Hour
)

// Run sends until ctx ends.
func (n *Notices) Run(ctx context.Context) error {
	for {
		due, err := n.cfg.Queue.ClaimNotices(ctx, noticeStep, 2*noticeStep*noticeTime)
		if err == nil {
			err = n.deliverAll(ctx, due)
		}
		if err != nil && ctx.Err() == nil {
			n.cfg.Log.Error("notices wait", "err", err)
		}
		if len(due) == noticeStep && err == nil {
			continue
		}
		if !pause(ctx, n.cfg.Sweep, nil) {
			return nil
		}
	}
}

// deliverAll makes one attempt of each. Receivers are told side by side, each in order; one
// that does not answer is asked no more this time: its time-outs would add up.
func (n *Notices) deliverAll(ctx context.Context, due []queue.Notice) error {
	byReceiver := map[string][]queue.Notice{}
	for _, d := range due {
		byReceiver[d.To.ID] = append(byReceiver[d.To.ID], d)
	}
	var told errgroup.Group
	for _, ds := range byReceiver {
		told.Go(func() (err error) {
			var how error
			for _, d := range ds {
				if !errors.Is(how, errNoAnswer) {
					how = n.send(ctx, d)
				}
				if err = n.note(ctx, d, how); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return told.Wait()
}

// note writes down how an attempt went.
func (n *Notices) note(ctx context.Context, d queue.Notice, err error) error {
	switch age := time.Since(d.MadeAt); {
	case err == nil:
		return n.cfg.Queue.EndNotice(ctx, d, "")
	case ctx.Err() != nil:
		return ctx.Err()
	case d.To.URL == "":
		return n.cfg.Queue.EndNotice(ctx, d, "") // it was taken away
	case age > n.cfg.GiveUp:
		n.cfg.Log.Error("a notice never arrived", "notification", d.To.ID, "event", d.Event, "err", err)
		return n.cfg.Queue.EndNotice(ctx, d, "given up: "+err.Error())
	}
	after := min(mostRetry, n.cfg.Retry<<min(d.Attempts, 16))
	n.cfg.Log.Warn("a notice did not arrive", "notification", d.To.ID, "event", d.Event, "err", err, "again", after)
	return n.cfg.Queue.DelayNotice(ctx, d, jittered(after), err.Error())
}

// send posts a notice. Its error holds nothing of the address, which may hold secrets.
func (n *Notices) send(ctx context.Context, d queue.Notice) error {
	key, err := n.cfg.Open(d.To)
	if err != nil {
		return fmt.Errorf("the signing key cannot be opened: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.To.URL, bytes.NewReader(d.Body))
	if err != nil {
		return errNoAddress
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "lockstep")
	req.Header.Set("Lockstep-Event", string(d.Event))
	req.Header.Set("Lockstep-Delivery", strconv.FormatInt(d.Num, 10))
	req.Header.Set("Lockstep-Signature", SignNotice(key, time.Now(), d.Body))
	resp, err := n.http.Do(req)
	if err != nil {
		return errNoAnswer
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the receiver answers %d", resp.StatusCode)
	}
	return nil
}

var (
	errNoAddress = fmt.Errorf("the address cannot be used")
	errNoAnswer  = fmt.Errorf("the receiver does not answer")
)

// SignNotice returns the signature of a body sent at a time: t is seconds since 1970, v1
// the HMAC-SHA256, in hexadecimal, of t, a dot and the body. Receivers refuse old ones.
func SignNotice(key []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
