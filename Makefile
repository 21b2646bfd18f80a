# The only door: everything that is done with this repository is a target here.

CARGO ?= cargo

# dev is built sooner, and slower.
PROFILE ?= release
# Generated cases are the same in every run; another seed finds others: make test PROPTEST_RNG_SEED=2
export PROPTEST_RNG_SEED ?= 1
export PYTHONDONTWRITEBYTECODE = 1

.PHONY: run build release cross cross-tools order test soak test32 emulate check interop fuzz bench size clean

# The program that we ship. Where the C library is there to be linked (glibc's libc.a, all musl targets) it is static, at
# fixed addresses: no code to relocate at the start, so nothing of it is copied. Only this last step knows; plain
# `cargo build --release` needs no libc.a.
LIBC_A = $(if $(TARGET),$(findstring musl,$(TARGET)),$(wildcard $(shell $(CC) -print-file-name=libc.a)))
STATIC = $(if $(LIBC_A),-C target-feature=+crt-static -C relocation-model=static)
RELEASE = $(CARGO) rustc --release --locked --bin ferula $(TARGET:%=--target=%) -- $(STATIC)
# `make cross` builds below target/cross.
FERULA = target/$(if $(filter $(CROSS),$(CARGO)),cross/)$(TARGET:%=%/)release/ferula

# For another processor of 64 bits, with rustup's std and a C compiler of one's own: make release TARGET=aarch64-unknown-linux-musl
release: $(if $(TARGET),std)
	$(RELEASE)

STD = $(shell rustc --print sysroot)/lib/rustlib/$(TARGET)/lib
std:
	@[ "$(CARGO)" = $(CROSS) ] || [ -d $(STD) ] || { \
		echo "std for $(TARGET) is not installed: run 'make cross TARGET=$(TARGET)', which builds it" >&2; \
		echo "(README.md, 'For another processor'), or 'rustup target add $(TARGET)'" >&2; \
		exit 1; }

# For any processor that musl runs on, with std from its sources and zig as C compiler and linker; PROFILE=dev is sooner.
# Built so far: x86_64, aarch64, i686, riscv64gc and mipsel, each with -unknown-linux-musl, and armv7-unknown-linux-musleabihf.
CROSS = .ci/cross
cross:
	@[ -n "$(TARGET)" ] || { echo "for which processor? As in: make cross TARGET=aarch64-unknown-linux-musl" >&2; exit 2; }
ifeq ($(PROFILE),release)
	@$(MAKE) --no-print-directory release CARGO=$(CROSS) TARGET=$(TARGET)
else
	$(CROSS) build --locked --bin ferula --target=$(TARGET)
endif

# What `make cross` needs; asks sudo for Debian's packages.
cross-tools:
	$(CROSS) --install

# Looks again at what a run executes (needs valgrind and ld.lld; fixed addresses, hence libc.a).
order:
	$(RELEASE) -C strip=none -C link-arg=-Wl,-Map=target/ferula.map
	link/order.py $(FERULA) target/ferula.map >target/start.ld
	mv target/start.ld link/start.ld

# Ferula in the foreground, scraping itself, on http://localhost:9090; built sooner, and slower, with
# make run PROFILE=dev
RUN = --config.file=config/ferula.yml --storage.tsdb.path=data/ --web.enable-lifecycle
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

# The loop of kills for 200 rounds instead of ten: some two minutes.
soak:
	FERULA_KILL_ROUNDS=200 $(CARGO) test --locked --test it crash::kills

# The same on 32 bits, which x86-64 kernels run as they are, and a life in 2040.
test32: TARGET = i686-unknown-linux-musl
test32:
	$(CROSS) test --locked --target=$(TARGET) --lib --test promql --test it
	tests/cross/in_2040.py target/cross/$(TARGET)/debug/ferula

# What `make cross` made for TARGET does as the native program does, run by qemu if need be.
emulate: build cross
	tests/cross/emulate.py target/debug/ferula target/cross/$(TARGET)/$(PROFILE:dev=debug)/ferula $(TARGET)

# Format, lints with warnings denied, links in the documentation, the example configuration.
check:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" $(CARGO) doc --locked --no-deps --document-private-items
	$(CARGO) run --locked --quiet -- check config config/ferula.yml

# Against real peers: Debian's prometheus-node-exporter, installed when it is missing (needs root).
interop:
	tests/interop.sh

# Each fuzz target for a minute, from its seeds and from what earlier runs found. The stable compiler does, with libFuzzer's
# flags; a fault is left in fuzz/artifacts. One target alone: make fuzz FUZZ_TARGETS=exposition FUZZ_SECONDS=600
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
FUZZ_HOST = $(shell rustc -vV | sed -n 's/^host: //p')
FUZZ_LLVM = coverage-level=4 coverage-inline-8bit-counters coverage-pc-table coverage-trace-compares
FUZZ_FLAGS = --cfg fuzzing -Cpasses=sancov-module $(FUZZ_LLVM:%=-Cllvm-args=-sanitizer-%)
fuzz:
	cd fuzz && RUSTC_BOOTSTRAP=1 RUSTFLAGS="$(FUZZ_FLAGS)" $(CARGO) build --release --target $(FUZZ_HOST)
	@set -e; for target in $(FUZZ_TARGETS); do \
		found=fuzz/corpus/$$target; seeds=fuzz/seeds/$$target; [ -d $$seeds ] || seeds=fuzz/seeds/promql_parse; \
		mkdir -p $$found fuzz/artifacts; \
		fuzz/target/$(FUZZ_HOST)/release/$$target -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
			-artifact_prefix=fuzz/artifacts/$$target- $$found $$seeds; \
	done

# Micro benchmarks of the hot paths.
bench:
	$(CARGO) bench --locked

# What the program weighs, its ten largest crates, and whether link/start.ld is of use; with TARGET, of what `make cross`
# makes. A build of its own, which leaves its Rust beside it, with names and not linked.
size: CARGO = $(if $(TARGET),$(CROSS),cargo)
size:
	@mkdir -p $(dir $(FERULA))
	$(RELEASE) --emit=obj=$(FERULA).o
	@link/weigh.py $(FERULA).o $(FERULA)
	@link/weigh.py $(FERULA).o link/start.ld

clean:
	$(CARGO) clean
