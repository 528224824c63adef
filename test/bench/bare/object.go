package bare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// CreateBucket makes a bucket; one that exists is no error.
func (c *Client) CreateBucket(ctx context.Context, bucket string) error {
	resp, err := c.do(ctx, call{method: http.MethodPut, path: "/" + bucket})
	if status, ok := errors.AsType[*StatusError](err); ok && status.Status == http.StatusConflict {
		return nil
	}
	if err != nil {
		return err
	}
	return drain(resp)
}

// Put stores size bytes of body and returns the ETag, without quotes.
func (c *Client) Put(ctx context.Context, bucket, key string, body io.Reader, size int64) (etag string, err error) {
	resp, err := c.do(ctx, call{method: http.MethodPut, path: "/" + bucket + "/" + key, body: body, size: size})
	if err != nil {
		return "", err
	}
	return etagOf(resp), drain(resp)
}

// Get opens an object. The caller closes the body.
func (c *Client) Get(ctx context.Context, bucket, key string) (body io.ReadCloser, size int64, err error) {
	resp, err := c.do(ctx, call{method: http.MethodGet, path: "/" + bucket + "/" + key})
	if err != nil {
		return nil, 0, err
	}
	return resp.Body, resp.ContentLength, nil
}

// Copy makes an object of another one of the same service and returns its ETag.
func (c *Client) Copy(ctx context.Context, bucket, key, srcBucket, srcKey string) (etag string, err error) {
	resp, err := c.do(ctx, call{
		method: http.MethodPut, path: "/" + bucket + "/" + key,
		copySource: escape("/"+srcBucket+"/"+srcKey, true),
	})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	// A copy may fail after the status line was sent: the body decides.
	tag := between(text, "<ETag>", "</ETag>")
	if tag == nil {
		return "", fmt.Errorf("copy %q: %s", key, text)
	}
	return unquote(tag), nil
}

// Delete removes an object; one that does not exist is no error.
func (c *Client) Delete(ctx context.Context, bucket, key string) error {
	resp, err := c.do(ctx, call{method: http.MethodDelete, path: "/" + bucket + "/" + key})
	if err != nil {
		return err
	}
	return drain(resp)
}

// between returns what stands between two marks, nil when they are not there.
func between(b []byte, open, end string) []byte {
	i := bytes.Index(b, []byte(open))
	if i < 0 {
		return nil
	}
	b = b[i+len(open):]
	j := bytes.Index(b, []byte(end))
	if j < 0 {
		return nil
	}
	return b[:j:j]
}
