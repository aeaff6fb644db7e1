# Two commands do everything: `make demo` (go run ./cmd/sallyport demo) and
# `make test`. Each target below is one line that can be run by hand.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null)
DATE ?= $(shell git log -1 --format=%cI 2>/dev/null)
TARGETS ?= linux/amd64 linux/arm64 linux/arm darwin/amd64 darwin/arm64 windows/amd64

.DEFAULT_GOAL := help
.PHONY: help run demo test check fuzz bench figures mutants campaign peers screenshots release

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: ## the server in development, on http://localhost:5000
	go run ./cmd/sallyport serve

demo: ## the server with sample data and a sample relying party
	go run ./cmd/sallyport demo

test: ## everything that must hold; starts its own PostgreSQL, Redis and browser
	@.ci/run

check: ## the same without the race detector and fuzzing
	@.ci/run quick

fuzz: ## every fuzz target for a few seconds
	@.ci/run fuzz

bench: ## every benchmark, on both engines
	@.ci/with-services go test -run '^$$' -bench . -benchmem ./...

figures: ## sizes, comments, clones and imports of the code
	@go run -C tools ./figures

mutants: ## take guards out one at a time, each must fail its test; FROM=n goes on at number n
	@.ci/with-services go run -C tools ./mutants -from $(or $(FROM),1)

campaign: ## races, kills and faults with their full numbers, some minutes
	@SALLYPORT_TEST_FULL=1 .ci/with-services go test -count=1 -v -timeout 60m ./test/campaigns

peers: ## sign in through other people's relying parties, which it downloads; PEER=name tries one
	@SALLYPORT_TEST_PEERS=1 .ci/with-services go test -count=1 -v -timeout 60m -run 'Peers/$(PEER)' ./test/peers

screenshots: ## every page as people see it, into ./screenshots
	@.ci/packages ensure
	@cd test/browser && npm ci --no-audit --no-fund --ignore-scripts
	@SALLYPORT_TEST_SCREENSHOTS="$(CURDIR)/screenshots" .ci/with-services go test -count=1 -run Screenshots ./test/browser
	@echo "open screenshots/index.html"

release: ## static binaries for every platform, with checksums, into ./dist
	@rm -rf dist && mkdir dist
	@for target in $(TARGETS); do \
		os=$${target%/*} arch=$${target#*/} suffix=; \
		if [ $$os = windows ]; then suffix=.exe; fi; \
		echo "$$target"; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)' \
			-o dist/sallyport-$$os-$$arch$$suffix ./cmd/sallyport || exit 1; \
	done
	@cd dist && sha256sum * > SHA256SUMS
