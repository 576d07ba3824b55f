# Everything a developer runs. Needs Go, git and make; demo, up and the integration tests also need kubectl.
# The environment is described in test/env, the checks in CONTRIBUTING.md.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Without its own path in what it builds, a clone finds in Go's cache what another one has built of the same sources.
export GOFLAGS := $(strip $(filter-out -trimpath,$(shell go env GOFLAGS)) -trimpath)

GEN      := go tool -modfile=tools/gen/go.mod
LINT     := go tool -modfile=tools/lint/go.mod golangci-lint-kube-api-linter
HEADER   := tools/gen/boilerplate.go.txt
ENVCMD   := go run ./test/env/cmd/tmcenv
ENVSIZE  := $(if $(SHARDS),--shards=$(SHARDS)) $(if $(MEMBERS),--members=$(MEMBERS))
UNIT     := ./apis/... ./cmd/... ./openapi/... ./pkg/... ./test/env/... ./tools/...
COVERDIR := $(CURDIR)/bin/coverage
FUZZTIME ?= 30s
COVERMIN ?= 90
ROUNDS   ?= 1

# What takes away what others stand on, minutes long, is a target of its own: the server killed before and after each of its
# writes (ROUNDS times), restarts with much placed, members dead, hung or away, everything deleted during a sync.
FAULTS   := ^TestFLT01|^TestFLT14|^TestFLT21|^TestMemberAway|^TestRestart
# Tests are short and the machines that run them are slow, while memory is there: collect garbage less often.
TESTENV  := GOGC=300

# What is generated, for verify.
GENERATED := 'apis/**/zz_generated*' apis/manifests openapi docs/reference

.PHONY: help
help: ## List the targets.
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-18s %s\n", $$1, $$2}' Makefile

.PHONY: build
build: ## Build bin/tmc-apiserver.
	go build -o bin/tmc-apiserver ./cmd/tmc-apiserver

.PHONY: demo
demo: ## Start everything, register the members, show a tenant's view, leave it running.
	$(ENVCMD) demo $(ENVSIZE)

.PHONY: up
up: ## Start kcp, members and tmc-apiserver, and wait until they are ready (SHARDS=2, MEMBERS=n).
	$(ENVCMD) up $(ENVSIZE)

.PHONY: down
down: ## Stop and remove what demo and up started.
	$(ENVCMD) down

.PHONY: test
test: ## Unit and integration tests, with the coverage of both merged.
	rm -rf $(COVERDIR)
	$(MAKE) --no-print-directory test-unit
	$(MAKE) --no-print-directory test-integration
	$(MAKE) --no-print-directory cover

.PHONY: test-unit
test-unit: ## Unit tests, with the race detector. Four packages at once, whatever the processors: many tests wait for clocks.
	rm -rf $(COVERDIR)/unit && mkdir -p $(COVERDIR)/unit
	go test -p 4 -race -vet=off -ldflags='-s -w' -cover -covermode=atomic $(UNIT) -args -test.gocoverdir=$(COVERDIR)/unit

.PHONY: test-integration
test-integration: ## Integration tests against real kcp and real members, the server built with coverage counters.
	rm -rf $(COVERDIR)/integration && mkdir -p $(COVERDIR)/integration
	$(TESTENV) TMC_COVERDIR=$(COVERDIR)/integration go test -count=1 -timeout=30m -parallel=8 -skip='$(FAULTS)' ./test/integration/...

.PHONY: test-faults
test-faults: ## Integration tests of faults that take minutes: the server killed at every step of sync (ROUNDS=1 times), members away, deletions during sync.
	TMC_CRASH_ROUNDS=$(ROUNDS) $(TESTENV) go test -count=1 -timeout=$$((20 + 5 * $(ROUNDS)))m -parallel=8 -run='$(FAULTS)' ./test/integration/...

.PHONY: cover
cover: ## Print the coverage of the last test runs (less than COVERMIN, 90, is an error).
	@dirs=$$(find $(COVERDIR)/unit $(COVERDIR)/integration -name 'covmeta.*' -printf '%h\n' 2>/dev/null | sort -u | paste -sd, -); \
	go tool covdata textfmt -i="$$dirs" -o $(COVERDIR)/profile.txt; \
	go run ./tools/coverage -min=$(COVERMIN) $(COVERDIR)/profile.txt

.PHONY: bench
bench: ## Benchmarks, each with its reference method in the same run, then the macro ones on a real environment; a summary of the targets. TMC_BENCH_LONG=1 adds those that take minutes.
	mkdir -p bin
	go test -run='^$$' -bench=. -benchmem -benchtime=500ms -timeout=10m \
		$$(grep -rlE --include='*_test.go' '^func Benchmark' apis cmd pkg | xargs -n1 dirname | sort -u | sed 's|^|./|') | tee bin/bench.txt
	go test -run='^$$' -bench=. -benchtime=1x -timeout=45m ./test/bench/... | tee -a bin/bench.txt
	go run ./tools/benchreport bin/bench.txt

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (30s).
	@grep -rlE --include='*_test.go' '^func Fuzz' apis cmd pkg | while read -r file; do \
		grep -oE '^func Fuzz[A-Za-z0-9_]+' "$$file" | while read -r _ name; do \
			echo "fuzz $$name in $$(dirname "$$file")"; \
			go test -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(FUZZTIME) "./$$(dirname "$$file")" </dev/null; \
		done; \
	done

.PHONY: fmt
fmt: ## Format the Go code.
	$(LINT) fmt

.PHONY: lint
lint: ## Run the linters. The first run builds golangci-lint, about two minutes.
	$(LINT) run ./...
	$(LINT) run --config=.golangci-api.yml ./apis/tmc/...

.PHONY: generate
generate: ## Generate everything that is generated: deepcopy, schemas, OpenAPI, reference pages.
	$(GEN) controller-gen object:headerFile=$(HEADER) paths=./apis/tmc/...
	$(GEN) controller-gen crd paths=./apis/tmc/... output:crd:dir=apis/manifests/crds
	$(GEN) openapi-gen --go-header-file=$(HEADER) --output-model-name-file=zz_generated.model_name.go \
		--output-dir=openapi --output-pkg=github.com/kcp-dev/tmc/openapi --output-file=zz_generated.openapi.go \
		--report-filename=/dev/null ./apis/tmc/v1alpha1
	$(GEN) openapi-gen --go-header-file=$(HEADER) \
		--output-dir=openapi --output-pkg=github.com/kcp-dev/tmc/openapi --output-file=zz_generated.openapi.go \
		--report-filename=/dev/null ./apis/tmc/v1alpha1 k8s.io/apimachinery/pkg/apis/meta/v1 \
		k8s.io/apimachinery/pkg/runtime k8s.io/apimachinery/pkg/version k8s.io/apimachinery/pkg/api/resource
	go run ./tools/schemagen
	go run ./tools/kubeschemas
	mkdir -p docs/reference && go run ./tools/apidocs > docs/reference/api.md
	go run ./tools/flagdocs > docs/reference/flags.md
	go run ./cmd/tmc-apiserver member-role > docs/reference/member-role.yaml

.PHONY: verify
verify: verify-lite lint ## Everything that must hold before a change lands, but for the tests.

.PHONY: verify-lite
verify-lite: verify-generated verify-layers vet ## verify without the linters.

.PHONY: verify-generated
verify-generated: generate ## Fail when generated files differ from what is committed.
	@changes=$$(git status --porcelain --untracked-files=all -- $(GENERATED)); \
	if [[ -n "$$changes" ]]; then \
		printf 'Generated files are not up to date. Run make generate and commit:\n%s\n' "$$changes" >&2; \
		git --no-pager diff --stat -- $(GENERATED) >&2; \
		exit 1; \
	fi

.PHONY: verify-layers
verify-layers: ## Fail when a package reaches one that it must not.
	go run ./tools/layers

.PHONY: vet
vet: ## Run go vet and check go.mod.
	go vet ./...
	go mod tidy -diff

.PHONY: clean
clean: ## Remove what build and test left. Binaries of the environment are in the user's cache folder.
	rm -rf bin
