// Package s3 is the objstore driver for stores that speak the S3 API: AWS, Huawei
// OBS, MinIO, Ceph and whatever else answers to it.
//
// Requests are built, signed (AWS Signature Version 4) and sent here, straight on
// http.Transport: the bytes of a key go out escaped but otherwise untouched, and
// a page of a listing is scanned once, without an XML decoder. What stores do
// differently is a row of the table in traits.go; what a row promises in vain is
// unlearned from the store's own refusal (learn.go).
//
// Nothing here is repeated after a failure that says nothing about the request:
// that is the retry wrapper's part. The exceptions are answers that say how to
// ask right (the bucket's region, the store's clock, fresh credentials, a header
// the store does not have) and a kept connection that turns out to be dead.
package s3
