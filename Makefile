# The only door: everything that is done with this repository is a target here.

CARGO ?= cargo

# Generated cases are the same in every run; another seed finds others: make test PROPTEST_RNG_SEED=2
export PROPTEST_RNG_SEED ?= 1

.PHONY: run build release order test check interop bench size clean

# The program that we ship. Where the C library is there to be linked (glibc's libc.a, all musl targets) it is static, at
# fixed addresses: no code to relocate at the start, so nothing of it is copied. Only this last step knows; plain
# `cargo build --release` needs no libc.a.
LIBC_A = $(if $(TARGET),$(findstring musl,$(TARGET)),$(wildcard $(shell $(CC) -print-file-name=libc.a)))
STATIC = $(if $(LIBC_A),-C target-feature=+crt-static -C relocation-model=static)
RELEASE = $(CARGO) rustc --release --locked --bin ferula $(TARGET:%=--target=%) -- $(STATIC)
FERULA = target/$(TARGET:%=%/)release/ferula

# For another processor: make release TARGET=aarch64-unknown-linux-musl
release:
	$(RELEASE)

# Looks again at what a run executes (needs valgrind and ld.lld; fixed addresses, hence libc.a).
order:
	$(RELEASE) -C strip=none -C link-arg=-Wl,-Map=target/ferula.map
	link/order.py $(FERULA) target/ferula.map >target/start.ld
	mv target/start.ld link/start.ld

# Ferula in the foreground, scraping itself, on http://localhost:9090; built sooner, and slower, with
# make run PROFILE=dev
RUN = --config.file=config/ferula.yml --storage.tsdb.path=data/ --web.enable-lifecycle
PROFILE ?= release
ifeq ($(PROFILE),release)
run: release
	$(FERULA) $(RUN)
else
run:
	$(CARGO) run --profile $(PROFILE) -- $(RUN)
endif

build:
	$(CARGO) build

# Unit tests, the house's rules, and the end-to-end tests that drive the real binary.
test:
	$(CARGO) test --locked

# Format, lints with warnings denied, links in the documentation, the example configuration.
check:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --locked --no-deps --document-private-items
	$(CARGO) run --locked --quiet -- check config config/ferula.yml

# Against real peers: Debian's prometheus-node-exporter, installed when it is missing (needs root).
interop:
	tests/interop.sh

# Micro benchmarks of the hot paths.
bench:
	$(CARGO) bench --locked

# What the shipped binary weighs.
size: release
	@ls -l $(FERULA) | awk '{printf "%.2f MiB\n", $$5 / 1048576}'

clean:
	$(CARGO) clean
