# Everything that a person or a pipeline does with this repository. `make` alone lists it.

FUZZTIME ?= 1000000x
LINT     := go tool -modfile=tools/go.mod golangci-lint

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## one verified OTP on loopback, nothing to set up, nothing left running
	go run ./cmd/pimsd dev --once

.PHONY: run
run: ## the same, and keep serving; FLAGS=--free-ports chooses ports that are free
	@go build -o bin/pimsd ./cmd/pimsd && exec bin/pimsd dev $(FLAGS)

# Packages of the service that start goroutines or share values between them; makefile_test.go compares the list with the code. The
# longest are first, so that both cores are busy to the end.
RACED := ./internal/store/postgres ./internal/store/sqlite ./internal/otp ./internal/inwebosim ./internal/inwebo ./internal/authn \
	./internal/api ./internal/app ./internal/store/seal ./internal/admission ./internal/config ./internal/errcodes \
	./internal/storequeue ./internal/telemetry ./internal/testkit/storetest
# Tests of whole daemons, which take several times as long with the race detector: `make test-all` runs them with it. Of cmd/pimsd it
# runs those of serve, dev, prompts and signals: no other command starts a goroutine.
DAEMONS := ./internal/testkit/pimsdtest ./internal/testkit/replicatest ./internal/testkit/loadtest
# These, the whole of cmd/pimsd, and packages that have no concurrency of their own, or drive that of RACED in other ways.
OTHERS = ./cmd/pimsd ./internal/testkit/pimsdtest ./internal/testkit/replicatest $(filter-out $(shell go list $(RACED)),$(shell go list ./...))
# So many packages are tested at a time, because some of their tests wait.
ATONCE := $(shell expr 2 \* `getconf _NPROCESSORS_ONLN`)

.PHONY: test
test: ## everything that guards behavior, in minutes: -race for what is concurrent in the service, short forms of long tests
	scripts/need cc postgres pgbouncer curl python3
	go test -p $(ATONCE) -race -timeout 20m $(RACED)
	go test -p $(ATONCE) -timeout 20m $(OTHERS)
	cd client && go vet ./... && go test -race ./...

.PHONY: test-all
test-all: ## the rest: -race for the tests of whole daemons, the modules contract and bench, a little of every fuzz target
	scripts/need cc postgres pgbouncer curl python3
	go test -race -timeout 30m $(DAEMONS)
	go test -race -timeout 20m -run 'Serve|Dev|Prompt|HangsUp|Interrupted|Stalls' ./cmd/pimsd
	go test -timeout 20m -run '^TestPgBouncerThatPoolsSessions$$' ./internal/store/postgres -whole
	cd contract && go vet ./... && go test ./...
	cd bench && go vet ./... && go test -race ./...
	scripts/fuzz 1000x

.PHONY: race
race: ## races, sleeping processes, signals and a database that goes away, at full length (half an hour)
	scripts/need cc postgres pgbouncer
	go test -race -count=1 -timeout 3h ./internal/testkit/replicatest -whole

# TestLinearizability takes so many histories.
ORDERS ?= 1000

.PHONY: linear
linear: ## ORDERS (1000) random histories of two replicas, each checked to be linearizable (a quarter of an hour)
	scripts/need postgres
	go test -count=1 -timeout 6h -v -run '^(TestLinearizability|TestPlantedStaleReadIsFound)$$' ./internal/testkit/replicatest -histories $(ORDERS)

.PHONY: crash
crash: ## kill, fail and cut the power at every call that writes (minutes; Linux)
	go test -count=1 -timeout 3h -v -run '^(TestCrashSweep|TestPowerLoss)' ./internal/testkit/crashtest -whole

# Of each property so many histories; TestHistories takes that many for each kind of store.
HISTORIES ?= 10000

.PHONY: guard
guard: ## HISTORIES (10000) random histories on each store: every verb under every fault, and PIN guard and quota (an hour)
	scripts/need postgres
	go test -count=1 -timeout 6h -v -run '^(TestHistories|TestRightPINsNeverLock)$$' ./internal/testkit/historytest -rapid.checks=$(HISTORIES)
	go test -count=1 -timeout 1h -v -run '^(TestGuardProperty|TestQuotaProperty)$$' ./internal/otp -rapid.checks=$(HISTORIES)

# How far the search goes: 1 is one conversation with a fault, 2 another without one, 5 two with a fault each, and 7 adds a command and an
# event (see depths).
DEPTH ?= 5

.PHONY: search
search: ## every short history instead of random ones: two conversations, each fault at each moment (half an hour)
	go test -count=1 -timeout 24h -v -run '^TestSearch$$' ./internal/testkit/historytest -depth=$(DEPTH)

# Which faults of bugs/ to bring back: all, or names separated by commas.
BUGS ?= all

.PHONY: bugs
bugs: ## bring back every fault of bugs/ in a copy, and expect its tests to fail (minutes; BUGS=name,name for some)
	scripts/need postgres
	go test -count=1 -timeout 3h -v -run '^TestBugs$$' . -bugs=$(BUGS)

# The packages whose operators are changed, one at a time. bin/mutants has the results, of which tools/mutants.txt explains those that live.
MUTANTS ?= internal/inwebo/ratchet,internal/store/seal,internal/authn,internal/otp,internal/store/sqlite,internal/store/postgres

.PHONY: mutants
mutants: ## change every operator of MUTANTS in turn, and expect its tests to fail (hours, and goes on where it was interrupted)
	scripts/need postgres pgbouncer
	go test -count=1 -timeout 12h -v -run '^TestMutants$$' . -mutants=$(MUTANTS)

.PHONY: deploy
deploy: ## what deploys pimsd, held to the tools that read it: systemd, Helm, Prometheus, a browser, a container
	scripts/need systemd prometheus chromium sqlite3
	cd deploy && go vet ./... && go test -count=1 -timeout 1h ./... # the first time, helm is compiled in it

.PHONY: contract
contract: ## the OpenAPI document, held to linters, generated clients, and a proxy that validates; the example in Kotlin
	scripts/need npm kotlin
	cd contract/testdata/node && npm install --no-package-lock --no-audit --no-fund
	cd contract && go test -count=1 -timeout 30m -tags tools -run '^(TestLinters|TestClientNeeds|TestGenerated|TestPrism|TestKotlin)' .

# How long the soak takes, and with how many accounts on each kind of store.
HOURS    ?= 2
ACCOUNTS ?= 10000

.PHONY: soak
soak: ## two replicas on each store, 10,000 accounts, all kinds of callers and troubles for HOURS (2); slopes in the report
	scripts/need postgres
	go test -count=1 -timeout 0 -v -run '^TestSoak$$' ./internal/testkit/replicatest -soak=$(HOURS)h -accounts=$(ACCOUNTS)

.PHONY: load
load: ## overload, slow callers, inWebo dead, slow and flapping, at full length (two minutes)
	go test -count=1 -v ./internal/testkit/loadtest -whole

.PHONY: image
image: ## the image, made of a reproducible binary, and an OTP from the inside of it (root, Linux)
	scripts/need buildah unshare ip
	scripts/try-image

.PHONY: release
release: ## what a release is made of, in dist, verified, and nothing published (builds its tools first: a quarter of an hour)
	scripts/need dpkg jq
	scripts/path/syft --version # goreleaser starts several at a time, and each would compile it
	PATH=$(CURDIR)/scripts/path:$$PATH go tool -modfile=tools/goreleaser.mod goreleaser release --snapshot --clean --skip=publish,sign,docker
	scripts/try-release

.PHONY: publish
publish: # a release of the tag that is checked out, signed; .github/workflows/release.yml runs it
	scripts/path/syft --version
	PATH=$(CURDIR)/scripts/path:$$PATH go tool -modfile=tools/goreleaser.mod goreleaser release --clean

.PHONY: check
check: fmt vet lint test ## what a commit must pass: formatting, vet, lint, tests

.PHONY: fmt
fmt:
	@test -z "$$(gofmt -l .)" || { echo "not formatted (gofmt -w them):"; gofmt -l .; exit 1; }

.PHONY: vet
vet:
	go vet ./...

.PHONY: lint
lint: ## golangci-lint, pinned by tools/go.mod
	$(LINT) run
	cd deploy && go tool -modfile=../tools/go.mod golangci-lint run
	cd bench && go tool -modfile=../tools/go.mod golangci-lint run
	cd client && go tool -modfile=../tools/go.mod golangci-lint run
	cd contract && go tool -modfile=../tools/go.mod golangci-lint run

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (1000000x: so many executions; 30s: so long)
	scripts/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## what an OTP costs, against the baseline; writes BENCHMARKS.md (minutes; ROWS=a,b for some; Linux)
	scripts/need postgres
	cd bench && CGO_ENABLED=0 go run . -rows '$(ROWS)'

.PHONY: build
build: ## a static binary, bin/pimsd
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/pimsd ./cmd/pimsd
