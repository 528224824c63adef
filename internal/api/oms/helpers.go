package oms

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/api"
	"github.com/lockstep-sync/lockstep/internal/control"
	"github.com/lockstep-sync/lockstep/internal/secret"
	"github.com/lockstep-sync/lockstep/internal/task"
)

func (p *place) keys() control.Credentials {
	return control.Credentials{AccessKey: p.AK, SecretKey: secret.New(p.SK), SessionToken: secret.New(p.SecurityToken)}
}

// ask reads the body of a question about stores.
func ask(r *request, required ...func(*place) text) (p place, err error) {
	if err := decode(r.body, &p); err != nil {
		return p, err
	}
	if p.BucketName == "" {
		p.BucketName = p.Bucket
	}
	if p.DataCenter == "" {
		p.DataCenter = p.Region
	}
	all := []text{{"cloud_type", p.CloudType, true, 64}, {"ak", p.AK, false, 100}, {"sk", p.SK, false, 100}, {"security_token", p.SecurityToken, false, 16384}}
	for _, f := range required {
		all = append(all, f(&p))
	}
	if err := checkTexts(all...); err != nil {
		return p, err
	}
	return p, checkBucket("bucket_name", p.BucketName)
}

func bucketName(p *place) text { return text{"bucket_name", p.BucketName, true, 1024} }
func center(p *place) text     { return text{"data_center", p.DataCenter, true, 100} }
func filePath(p *place) text   { return text{"file_path", p.FilePath, false, 1023} }
func fileName(p *place) text   { return text{"file_name", p.FileName, true, 1024} }

// cloudsOf are the names of a cloud, the one that a client used first: OMS calls its own
// HEC as a destination and HuaweiCloud as a source.
func cloudsOf(cloud string) []string {
	out := []string{cloud}
	if isDestination(cloud) {
		for _, c := range destinationClouds {
			if !strings.EqualFold(c, cloud) {
				out = append(out, c)
			}
		}
	}
	return out
}

// isDestination says whether a cloud is the one that OMS copies to, by either name.
func isDestination(cloud string) bool {
	return slices.ContainsFunc(destinationClouds, func(c string) bool { return strings.EqualFold(c, cloud) })
}

// inCloud returns the endpoints of a cloud, each once.
func (a *API) inCloud(r *request, cloud string) (out []alias, err error) {
	all, err := a.aliases(r)
	if err != nil {
		return nil, err
	}
	for _, n := range all {
		known := slices.ContainsFunc(out, func(o alias) bool { return o.endpoint.ID == n.endpoint.ID })
		if !known && slices.ContainsFunc(cloudsOf(cloud), func(c string) bool { return strings.EqualFold(c, n.cloud) }) {
			out = append(out, n)
		}
	}
	if out == nil {
		return nil, invalid(codeConstraint, "ask for the cloud types there are: GET …/objectstorage/cloud-type", "cloud_type: no endpoint of that cloud is registered")
	}
	return out, nil
}

// listBuckets names the buckets that a pair of keys sees in a cloud.
func (a *API) listBuckets(r *request) error {
	p, err := ask(r)
	if err != nil {
		return err
	}
	ends, err := a.inCloud(r, p.CloudType)
	if err != nil {
		return err
	}
	names := []string{}
	var last error
	answered := false
	for _, n := range ends {
		some, err := a.control.ListBuckets(r.ctx(), r.who, n.endpoint.ID, p.keys())
		if err != nil {
			last = err
			continue
		}
		answered, names = true, append(names, some...)
	}
	if !answered {
		return refused(last, codeBuckets)
	}
	slices.Sort(names)
	writeJSON(r.w, http.StatusOK, slices.Compact(names))
	return nil
}

// refused gives what a store, or its endpoint, refused the code of the question.
func refused(err error, code string) error {
	var e *task.Error
	if errors.As(err, &e) && (e.Code == control.CodeSourceKeys || strings.HasPrefix(e.Code, "STORE_")) {
		return &task.Error{Kind: task.Invalid, Code: code, Text: e.Text, Next: e.Next, Err: err}
	}
	return err
}

// bucketAt finds the bucket that a question is about.
func (a *API) bucketAt(r *request, p *place) (task.Location, error) {
	e, err := a.endpoint(r, side{clouds: cloudsOf(p.CloudType), region: p.DataCenter, code: codeSrcRegion})
	return task.Location{Endpoint: e.ID, Bucket: p.BucketName}, err
}

// maxPage is the most records of a page.
const maxPage = 1000

// listObjects lists one folder of a bucket.
func (a *API) listObjects(r *request) error {
	p, err := ask(r, bucketName, center, filePath)
	if err != nil {
		return err
	}
	if p.PageSize == 0 {
		p.PageSize = 100
	}
	if p.PageSize < 0 || p.PageSize > maxPage {
		return invalid(codeConstraint, "", "page_size is not in [1, %d]", maxPage)
	}
	at, err := a.bucketAt(r, &p)
	if err != nil {
		return err
	}
	prefix := strings.TrimPrefix(p.FilePath, "/")
	page, err := a.control.ListObjects(r.ctx(), r.who, at, p.keys(), control.Listing{
		Prefix: prefix, After: p.BehindFilename, Delimiter: "/", Limit: p.PageSize,
	})
	if err != nil {
		return refused(err, codeObjects)
	}
	out := objectPage{NextPage: page.More, Records: []record{}}
	for _, n := range page.Names {
		size := "--"
		if !n.Folded {
			size = strconv.FormatInt(n.Size, 10)
		}
		out.Records = append(out.Records, record{n.Key, size})
		out.NextMarker = n.Key
	}
	if !page.More {
		out.NextMarker = ""
	}
	writeJSON(r.w, http.StatusOK, out)
	return nil
}

// bucketRegion says in which region of a cloud a bucket is.
func (a *API) bucketRegion(r *request) error {
	p, err := ask(r, bucketName)
	if err != nil {
		return err
	}
	ends, err := a.inCloud(r, p.CloudType)
	if err != nil {
		return err
	}
	var last error
	for _, n := range ends {
		at := task.Location{Endpoint: n.endpoint.ID, Bucket: p.BucketName}
		if last = a.control.ProbeBucket(r.ctx(), r.who, at, p.keys()); last == nil {
			writeJSON(r.w, http.StatusOK, bucketRegion{ID: n.region, Name: n.region, Support: true})
			return nil
		}
	}
	return refused(last, codeRegion)
}

// checkPrefix says whether any object's name begins so.
func (a *API) checkPrefix(r *request) error {
	p, err := ask(r, bucketName, fileName, center)
	if err != nil {
		return err
	}
	at, err := a.bucketAt(r, &p)
	if err != nil {
		return err
	}
	any, err := a.control.AnyObject(r.ctx(), r.who, at, p.keys(), p.FileName)
	if err != nil {
		return refused(err, codeObjects)
	}
	writeJSON(r.w, http.StatusOK, prefixExists{any})
	return nil
}

// cloudTypes names the clouds of which endpoints are registered.
func (a *API) cloudTypes(r *request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	kind := q.Get("type")
	if kind != "src" && kind != "dst" {
		code := codeConstraint
		if kind == "" {
			code = codeMissing
		}
		return invalid(code, "use src or dst", "type is neither src nor dst")
	}
	all, err := a.aliases(r)
	if err != nil {
		return err
	}
	out := []string{}
	for _, n := range all {
		if !slices.Contains(out, n.cloud) && (kind == "src" || isDestination(n.cloud)) {
			out = append(out, n.cloud)
		}
	}
	writeJSON(r.w, http.StatusOK, out)
	return nil
}

// regions names the regions of which endpoints are registered, by cloud.
func (a *API) regions(r *request) error {
	all, err := a.aliases(r)
	if err != nil {
		return err
	}
	out := []dataCenter{}
	for _, n := range all {
		if len(out) == 0 || out[len(out)-1].ServiceName != n.cloud {
			out = append(out, dataCenter{ServiceName: n.cloud})
		}
		d := &out[len(out)-1]
		d.Regions = append(d.Regions, regionInfo{n.cloud, n.region, string(n.endpoint.ID)})
	}
	writeJSON(r.w, http.StatusOK, out)
	return nil
}

// agreePrivacy has nothing to record: it answers what clients want to hear before they
// go on.
func (a *API) agreePrivacy(r *request) error {
	if r.who.Role == task.EventOnly {
		return &task.Error{Kind: task.Denied, Code: control.CodeRoleDenied, Text: "insufficient permissions: the access key may send events and nothing else"}
	}
	writeNothing(r.w)
	return nil
}

// versions answers GET / where nobody else does.
func (a *API) versions(r *request) error {
	writeJSON(r.w, http.StatusOK, map[string][]api.APIVersion{"versions": {api.OMSVersion(api.Scheme(r.http), r.http.Host)}})
	return nil
}

// version answers GET /{version}.
func (a *API) version(r *request) error {
	if r.path.id != "v2" {
		return &task.Error{Kind: task.NotFound, Code: codeVersion, Text: "there is no such version of the API", Next: "use v2"}
	}
	writeJSON(r.w, http.StatusOK, api.OMSVersion(api.Scheme(r.http), r.http.Host))
	return nil
}

// projects answers what IAM does: the project of the access key, under whatever region
// the client calls it. Any role may ask, since a client needs it for every other call.
func (a *API) projects(r *request) error {
	q, err := query(r)
	if err != nil {
		return err
	}
	id := string(r.who.Project)
	name := q.Get("name")
	if name == "" {
		name = id
	}
	writeJSON(r.w, http.StatusOK, projectList{Projects: []project{{ID: id, Name: name, Enabled: true}}, Links: map[string]string{}})
	return nil
}
