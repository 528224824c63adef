# What is done here, and how: `make help`. No target but fmt changes a file of the
# repository. Everything works without services: what a test needs it starts itself.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

GO   ?= go
LINT := $(GO) tool -modfile=$(CURDIR)/tools/go.mod golangci-lint

# More flags for every `go test`, e.g. TESTFLAGS='-count=1 -v'.
TESTFLAGS ?=
# How long each fuzz target runs in `make interop`.
FUZZTIME ?= 5s
# Flags for `make bench`: of the command's workloads, and of the service's.
BENCHFLAGS ?=
SERVICEFLAGS ?=

# Packages whose goroutines share memory: tested under the race detector too.
RACE := ./internal/api/... ./internal/app/... ./internal/control/... ./internal/db/... ./internal/objstore/... ./internal/queue/... \
	./internal/transfer/... ./internal/worker/...

.PHONY: help
help: ## what the targets do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/lockstep
	$(GO) build -o bin/lockstep ./cmd/lockstep

.PHONY: setup
setup: ## what the other targets need on this machine (says what it installs)
	@scripts/setup.sh

.PHONY: fmt
fmt: ## format the code: the one target that changes files
	$(LINT) fmt ./...
	cd tools && $(LINT) fmt ./...

.PHONY: lint
lint: ## formatting, architecture (who may import whom), and the usual mistakes
	$(LINT) run ./...
	cd tools && $(LINT) run ./...

.PHONY: vet
vet:
	$(GO) vet ./...

.PHONY: check
check: setup vet lint ## before a commit: lint, short tests under the race detector; no servers
	LOCKSTEP_REQUIRE= $(GO) test -race -short $(TESTFLAGS) ./...

.PHONY: test
test: setup versitygw vet lint ## all tests, with real S3 servers, PostgreSQL and the official clients
	LOCKSTEP_REQUIRE=versitygw $(GO) test -race -short -timeout 20m $(TESTFLAGS) $(RACE)
	LOCKSTEP_REQUIRE=versitygw,postgres,node $(GO) test -parallel 4 -timeout 20m $(TESTFLAGS) ./...
	cd test/clients/oms && LOCKSTEP_REQUIRE=versitygw,node $(GO) test -timeout 20m $(TESTFLAGS) ./...

# Packages with slow tests; these have MinIO or Interop in their names.
INTEROP = $(shell grep -rlE --include='*_test.go' 's3server\.MinIO|func Test[A-Za-z0-9]*Interop' . | xargs -n1 dirname | sort -u)

.PHONY: interop
interop: setup versitygw minio ## slow ones: MinIO, 1,000 simulations, more clients, every fuzz target, lint rules against seeds
	scripts/fuzz.sh $(FUZZTIME)
	cd tools && $(GO) test $(TESTFLAGS) ./...
	LOCKSTEP_REQUIRE=versitygw,minio,interop $(GO) test -timeout 40m $(TESTFLAGS) -run 'MinIO|Interop' $(INTEROP)

.PHONY: bench
bench: ## speed, memory and requests on this machine (BENCHFLAGS=-help, SERVICEFLAGS=-help)
	$(GO) run ./test/bench $(BENCHFLAGS)
	$(GO) run ./test/bench/service $(SERVICEFLAGS)
	$(GO) test -run '^$$' -bench 'List|Events' ./internal/api/... ./internal/db

.PHONY: vuln
vuln: ## known vulnerabilities that the code can reach; asks the Go vulnerability database
	$(GO) tool -modfile=$(CURDIR)/tools/go.mod govulncheck ./...

# Other people's programs at pinned versions, for tests and benchmarks only: never
# linked, never shipped. Each says what it does when it has to build.
.PHONY: versitygw minio rclone mc
versitygw minio rclone mc:
	@$(GO) run ./internal/objstore/objstoretest/s3server/pinned/build $@ >/dev/null
