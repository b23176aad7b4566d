# Callbridge: build, run and test. `make` alone lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
BUILD   := CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)'
# The newest release that reads Go 1.26; run from its own module, so that go.mod knows nothing of it.
STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT   := go run golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
TESTRUN     := go run ./deploy/ci/testrun

.PHONY: help build package run test e2e prove beside fuzz bench lint setup fmt clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/callbridge, one static file without cgo
	$(BUILD) -o bin/callbridge ./cmd/callbridge

package: build ## make bin/callbridge_VERSION_ARCH.deb
	go run ./deploy/deb/pack bin/callbridge '$(VERSION)' bin

run: build ## build it and start the demo: nothing to configure, http://127.0.0.1:8080
	bin/callbridge demo

test: setup lint ## everything: format, vet, staticcheck and all tests with the race detector
	$(TESTRUN) -race -timeout 30m ./...

e2e: setup ## the whole program against a real Asterisk
	$(TESTRUN) -race -timeout 10m ./deploy/asterisk/...

prove: ## kill it with -9 under load with faulty CRMs, N times: make prove N=10000; one series again: SEED=17 N=25
	go test ./cmd/callbridge/prove -run TestKilledUnderLoad -count 1 -timeout 0 -v -kills $(or $(N),1000) -seed $(or $(SEED),0)

beside: ## what it costs beside a real Asterisk: make beside RATE=50 CALLS=1500
	go test ./deploy/asterisk/e2e -run TestBesideAsterisk -count 1 -timeout 30m -v -beside-rate $(or $(RATE),50) -beside-calls $(or $(CALLS),1500)

fuzz: ## every fuzz target, one after the other: make fuzz TIME=10m
	deploy/ci/fuzz $(or $(TIME),10m)

bench: ## the benchmarks through benchstat, beside an older run: make bench COUNT=6 BASE=old.txt; the run is kept in .cache/bench.txt
	@mkdir -p .cache
	go test -run '^$$' -bench . -benchmem -count $(or $(COUNT),6) $(or $(PKG),./...) | tee .cache/bench.txt
	$(BENCHSTAT) $(BASE) .cache/bench.txt

screenshots: ## the pictures of the README, made by the browser tests
	CALLBRIDGE_SCREENSHOTS=$(CURDIR)/screenshots go test ./cmd/callbridge -count 1 -run 'TestDemoInBrowser|TestConsoleOfTheDemo'
	cp screenshots/demo-agent-card.png docs/agent.png
	cp screenshots/demo-console.png docs/console.png

lint: ## gofmt, go vet and staticcheck
	@bad=$$(gofmt -l .); \
	  if [[ -n $$bad ]]; then echo "not formatted (make fmt):"; echo "$$bad"; exit 1; fi
	go vet ./...
	$(STATICCHECK) ./...

setup: ## install what the tests need (Debian, as root or with sudo)
	@deploy/ci/setup

fmt: ## format the Go code
	gofmt -w .

clean: ## remove what was built; the test Asterisk in the cache folder stays
	rm -rf bin .cache coverage.out screenshots
