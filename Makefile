# Every step that CI takes is a target here. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory
export CGO_ENABLED := 0

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X github.com/flowledger/flowledger/services/internal/run.version=$(VERSION)
BINARIES := ingest dedup stitch detect sink flowctl
ENGINE   := ./internal/embedded/flowledger-engine
PROTO    := cd proto && GOWORK=off go tool -modfile=tools/go.mod buf
DATA     ?= ../shared/data
FUZZTIME ?= 3s

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  %-16s %s\n", $$1, $$2}'

## ---- build ----

.PHONY: build
build: ## Build the six static binaries into bin/, and the engine of "flowctl dev" beside them
	@mkdir -p bin
	@cd services && go build -trimpath -ldflags '$(LDFLAGS)' -o ../bin/ $(addprefix ./,$(BINARIES)) $(ENGINE)

.PHONY: clean
clean: ## Remove what was built
	@rm -rf bin evidence

.PHONY: generate
generate: ## Regenerate the protobuf code
	@$(PROTO) generate

.PHONY: contract
contract: ## Freeze today's protobuf contract: later changes must not break it
	@$(PROTO) build -o contract.binpb

## ---- try ----

.PHONY: demo
demo: build ## Play a break-in over UDP through the whole pipeline and show what is found
	@bin/flowctl demo --bin bin

.PHONY: dev
dev: build ## Run the embedded Kafka broker and ClickHouse until Ctrl-C
	@bin/flowctl dev --dir .cache/dev

## ---- check ----

.PHONY: test
test: proto-check lint test-go test-fuzz test-deploy ## The one test command: everything CI runs
	@echo "all tests passed"

.PHONY: test-go
test-go: build ## Unit, property, golden and end-to-end tests (embedded stack and real Kafka)
	@cd proto && go vet ./... && go test ./...
	@# Binaries, docs and shared data lie outside the module, so a cached verdict could be stale: -count=1.
	@# The bound is for what hangs: a machine with other work takes several times as long.
	@cd services && go vet ./... && go test -count=1 -timeout 45m ./...

.PHONY: test-fuzz
test-fuzz: ## Run every fuzz target briefly (FUZZTIME=3s each)
	@deploy/ci/fuzz $(FUZZTIME)

.PHONY: test-deploy
test-deploy: build ## Hold helm, compose, images and binaries against the services' configuration
	@# What is judged lies outside the module, so a cached verdict would be stale: -count=1.
	@cd deploy/validate && GOWORK=off go vet ./... && GOWORK=off go test -count=1 ./...

.PHONY: proto-check
proto-check: ## Lint the contract, refuse breaking changes, check that generated code is current
	@$(PROTO) lint
	@$(PROTO) breaking --against contract.binpb
	@deploy/ci/generated

.PHONY: lint
lint: ## gofmt, go vet and golangci-lint
	@deploy/ci/lint

## ---- measure ----

CAPTURE ?= $(DATA)/traffic/internet_morning.pcap.gz
KILLS   ?= 20
SEED    ?= 1
RECORDS ?= 1000000
ROUNDS  ?= 3

.PHONY: crash-test
crash-test: build ## kill -9 at random, then compare the ledger with flowctl run (CAPTURE, KILLS, SEED)
	@cd services && go run ./e2e/crashtest --bin ../bin --evidence ../evidence --capture $(abspath $(CAPTURE)) --kills $(KILLS) --seed $(SEED)

.PHONY: mutants
mutants: ## Break the rules of dedup and stitch one at a time: which tests notice? (an hour)
	@cd services && go run ./e2e/mutants -document ../docs/explain/preparation.md

.PHONY: metrics-page
metrics-page: ## Write docs/reference/metrics.md anew from the code
	@cd services && go test -p 1 ./internal/stage ./ingest ./dedup ./stitch ./detect ./sink -run TestMetricsPage -update-metrics

.PHONY: bench
bench: build ## CPU and memory beside nfcapd and nfdump (CAPTURE, RECORDS, SEED, ROUNDS)
	@cd services && go run ./e2e/bench --bin ../bin --records $(RECORDS) --seed $(SEED) --rounds $(ROUNDS) --capture $(abspath $(CAPTURE))

# 3 million records of our own making, or the CAPTURE that is named, and nothing else.
PREPARE = $(if $(filter command,$(firstword $(origin CAPTURE))),--records 0 --capture $(abspath $(CAPTURE)),--records $(if $(filter command,$(firstword $(origin RECORDS))),$(RECORDS),3000000))

.PHONY: bench-prepare
bench-prepare: build ## dedup and stitch beside nfcapd, nfdump and the floor (RECORDS or CAPTURE, SEED, ROUNDS)
	@cd services && go run ./e2e/bench --bin ../bin --systems run,nfdump,dedup,stitch,floor --seed $(SEED) --rounds $(ROUNDS) $(PREPARE)

.PHONY: bench-loss
bench-loss: build ## The highest rate at which nfcapd loses nothing, and ingest at that (RECORDS, SEED, ROUNDS)
	@cd services && go run ./e2e/bench --bin ../bin --loss --systems ingest --records $(RECORDS) --seed $(SEED) --rounds $(ROUNDS)

# goflow2's own program, at the version whose decoders we use.
GOFLOW2 = .cache/goflow2-$(shell cd services && go list -m -f '{{.Version}}' github.com/netsampler/goflow2/v2)

.PHONY: goflow2
goflow2:
	@test -x $(GOFLOW2)/goflow2 || GOWORK=off GOBIN=$(abspath $(GOFLOW2)) \
		go install -trimpath github.com/netsampler/goflow2/v2/cmd/goflow2@$(patsubst .cache/goflow2-%,%,$(GOFLOW2))

# Points of bench-scale: RECORDSxPARTITIONSxPROCESSES, with commas.
POINTS ?= all

.PHONY: bench-scale
bench-scale: build ## dedup and stitch from 0.3 to 10 million records, over partitions and processes (POINTS, SEED, ROUNDS)
	@cd services && go run ./e2e/bench --bin ../bin --scale $(POINTS) --seed $(SEED) --rounds $(ROUNDS)

.PHONY: bench-ingest
bench-ingest: build goflow2 ## ingest beside nfcapd and goflow2 on 3 million NetFlow v9 records (RECORDS, SEED, ROUNDS)
	@cd services && go run ./e2e/bench --bin ../bin --goflow2 ../$(GOFLOW2)/goflow2 --systems nfcapd,ingest,goflow2,decode \
		--records $(if $(filter command,$(firstword $(origin RECORDS))),$(RECORDS),3000000) --seed $(SEED) --rounds $(ROUNDS)
