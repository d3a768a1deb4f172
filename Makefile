# Daypass. `make` or `make help` explains itself.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X daypass/backend/version.Version=$(VERSION)
TAGS    := desktop,production,webkit2_41
OUT     := build/bin
DOWN    := $(OUT)/downloads
GO      := go
export GOFLAGS ?= -buildvcs=false

# The customer downloads the host once and waits for it. What runs seldom is not inlined (tables of inlined calls are a third of the
# executable), functions are aligned to 16 bytes instead of 32, and HTTP/2 is left out: the server speaks HTTP/1.1 and WebSocket.
# What moves pixels, packets and bytes is compiled as always.
COLD := crypto/tls crypto/x509 crypto/ecdsa crypto/ecdh crypto/elliptic crypto/rsa crypto/sha3 crypto/internal/fips140/ecdsa \
	crypto/internal/fips140/rsa crypto/internal/fips140/nistec encoding/asn1 encoding/json fmt html internal/fmtsort log/slog \
	math/big mime net/http net/url regexp regexp/syntax github.com/coder/websocket github.com/godbus/dbus/v5 github.com/gtank/ristretto255 \
	github.com/jezek/xgb/... github.com/kbinani/screenshot github.com/pion/dtls/v3/pkg/protocol/extension \
	golang.org/x/net/dns/dnsmessage daypass/backend/grant daypass/backend/pairing/... \
	daypass/backend/rendezvous daypass/hostsvc daypass/hostsvc/clip daypass/hostsvc/consent daypass/hostsvc/host daypass/hostsvc/input \
	daypass/hostsvc/lease daypass/hostsvc/removal daypass/backend/journal daypass/backend/receipt daypass/backend/seal daypass/hostsvc/rights daypass/hostsvc/service daypass/hostsvc/verify
HOST := -trimpath $(COLD:%=-gcflags=%=-l) -ldflags "$(LDFLAGS) -funcalign=16"
HOSTTAGS := nethttpomithttp2

##@ Use
.PHONY: help
help: ## this text
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: ## install what is missing, build, and open the console, ready for a first session
	@build/need.sh screen run
	@$(MAKE) --no-print-directory build
	@echo "Opening Daypass. The signaling server is inside; close the window to end."
	@exec $(OUT)/daypass

.PHONY: demo
demo: ## the same, and a customer's desktop in a window, to play both sides
	@build/need.sh screen run demo
	@$(MAKE) --no-print-directory build
	@build/demo.sh

##@ Develop
.PHONY: build
build: frontend console host signaling ## everything that `run` needs

.PHONY: test
test: ## every check, the real windows under Xvfb included
	@build/need.sh run test
	@build/test.sh

.PHONY: check
check: ## formats, linters, types: what needs no display
	@build/need.sh run
	@build/test.sh check

.PHONY: fuzz
fuzz: ## every parser, FUZZ=5s each
	@build/test.sh fuzz

.PHONY: e2e
e2e: ## the true end-to-end alone: real console, server and host on two displays
	@build/need.sh run test
	@build/test.sh e2e

.PHONY: bench
bench: ## figures against TigerVNC, and what an idle session costs (root, a few minutes)
	@build/need.sh run test bench
	@$(MAKE) --no-print-directory lab
	@test/bench/run.sh

.PHONY: bench-server
bench-server: ## one server process with 5,000 idle hosts and 200 consoles: memory, CPU, coming back (10 minutes, needs 16,000 open files)
	@build/need.sh run
	@mkdir -p bin
	@$(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/daypass-signaling ./signaling
	@$(GO) run ./test/bench/server

.PHONY: faults
faults: ## server, console and customer's program killed at FAULTS_KILLS=60 steps, then the limits while the server is killed for FAULTS=120 seconds
	@build/need.sh run test
	@DAYPASS_FAULTS_KILLS=$(or $(FAULTS_KILLS),60) DAYPASS_FAULTS_SECONDS=$(or $(FAULTS),120) $(GO) test -count=1 -v -parallel 4 -timeout 30m ./test/faults

.PHONY: bench-history
bench-history: ## the history with 100,000 sessions: list, search, filters, p50 and p95 (about three minutes, 2 GB of disk)
	@$(GO) run ./test/bench/history

.PHONY: lab
lab: frontend ## bin/daypass-lab, bin/daypass-lab-host, bin/daypass-signaling: a session without a person (docs/lab.md)
	@build/need.sh run
	@echo "building the lab programs"
	@mkdir -p bin
	@$(GO) build -trimpath -tags $(TAGS),lab -ldflags "$(LDFLAGS)" -o bin/daypass-lab .
	@CGO_ENABLED=0 $(GO) build -tags lab,$(HOSTTAGS) $(HOST) -o bin/daypass-lab-host ./hostsvc
	@$(GO) build -trimpath -ldflags "$(LDFLAGS)" -o bin/daypass-signaling ./signaling

.PHONY: dist
dist: ## what is released, in build/bin/dist: Linux and Windows programs, packages, installer, SBOM, checksums
	@build/need.sh run dist
	@$(MAKE) --no-print-directory build
	@build/dist.sh "$(VERSION)"

.PHONY: clean
clean: ## remove what was built
	@rm -rf $(OUT) bin frontend/dist frontend/dist-fake build/cache test/results

##@ Parts
.PHONY: frontend
frontend: frontend/dist/index.html ## the page of the console

FRONTEND := $(shell find frontend -path frontend/node_modules -prune -o -path "frontend/dist*" -prune -o -type f -print 2>/dev/null)
frontend/dist/index.html: $(FRONTEND) frontend/node_modules/.installed
	@echo "building the page"
	@cd frontend && npm run --silent build -- --logLevel error
	@touch $@

frontend/node_modules/.installed: frontend/package-lock.json
	@echo "installing the page's packages"
	@cd frontend && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: console
console: frontend ## build/bin/daypass
	@echo "building the console (the first time takes a few minutes)"
	@$(GO) build -trimpath -tags $(TAGS) -ldflags "$(LDFLAGS)" -o $(OUT)/daypass .

.PHONY: host
host: ## build/bin/downloads: the customer's program
	@echo "building the customer's program"
	@mkdir -p $(DOWN)
	@for a in amd64 arm64; do CGO_ENABLED=0 GOOS=linux GOARCH=$$a $(GO) build -tags $(HOSTTAGS) $(HOST) -o $(DOWN)/daypass-host-linux-$$a ./hostsvc; done

.PHONY: signaling
signaling: ## build/bin/daypass-signaling
	@echo "building the signaling server"
	@$(GO) build -trimpath -ldflags "$(LDFLAGS)" -o $(OUT)/daypass-signaling ./signaling

# For amd64 and arm64, without a console window; icon, manifest and version are put there by build/winres/make.sh.
.PHONY: windows-host
windows-host:
	@mkdir -p $(OUT)/windows
	@for a in amd64 arm64; do CGO_ENABLED=0 GOOS=windows GOARCH=$$a $(GO) build -tags $(HOSTTAGS) $(HOST:-funcalign=16"=-funcalign=16 -H windowsgui") -o $(OUT)/windows/daypass-host-windows-$$a.exe ./hostsvc; done
