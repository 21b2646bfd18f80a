# The only door: everything that is done with this repository is a target here.

CARGO ?= cargo

# Generated cases are the same in every run; another seed finds others: make test PROPTEST_RNG_SEED=2
export PROPTEST_RNG_SEED ?= 1

.PHONY: run build release test check interop bench size clean

# Ferula in the foreground, scraping itself, on http://localhost:9090; built sooner, and slower, with
# make run PROFILE=dev
PROFILE ?= release
run:
	$(CARGO) run --profile $(PROFILE) -- --config.file=config/ferula.yml --storage.tsdb.path=data/ --web.enable-lifecycle

build:
	$(CARGO) build

release:
	$(CARGO) build --release

# Unit tests, the house's rules, and the end-to-end tests that drive the real binary.
test:
	$(CARGO) test --locked

# Format, lints with warnings denied, the example configuration.
check:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) run --locked --quiet -- check config config/ferula.yml

# Against real peers: Debian's prometheus-node-exporter, installed when it is missing (needs root).
interop:
	tests/interop.sh

# Micro benchmarks of the hot paths.
bench:
	$(CARGO) bench --locked

# What the shipped binary weighs.
size: release
	@ls -l target/release/ferula | awk '{printf "%.2f MiB\n", $$5 / 1048576}'

clean:
	$(CARGO) clean
