# Everything you need is here; `make` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Tools, pinned. They are built once and kept by Go's build cache.
GOFUMPT      := mvdan.cc/gofumpt@v0.12.0
STATICCHECK  := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOTESTSUM    := gotest.tools/gotestsum@v1.13.0
ACTIONLINT   := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
GOVULNCHECK  := golang.org/x/vuln/cmd/govulncheck@v1.1.4

SANDBOX      := .sandbox
PROGRAM      := bin/source-planetscale
IMAGE        := localhost/source-planetscale:$(shell sed -n 's/^const Version = "\(.*\)"/\1/p' internal/connector/version.go)
ARCH         := $(shell go env GOARCH)
# The sandbox's addresses, for the tests.
WITH_SANDBOX := set -euo pipefail; go run ./cmd/sandbox up --dir $(SANDBOX); env=$$(go run ./cmd/sandbox env --dir $(SANDBOX)); set -a; eval "$$env"; set +a;

.PHONY: help
help: ## List what can be made
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | column -t -s "$$(printf '\t')"

.PHONY: demo
demo: ## Show the connector at work on a real local Vitess (installs what it needs)
	@go run ./cmd/demo --dir $(SANDBOX)

.PHONY: picture
picture: ## Run the demo, and draw it as a terminal shows it, for the README
	@go run ./cmd/demo --dir $(SANDBOX) --picture docs/images/demo.svg

# In CI the image is tested, too; elsewhere that is for those who have podman, or want it: make test-image.
ifdef CI
export SOURCE_PLANETSCALE_IMAGE := $(IMAGE)
test test-all: image
endif

# The race detector doubles the time of e2e, whose program runs code that internal's tests already cover with it, on their own servers. Both
# halves are run, whatever the first one says, and have one summary.
.PHONY: test
test: ## Run all tests except the long ones, on a real local Vitess (installs what it needs)
	@$(WITH_SANDBOX) go run $(GOTESTSUM) --format pkgname-and-test-fails --raw-command -- bash -c '\
		go test -json -race -timeout 25m ./internal/... && first=0 || first=$$?; \
		go test -json -timeout 25m $$(go list ./... | grep -v /internal/) && exit $$first'

.PHONY: test-all
test-all: ## Run all tests, the long ones included, with the race detector
	@$(WITH_SANDBOX) TEST_ALL=1 go run $(GOTESTSUM) --format pkgname-and-test-fails -- -race -timeout 180m ./...

# What depends on Vitess most: what its servers send, and when.
ON_VITESS := TestScripts|TestTypes|TestEveryStateReplays|TestKilledAtRandomMoments|TestPurgedPosition

.PHONY: test-22
test-22: ## Run the demo and the tests that depend on Vitess most on Vitess 22
	@go run ./cmd/sandbox up --vitess 22.0.0 --dir $(SANDBOX)-22
	@$(MAKE) --no-print-directory SANDBOX=$(SANDBOX)-22 demo test-on-vitess
	@go run ./cmd/sandbox down --dir $(SANDBOX)-22

.PHONY: test-on-vitess
test-on-vitess:
	@$(WITH_SANDBOX) go run $(GOTESTSUM) --format testname -- -count=1 -timeout 15m -run '^($(ON_VITESS))$$' ./e2e

.PHONY: test-versions
test-versions: export TESTS ?= ^($(ON_VITESS)|TestColumnsChange|TestColumnsChangeUnderKills|TestKeyspacesOfOneSource|TestEveryKeyspace)$$
test-versions: export LONG ?= ^(TestReshard|TestReshardOfReplicas|TestColumnsChangeAroundAReshard|TestManyPositions)$$
test-versions: ## Run them, and more, on Vitess 21 to 23 and mixed clusters, into docs/versions.md (an hour)
	@e2e/versions

SEED ?= $(shell date +%s)
MINUTES ?= 10
.PHONY: torture
# It uses a Vitess of its own: with -short the tests need no other.
torture: ## Play random histories on a Vitess until the connector fails: SEED=… MINUTES=… (HISTORY=file: that one)
	@TORTURE_SANDBOX=$(CURDIR)/.sandbox-torture TORTURE_SEED=$(SEED) TORTURE_MINUTES=$(MINUTES) \
		TORTURE_HISTORY=$(abspath $(HISTORY)) go test ./e2e -short -run '^TestTorture$$' -v -count=1 -timeout 0

.PHONY: test-image
test-image: image ## Build the image and test it under the limits of Airbyte's platform
	@$(WITH_SANDBOX) SOURCE_PLANETSCALE_IMAGE=$(IMAGE) go run $(GOTESTSUM) --format testname -- -run '^TestImage' ./image

# Measuring needs the machine for itself. The part of very many tables starts a second Vitess for two minutes.
.PHONY: bench
bench: ## Measure how fast the connector is, into bench/RESULTS.md (about 12 minutes)
	@$(WITH_SANDBOX) go run ./bench --dir $(SANDBOX)

.PHONY: bench-flags
bench-flags: ## Measure settings of the connection to VTGate
	@$(WITH_SANDBOX) go run ./bench --dir $(SANDBOX) --parts flags

.PHONY: lint
lint: ## Check format and style
	@test -z "$$(go run $(GOFUMPT) -l . | tee /dev/stderr)" || { echo "run: make format" >&2; exit 1; }
	@go vet ./...
	@go run $(STATICCHECK) ./...
	@go run $(GOLANGCI) run ./...
	@go run $(ACTIONLINT) .github/workflows/*.yml

# What a fuzzer finds is kept in its package's testdata/fuzz, where every test run tries it again.
FUZZTIME := 2s
.PHONY: fuzz
fuzz: ## Run every fuzzer briefly, about a minute in total; FUZZTIME=10m for longer
	@set -euo pipefail; for package in $$(grep -rl --include='*_test.go' '^func Fuzz' internal | xargs -n1 dirname | sort -u); do \
	  for fuzzer in $$(grep -h '^func Fuzz' $$package/*_test.go | sed -E 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/'); do \
	    echo "$$package $$fuzzer"; \
	    go test ./$$package -run '^$$' -fuzz "^$$fuzzer\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x; \
	  done; done

.PHONY: vulnerabilities
vulnerabilities: ## Check the code against Go's vulnerability database (needs vuln.go.dev)
	@go run $(GOVULNCHECK) ./...

.PHONY: format
format: ## Format the code
	@go run $(GOFUMPT) -w .

.PHONY: build
# The Dockerfile has the same flags. gRPC's debug pages, which nothing serves, would bring in html/template: a quarter of the program.
# Functions begin at the start of a cache line: at the mercy of the linker, snappy's decoder was 12 % slower in one build than in another.
build: ## Build the connector into bin/
	@CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags=grpcnotrace -ldflags='-s -w -funcalign=64' -o $(PROGRAM) .

.PHONY: form
form: ## Draw the settings page from its specification, for docs/images (needs npm and chromium)
	@docs/form/draw

.PHONY: image
image: ## Build the container image with podman (installs it, and says so); ARCH=arm64 for the other one
	@image/build.sh $(IMAGE) $(ARCH)

.PHONY: clean
clean: ## Stop the sandbox and remove it
	@go run ./cmd/sandbox down --purge --dir $(SANDBOX)
