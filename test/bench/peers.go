package main

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/lockstep-sync/lockstep/internal/objstore/objstoretest/s3server/pinned"
	"github.com/lockstep-sync/lockstep/test/bench/workload"
)

// peerTools prepare other people's tools, each with the options that cost it least
// in these workloads while it still checks what it copied.
var peerTools = map[string]func(ctx context.Context) ([]tool, error){
	"rclone": rcloneTools,
	"mc":     mcTools,
}

const (
	peerRclone     = "rclone-sync"
	peerRcloneLean = "rclone-copy-lean"
	peerMC         = "mc-mirror"
)

func rcloneTools(ctx context.Context) ([]tool, error) {
	path, err := executable(ctx, pinned.Rclone)
	return []tool{
		{name: peerRclone, program: path, command: rcloneSync},
		{name: peerRcloneLean, program: path, command: rcloneLean},
	}, err
}

// rcloneCommon are one listing per side, no HEAD after a PUT, ETags for the comparison.
var rcloneCommon = strings.Fields("--fast-list --checksum --s3-no-head --s3-no-check-bucket --stats=0 --checkers 64")

func rcloneSync(w workload.Workload, at place) (args, env []string, ok bool) {
	args = append([]string{"sync", "SRC:" + srcBucket, rcloneDst(at)}, rcloneCommon...)
	args = append(args, "--s3-disable-checksum=false")
	return append(args, rcloneTransfers(w)...), rcloneEnv(at), true
}

// rcloneLean leaves out the checks of rclone that cost most: it is the floor of
// what rclone can do for a first sync.
func rcloneLean(w workload.Workload, at place) (args, env []string, ok bool) {
	if w.Start != workload.Fresh {
		return nil, nil, false
	}
	args = append([]string{"copy", "SRC:" + srcBucket, rcloneDst(at)}, rcloneCommon...)
	args = append(args, rcloneTransfers(w)...)
	args = append(args, "--s3-use-unsigned-payload=true", "--ignore-checksum", "--no-check-dest")
	if w.Data == workload.Big {
		args = append(args, "--s3-disable-checksum")
	} else {
		args = append(args, "--s3-disable-checksum=false", "--no-traverse", "--size-only")
	}
	return args, rcloneEnv(at), true
}

func rcloneTransfers(w workload.Workload) []string {
	if w.Data == workload.Big {
		return strings.Fields("--transfers 8 --s3-upload-concurrency 4 --s3-chunk-size 16M --s3-upload-cutoff 64M --multi-thread-streams 0")
	}
	return []string{"--transfers", "32"}
}

// rcloneDst uses the source's remote for both buckets when they are on one
// server, which is what makes rclone copy on the server's side.
func rcloneDst(at place) string {
	if at.same {
		return "SRC:" + dstBucket
	}
	return "DST:" + dstBucket
}

func rcloneEnv(at place) []string {
	env := []string{"RCLONE_CONFIG=/dev/null"}
	for _, remote := range []struct{ name, endpoint string }{{"SRC", at.src}, {"DST", at.dst}} {
		set := "RCLONE_CONFIG_" + remote.name + "_"
		env = append(
			env, set+"TYPE=s3", set+"PROVIDER=Minio", set+"REGION=us-east-1", set+"NO_CHECK_BUCKET=true",
			set+"ACCESS_KEY_ID="+accessKey, set+"SECRET_ACCESS_KEY="+secretKey, set+"ENDPOINT="+remote.endpoint,
		)
	}
	return env
}

func mcTools(ctx context.Context) ([]tool, error) {
	path, err := executable(ctx, pinned.MC)
	return []tool{{name: peerMC, program: path, command: mcMirror}}, err
}

func mcMirror(_ workload.Workload, at place) (args, env []string, ok bool) {
	dst := "dst/" + dstBucket
	if at.same {
		dst = "src/" + dstBucket
	}
	args = []string{
		"--config-dir", filepath.Join(at.work, "mc"), "--quiet",
		"mirror", "--overwrite", "src/" + srcBucket, dst,
	}
	return args, []string{"MC_HOST_src=" + mcHost(at.src), "MC_HOST_dst=" + mcHost(at.dst)}, true
}

func mcHost(endpoint string) string {
	return strings.Replace(endpoint, "://", "://"+accessKey+":"+secretKey+"@", 1)
}
