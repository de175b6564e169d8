# Weir's commands. `make` alone lists them. Go 1.26, git and make are all that
# must be there before; scripts/setup.sh installs the rest or says what is missing.

GO        ?= go
BIN       := bin/weir
FUZZTIME  ?= 20s
CLUSTER    = -broker $(or $(BROKER),nats)
VERSION   := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS   := -s -w -X github.com/weir-project/weir/cli.version=$(VERSION)
LINTER    := $(GO) tool -modfile=tools/go.mod golangci-lint

.DEFAULT_GOAL := help
.PHONY: help run cluster build test check lint fmt unit allocs bench-check bench bench-cluster bench-sharing simulation sim soak-shared fuzz setup clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## start the gateway with a sample API, and print what to try
	@# With job control ^C goes to weir alone, which stops cleanly; else make would call it an error.
	@if [ -t 0 ]; then set -m; fi; $(BIN) demo

cluster: build ## run 3 gateways and 2 traffic managers, and drive them; BROKER=amqp, ALONE=1, HOLD=1, DURATION=20s
	@$(GO) build -C benchmarks -o ../bin/weir-cluster ./cluster
	@if [ -t 0 ]; then set -m; fi; bin/weir-cluster -weir $(BIN) $(CLUSTER) $(if $(ALONE),-alone) $(if $(HOLD),-hold) $(if $(DURATION),-duration $(DURATION))

build: ## build bin/weir
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/weir

test: setup check lint unit allocs simulation bench-check ## everything: vet, lint, all tests with the race detector, benchmarks build

setup: ## install what the tests need, or say what is missing
	@scripts/setup.sh test

check: ## build and vet every package
	$(GO) build ./...
	$(GO) vet ./...

lint: ## run the linters of .golangci.yml
	$(LINTER) run ./...

fmt: ## format every file as the linters want it
	$(LINTER) fmt ./...

unit: ## all tests: unit, fuzz seeds, behaviour scripts, end to end
	$(GO) test -race -shuffle=on -count=1 -timeout 10m $$($(GO) list ./... | grep -v '/weir/test$$')
	@# What is held to times under load has the machine to itself.
	$(GO) test -race -shuffle=on -count=1 -timeout 10m -skip '^TestShared' ./test
	$(GO) test -race -shuffle=on -count=1 -timeout 10m -run '^TestShared' -parallel 3 ./test

allocs: ## the tests that count allocations, without the race detector, which allocates
	$(GO) test -shuffle=on -count=1 -run 'Alloc' ./...

simulation: ## 20 million steps of shared counters and of decisions under faults, and the bugs planted in them
	$(GO) test -count=1 -timeout 15m ./sim/faults -faults.steps=20000000

sim: ## the same without planted bugs, for SIMTIME (10m), from seed SIMFROM (1)
	$(GO) test -count=1 -timeout 0 -run TestSeeds -v ./sim/faults -faults.for=$(or $(SIMTIME),10m) -faults.from=$(or $(SIMFROM),1)

soak-shared: ## faults of the store of shared counters, with real servers, for minutes
	WEIR_LONG=1 $(GO) test -race -count=1 -timeout 20m -v -run '^TestShared' ./test

bench-check: ## build and vet the benchmarks, and run each of them once
	cd benchmarks && $(GO) vet ./... && $(GO) test -shuffle=on -count=1 -short -bench . -benchtime 1x ./...

bench: ## measure Weir beside its peers (see docs/performance.md)
	@scripts/setup.sh bench
	cd benchmarks && $(GO) test -run '^$$' -bench . -cpu 1,2 ./limiter
	cd benchmarks && $(GO) run ./gateway

bench-cluster: build ## measure how exactly a fleet holds limits, and how soon (10 minutes; BROKER=amqp)
	$(GO) build -C benchmarks -o ../bin/weir-cluster ./cluster
	bin/weir-cluster accuracy -weir $(BIN) $(CLUSTER)
	bin/weir-cluster latency -weir $(BIN) $(CLUSTER)

bench-sharing: ## measure how exactly and at what cost nodes share counters (10 minutes)
	@scripts/setup.sh test
	cd benchmarks && $(GO) run ./sharing -o sharing/out.json
	cd benchmarks && $(GO) test -run '^$$' -bench 'Dirty|Grant' -benchtime 10x -timeout 20m ./sharing
	cd benchmarks && $(GO) test -run '^$$' -bench 'Memory' -benchtime 1x ./sharing
	cd benchmarks && $(GO) test -run '^$$' -bench 'Take|Time' -count 3 ./sharing

fuzz: ## run every fuzz target for FUZZTIME (20s)
	@scripts/fuzz.sh $(FUZZTIME)

clean: ## remove what was built
	rm -rf bin coverage.out benchmarks/out
