# `make` alone prints what there is.
SHELL := /bin/sh
GO    ?= go
# The race detector needs a C compiler; where there is none, tests run without.
RACE  := $(shell command -v $${CC:-cc} >/dev/null 2>&1 && echo -race)

.PHONY: help run test short fuzz bench fault crash generate check tidy graphiql check-graphiql test-graphiql test-graphql-http test-subscriptions check-schema test-snippets test-zoo test-postgresql

help: ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

run: ## start HookQL on 127.0.0.1:8080 with a PostgreSQL of its own
	@test -n "$$DATABASE_URL" || sh db/embedded/install.sh
	$(GO) run .

test: ## run all tests
	@sh db/embedded/install.sh
	$(GO) vet ./...
	$(GO) test $(RACE) -shuffle=on ./...

short: ## run the tests that need no PostgreSQL
	$(GO) test -short ./internal/... ./delivery/... ./webhooktest/...

fuzz: ## try each fuzz target for FUZZTIME (default 3s)
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $${FUZZTIME:-3s} $$pkg; \
		done; \
	done

bench: ## print the figures of the docs; BENCH picks some by name
	@sh db/embedded/install.sh
	$(GO) test -run '^$$' -bench "$${BENCH:-.}" -benchtime $${BENCHTIME:-3s} . ./db ./db/embedded ./delivery ./internal/...

fault: ## kill, freeze and cut off what there is, in about 12 minutes (docs/reliability.md)
	@sh db/embedded/install.sh
	@$(GO) run ./internal/rig/crash -scenario all $${RECORD:+-record $$RECORD}

crash: ## kill processes N times (default 1000) under load, and judge what became of the events
	@sh db/embedded/install.sh
	@$(GO) run ./internal/rig/crash -n $${N:-1000} $${RECORD:+-record $$RECORD}

generate: ## make graph/ from schema.graphqls, and the generated docs
	$(GO) generate ./graph
	$(GO) test ./internal/config ./internal/zoo ./resolvers -run Docs -update
	$(GO) test ./db -run TestSchema -update

tidy: ## bring go.mod and go.sum in line with the imports
	$(GO) mod tidy

check: test ## what CI runs: tests, and that nothing generated is stale
	test -z "$$(gofmt -l .)"
	$(GO) mod tidy -diff
	$(GO) generate ./graph
	git diff --exit-code -- graph

graphiql: ## build internal/graphiql/dist from its source (needs Node)
	cd internal/graphiql/ui && npm ci && npm run build

check-graphiql: graphiql ## check that the committed build is what its source makes
	test -z "$$(git status --porcelain -- internal/graphiql/dist)"

test-graphiql: ## walk through GraphiQL in a real browser (needs Node and Chromium)
	cd internal/graphiql/ui && npm ci && ../../../.ci/with-server npm test

test-graphql-http: ## run the public audits of GraphQL over HTTP (needs Node)
	cd internal/graphqlhttp/audit && npm ci && ../../../.ci/with-server npm test

test-subscriptions: ## subscribe with the reference clients of both protocols (needs Node)
	cd internal/graphqlws/clients && npm ci
	$(GO) vet -tags node ./internal/graphqlws
	$(GO) test -tags node -run Clients ./internal/graphqlws

check-schema: ## check the schema with public rules and generated clients (needs Node)
	cd internal/schemacheck && npm ci && npm run lint && npm run breaking && npm test && npm run relay && npm run tada
	cd internal/schemacheck/client && $(GO) tool genqlient && cd nulls && $(GO) tool genqlient
	cd internal/schemacheck && $(GO) mod tidy -diff && $(GO) vet ./... && \
		../../.ci/with-server sh -c 'npm run served && $(GO) test -count=1 ./client'

test-snippets: ## run the receivers that Webhook.verificationSnippets shows (needs Node)
	@sh db/embedded/install.sh
	cd internal/snippet/node && npm ci
	$(GO) vet -tags node ./resolvers
	$(GO) test -tags node -run Snippets ./resolvers

test-postgresql: ## run the tests of SQL with PostgreSQL 14, 16, 17 and 18, too (needs Node, and Linux on x86-64)
	cd internal/pgtest/versions && npm ci
	GO=$(GO) internal/pgtest/versions/run.sh

test-zoo: ## put a receiver in Node through every test scenario (needs Node)
	cd internal/snippet/node && npm ci
	$(GO) vet -tags node ./internal/zoo
	$(GO) test -tags node -run Node ./internal/zoo
