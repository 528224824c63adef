package cdn_test

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/cdn"
	"github.com/lockstep-sync/lockstep/internal/task"
)

// checkers verify requests as the vendors' documents say their CDNs do: written apart
// from the rules that sign. Each returns the path of the object, as it came.
var checkers = map[task.Authentication]func(r *http.Request, key string) (path string, at time.Time, ok bool){
	task.AliyunA:  func(r *http.Request, key string) (string, time.Time, bool) { return checkA(r, "auth_key", key) },
	task.TencentA: func(r *http.Request, key string) (string, time.Time, bool) { return checkA(r, "sign", key) },
	task.AliyunB:  checkB, task.TencentB: checkB,
	task.AliyunC: checkC, task.TencentC: checkC,
	task.TencentD: func(r *http.Request, key string) (string, time.Time, bool) {
		path, q := r.URL.EscapedPath(), r.URL.Query()
		return path, unix(q.Get("t"), 10), q.Get("sign") == sum(key+path+q.Get("t"))
	},
	task.AzureSAS: func(r *http.Request, key string) (string, time.Time, bool) {
		return r.URL.EscapedPath(), time.Now(), r.URL.RawQuery == strings.TrimPrefix(key, "?")
	},
	task.QiniuPrivate: func(r *http.Request, _ string) (string, time.Time, bool) {
		before, token, _ := strings.Cut("http://"+r.Host+r.RequestURI, "&token=")
		ak, sign, _ := strings.Cut(token, ":")
		mac := hmac.New(sha1.New, []byte("qiniu secret"))
		mac.Write([]byte(before))
		want := strings.NewReplacer("+", "-", "/", "_").Replace(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		left := time.Until(unix(r.URL.Query().Get("e"), 10))
		return r.URL.EscapedPath(), time.Now(), ak == "qiniuKey" && sign == want && left > time.Minute && left < 24*time.Hour
	},
}

func sum(s string) string { return fmt.Sprintf("%x", md5.Sum([]byte(s))) }

func unix(s string, base int) time.Time {
	n, err := strconv.ParseInt(s, base, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(n, 0)
}

func checkA(r *http.Request, name, key string) (string, time.Time, bool) {
	path := r.URL.EscapedPath()
	parts := strings.Split(r.URL.Query().Get(name), "-")
	if len(parts) != 4 || !regexp.MustCompile(`^[0-9a-zA-Z]{1,100}$`).MatchString(parts[1]) || parts[2] != "0" {
		return "", time.Time{}, false
	}
	return path, unix(parts[0], 10), parts[3] == sum(strings.Join([]string{path, parts[0], parts[1], "0", key}, "-"))
}

func checkB(r *http.Request, key string) (string, time.Time, bool) {
	parts := strings.SplitN(r.URL.EscapedPath(), "/", 4)
	if len(parts) != 4 {
		return "", time.Time{}, false
	}
	path := "/" + parts[3]
	at, err := time.ParseInLocation("200601021504", parts[1], time.FixedZone("", 8*3600))
	return path, at, err == nil && parts[2] == sum(key+parts[1]+path)
}

func checkC(r *http.Request, key string) (string, time.Time, bool) {
	parts := strings.SplitN(r.URL.EscapedPath(), "/", 4)
	if len(parts) != 4 {
		return "", time.Time{}, false
	}
	path := "/" + parts[3]
	return path, unix(parts[2], 16), parts[1] == sum(key+path+parts[2])
}

// Each kind of authentication passes a domain that checks it, whatever the key of the
// object; and none passes with another key.
func TestDomainsThatCheck(t *testing.T) {
	t.Parallel()
	for _, auth := range task.Authentications {
		if auth == task.NoAuthentication {
			continue
		}
		t.Run(string(auth), func(t *testing.T) {
			t.Parallel()
			check := checkers[auth]
			secret := "abcdef0123456789ABCD"
			if auth == task.AzureSAS {
				secret = "?sv=2024-11-04&sr=c&sp=rl&sig=ab%2Bcd%2F%3D"
			}
			b, o, _ := pair(t)
			o.answer(func(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request)) bool {
				path, at, ok := check(r, secret)
				if d := time.Since(at); !ok || d > 2*time.Minute || d < -2*time.Minute {
					http.Error(w, "forbidden "+r.RequestURI, http.StatusForbidden)
					return true
				}
				raw, err := url.PathUnescape(path)
				if err != nil {
					t.Error(err)
				}
				r.URL.Path = raw
				serve(w, r)
				return true
			})
			client := func(key, sk string) objstore.Bucket {
				return o.client(t, func(c *cdn.Config) {
					c.Authentication, c.Key, c.AccessKey, c.SecretKey = string(auth), key, "qiniuKey", sk
				}).Wrap(b, cdn.Options{})
			}
			for _, key := range []string{"foo.jpg", "a/b c+d%e?f#g&h=i", "/leading", "a//b", "日本語", "\xff"} {
				put(t, b, key, "data of "+key)
				got, err := read(t, client(secret, "qiniu secret"), key, objstore.OpenOptions{})
				if err != nil || got != "data of "+key {
					t.Errorf("%q: %q, %v", key, got, err)
				}
				got, err = read(t, client(secret, "qiniu secret"), key, objstore.OpenOptions{Offset: 5, Length: 2})
				if err != nil || got != "of" {
					t.Errorf("range of %q: %q, %v", key, got, err)
				}
			}
			wrong := "another0123456789ABC"
			if auth == task.AzureSAS {
				wrong = "sv=2024-11-04&sig=other"
			}
			_, err := read(t, client(wrong, "another secret"), "foo.jpg", objstore.OpenOptions{})
			if !errors.Is(err, objstore.ErrDenied) {
				t.Errorf("another key: %v", err)
			}
			for _, s := range []string{wrong, "another secret", "sig=", "auth_key", "token"} {
				if strings.Contains(err.Error(), s) {
					t.Errorf("%v tells %q", err, s)
				}
			}
		})
	}
}
