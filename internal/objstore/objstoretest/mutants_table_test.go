package objstoretest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/lockstep-sync/lockstep/internal/objstore"
	"github.com/lockstep-sync/lockstep/internal/objstore/mem"
)

var mutants = map[string]struct {
	caughtBy string // the subtest
	breakIt  func(m *mutant)
}{
	"After is inclusive": {"List/Full/Bounds", func(m *mutant) {
		m.list = func(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
			if opt.After != "" {
				opt.After = opt.After[:len(opt.After)-1] + string(opt.After[len(opt.After)-1]-1) + "\xff"
			}
			return m.Bucket.List(ctx, opt)
		}
	}},
	"Until is exclusive": {"List/Full/Bounds", func(m *mutant) {
		m.list = func(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
			opt.Until = opt.Until[:max(len(opt.Until)-1, 0)]
			return m.Bucket.List(ctx, opt)
		}
	}},
	"listing in directory order": {"List/Full/Everything", func(m *mutant) { m.eachPage(sortBySegment) }},
	"listing loses the end of pages": {"List/Full/ExactPages", func(m *mutant) {
		m.eachPage(func(p *objstore.Page) { p.Objects = p.Objects[:min(len(p.Objects), 999)] })
	}},
	"listing reuses its pages": {"List/Full/OwnPages", func(m *mutant) {
		all := map[string][]objstore.Object{}
		m.list = func(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
			return func(yield func(objstore.Page, error) bool) {
				if opt.Prefix != "hundred" || opt.PageSize != 9 {
					m.Bucket.List(ctx, opt)(yield)
					return
				}
				if all[opt.Prefix] == nil {
					for page, err := range m.Bucket.List(ctx, opt) {
						if err != nil {
							yield(page, err)
							return
						}
						all[opt.Prefix] = append(all[opt.Prefix], page.Objects...)
					}
				}
				for page := range slices.Chunk(all[opt.Prefix], opt.PageSize) {
					if !yield(objstore.Page{Objects: page[:len(page):cap(page)]}, nil) {
						return
					}
				}
			}
		}
	}},
	"a broken listing just ends": {"List/Full/Cancelled", func(m *mutant) {
		m.list = func(ctx context.Context, opt objstore.ListOptions) iter.Seq2[objstore.Page, error] {
			return func(yield func(objstore.Page, error) bool) {
				for page, err := range m.Bucket.List(ctx, opt) {
					if err != nil || !yield(page, nil) {
						return
					}
				}
			}
		}
	}},
	"sizes are listed wrong": {"List/Full/Everything", func(m *mutant) {
		m.eachPage(func(p *objstore.Page) {
			for i := range p.Objects {
				p.Objects[i].Size = 0
			}
		})
	}},
	"keys are cleaned": {"Keys/Listed", func(m *mutant) { m.editPut(func(key *string, _ *objstore.PutOptions) { *key = path.Clean(*key) }) }},
	"keys are decoded": {"Keys/Listed", func(m *mutant) {
		m.editPut(func(key *string, _ *objstore.PutOptions) { *key = strings.ReplaceAll(*key, "+", " ") })
	}},
	"keys are repaired": {"Keys/Read", func(m *mutant) {
		m.editPut(func(key *string, _ *objstore.PutOptions) { *key = strings.ToValidUTF8(*key, "\ufffd") })
	}},
	"keys are folded in bulk deletes": {"Keys/Deleted", func(m *mutant) {
		m.deleteMany = func(ctx context.Context, keys []string) ([]error, error) {
			lower := make([]string, len(keys))
			for i, k := range keys {
				lower[i] = strings.ToLower(k)
			}
			return m.Bucket.DeleteMany(ctx, lower)
		}
	}},
	"the empty key is taken": {"Objects/EmptyKey", func(m *mutant) {
		m.editPut(func(key *string, _ *objstore.PutOptions) {
			if *key == "" {
				*key = "empty"
			}
		})
	}},
	"half a body is stored": {"Objects/BodyFails", func(m *mutant) {
		m.put = func(ctx context.Context, key string, body io.Reader, _ int64, opt objstore.PutOptions) (objstore.Written, error) {
			data, bodyErr := io.ReadAll(body)
			w, err := m.Bucket.Put(ctx, key, bytes.NewReader(data), int64(len(data)), opt)
			return w, errors.Join(err, bodyErr)
		}
	}},
	"a long body is stored": {"Objects/BodyWrongLength", func(m *mutant) {
		m.put = func(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
			data, _ := io.ReadAll(body)
			return m.Bucket.Put(ctx, key, bytes.NewReader(data), max(size, int64(len(data))), opt)
		}
	}},
	"bodies are closed": {"Objects/BodyFails", func(m *mutant) {
		m.put = func(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
			w, err := m.Bucket.Put(ctx, key, body, size, opt)
			if c, ok := body.(io.Closer); ok {
				err = errors.Join(err, c.Close())
			}
			return w, err
		}
	}},
	"bodies are read later": {"Objects/BodyFails", func(m *mutant) {
		var last io.Reader
		m.put = func(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
			if last != nil {
				_, _ = last.Read(make([]byte, 1))
			}
			last = body
			return m.Bucket.Put(ctx, key, body, size, opt)
		}
	}},
	"IfAbsent is ignored": {"Objects/PutIfAbsent", func(m *mutant) { m.editPut(func(_ *string, opt *objstore.PutOptions) { opt.IfAbsent = false }) }},
	"IfAbsent is checked before": {"Objects/PutIfAbsentRace", func(m *mutant) {
		var checked sync.WaitGroup // two writers meet between the check and the write
		checked.Add(2)
		var n atomic.Int32
		m.put = func(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
			if !strings.HasPrefix(key, "PutIfAbsentRace/") {
				return m.Bucket.Put(ctx, key, body, size, opt)
			}
			if _, err := m.Bucket.Stat(ctx, key); err == nil {
				return objstore.Written{}, objstore.ErrPrecondition
			}
			if n.Add(1) <= 2 {
				checked.Done()
				checked.Wait()
			}
			return m.Bucket.Put(ctx, key, body, size, objstore.PutOptions{})
		}
	}},
	"IfMatch is ignored":               {"Objects/PutIfMatch", func(m *mutant) { m.editPut(func(_ *string, opt *objstore.PutOptions) { opt.IfMatch = "" }) }},
	"conditions fail though unclaimed": {"Objects/PutIfAbsent", func(m *mutant) { m.caps = func(c *objstore.Capabilities) { c.Conditional = objstore.ConditionalNone } }},
	"completion ignores IfAbsent": {"Objects/CompleteIfAbsent", func(m *mutant) {
		m.complete = func(ctx context.Context, key, id string, parts []objstore.Part, _ objstore.CompleteOptions) (objstore.Written, error) {
			return m.Bucket.CompleteMultipart(ctx, key, id, parts, objstore.CompleteOptions{})
		}
	}},
	"completion ignores the sum": {"Objects/ChecksumComplete", func(m *mutant) {
		m.complete = func(ctx context.Context, key, id string, parts []objstore.Part, _ objstore.CompleteOptions) (objstore.Written, error) {
			return m.Bucket.CompleteMultipart(ctx, key, id, parts, objstore.CompleteOptions{})
		}
	}},
	"sums are ignored": {"Objects/ChecksumPut", func(m *mutant) {
		m.editPut(func(_ *string, opt *objstore.PutOptions) { opt.CRC64 = objstore.Checksum{} })
	}},
	"a header gets lost": {"Objects/Attributes", func(m *mutant) { m.editPut(func(_ *string, opt *objstore.PutOptions) { opt.Header.Expires = "" }) }},
	"tags get lost":      {"Objects/Attributes", func(m *mutant) { m.editPut(func(_ *string, opt *objstore.PutOptions) { opt.Tags = nil }) }},
	"tags are claimed in vain": {"Objects/Tags", func(m *mutant) {
		m.Bucket = mem.New("poor", mem.WithCapabilities(func(c *objstore.Capabilities) { c.Tags = false }))
		m.caps = func(c *objstore.Capabilities) { c.Tags = true }
	}},
	"metadata becomes ASCII": {"Objects/Attributes", func(m *mutant) {
		m.editPut(func(_ *string, opt *objstore.PutOptions) {
			opt.Meta = maps.Clone(opt.Meta)
			for k, v := range opt.Meta {
				opt.Meta[k] = strings.Map(func(r rune) rune { return min(r, '?') }, v)
			}
		})
	}},
	"what is kept is called dropped": {"Objects/Attributes", func(m *mutant) {
		m.put = func(ctx context.Context, key string, body io.Reader, size int64, opt objstore.PutOptions) (objstore.Written, error) {
			w, err := m.Bucket.Put(ctx, key, body, size, opt)
			w.Dropped = []string{"Expires"}
			return w, err
		}
	}},
	"reads are not pinned": {"Objects/IfMatch", func(m *mutant) {
		m.open = func(ctx context.Context, key string, opt objstore.OpenOptions) (*objstore.Content, error) {
			opt.IfMatch = ""
			return m.Bucket.Open(ctx, key, opt)
		}
	}},
	"ranges run to the end": {"Objects/Ranges", func(m *mutant) {
		m.open = func(ctx context.Context, key string, opt objstore.OpenOptions) (*objstore.Content, error) {
			opt.Length = 0
			return m.Bucket.Open(ctx, key, opt)
		}
	}},
	"Size is that of the range": {"Objects/Ranges", func(m *mutant) {
		m.open = func(ctx context.Context, key string, opt objstore.OpenOptions) (*objstore.Content, error) {
			c, err := m.Bucket.Open(ctx, key, opt)
			if c != nil {
				c.Size = c.Length
			}
			return c, err
		}
	}},
	"what is missing is empty": {"Objects/NotThere", func(m *mutant) {
		m.stat = func(ctx context.Context, key string) (objstore.Info, error) {
			info, err := m.Bucket.Stat(ctx, key)
			if errors.Is(err, objstore.ErrNotFound) {
				err = nil
			}
			return info, err
		}
	}},
	"a second delete fails": {"Objects/Delete", func(m *mutant) {
		m.delete = func(ctx context.Context, key string, opt objstore.DeleteOptions) error {
			if _, err := m.Bucket.Stat(ctx, key); err != nil {
				return err
			}
			return m.Bucket.Delete(ctx, key, opt)
		}
	}},
	"deletes take what is below": {"Objects/Delete", func(m *mutant) {
		m.delete = func(ctx context.Context, key string, opt objstore.DeleteOptions) error {
			for page, err := range m.Bucket.List(ctx, objstore.ListOptions{Prefix: key}) {
				if err != nil {
					return err
				}
				for _, o := range page.Objects {
					if err := m.Bucket.Delete(ctx, o.Key, objstore.DeleteOptions{}); err != nil {
						return err
					}
				}
			}
			return m.Bucket.Delete(ctx, key, opt)
		}
	}},
	"results of bulk deletes are short": {"Objects/DeleteManyOdd", func(m *mutant) {
		m.deleteMany = func(ctx context.Context, keys []string) ([]error, error) {
			return m.Bucket.DeleteMany(ctx, slices.Compact(slices.Sorted(slices.Values(keys))))
		}
	}},
	"parts are listed up to 1,000": {"Objects/MultipartManyParts", func(m *mutant) {
		m.listParts = func(ctx context.Context, key, id string) ([]objstore.Part, error) {
			parts, err := m.Bucket.ListParts(ctx, key, id)
			return parts[:min(len(parts), 1000)], err
		}
	}},
	"a second abort fails": {"Objects/MultipartAbort", func(m *mutant) {
		m.abort = func(ctx context.Context, key, id string) error {
			if _, err := m.Bucket.ListParts(ctx, key, id); err != nil {
				return err
			}
			return m.Bucket.AbortMultipart(ctx, key, id)
		}
	}},
	"the part layout is claimed in vain": {"Objects/Multipart", func(m *mutant) {
		m.open = func(ctx context.Context, key string, opt objstore.OpenOptions) (*objstore.Content, error) {
			opt.Part = 0
			return m.Bucket.Open(ctx, key, opt)
		}
	}},
	"copies lose the attributes": {"Objects/Copy", func(m *mutant) {
		m.copy = func(ctx context.Context, key string, src objstore.CopySource, opt objstore.PutOptions) (objstore.Written, error) {
			if len(opt.Meta) == 0 {
				opt.Header.ContentType = "application/octet-stream"
			}
			return m.Bucket.Copy(ctx, key, src, opt)
		}
	}},
	"copies are not pinned": {"Objects/CopyRefused", func(m *mutant) {
		m.copy = func(ctx context.Context, key string, src objstore.CopySource, opt objstore.PutOptions) (objstore.Written, error) {
			src.IfMatch = ""
			return m.Bucket.Copy(ctx, key, src, opt)
		}
	}},
	"ETags are no MD5": {"Objects/ETag", func(m *mutant) {
		m.stat = func(ctx context.Context, key string) (objstore.Info, error) {
			info, err := m.Bucket.Stat(ctx, key)
			info.ETag = strings.ToUpper(info.ETag)
			return info, err
		}
	}},
	"a missing bucket is empty": {"MissingBucket", func(*mutant) {}},
}
