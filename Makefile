.PHONY: run test lint docs diagrams bench bench-upsert bench-tap fuzz deploy verify-aws clean

VENV := .venv/.ready
LOCALSTACK := .venv-localstack/.ready
FUZZ_RUNS ?= 200000
ACCOUNT ?= wistia

## Sync a Wistia account (TAP_WISTIA_API_TOKEN) or a simulated one into ./lake.
run: $(VENV)
	cargo build --release --locked --quiet
	scripts/run.sh

## Every test: unit, property and snapshot tests, then the built programs end to end.
test: $(VENV) $(LOCALSTACK)
	cargo build --workspace --locked
	cargo test --workspace --locked
	.venv/bin/pytest tests -n 2 --dist loadgroup

## What a change must pass before it is looked at.
lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

## The queries of docs/querying.md with what they answer, and its charts.
docs: $(VENV)
	cargo build --workspace --locked --quiet
	.venv/bin/pip install --quiet --disable-pip-version-check -r scripts/requirements.txt
	PYTHONPATH=tests .venv/bin/python scripts/querying.py

## The target next to DuckDB on the same input, then other shapes of input.
bench: $(VENV)
	cargo build --release --locked --quiet
	.venv/bin/python bench/target.py

## A nightly increment into large lakes, on a folder and on an S3 server of this machine.
bench-upsert: $(VENV)
	cargo build --release --locked --quiet
	.venv/bin/python bench/upsert.py

## How much of Wistia's allowance the tap uses, and how fast it is without one.
bench-tap: $(VENV)
	cargo build --release --locked --quiet
	.venv/bin/python bench/tap.py

## The reader and the decoder against random bytes. Needs `cargo install cargo-fuzz` and a C++ compiler.
fuzz:
	for target in input record; do \
		mkdir -p fuzz/target/corpus/$$target && \
		RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target fuzz/target/corpus/$$target fuzz/corpus/$$target -- \
			-runs=$(FUZZ_RUNS) -max_len=4096 -timeout=20 -rss_limit_mb=1024 || exit 1; \
	done

## The pictures of the documentation. Needs Graphviz.
diagrams:
	for source in docs/images/*.dot; do dot -Tsvg $$source -o $${source%.dot}.svg || exit 1; done

## A release of this commit for the Glue job, tried for a deployed Wistia account: make deploy ACCOUNT=wistia
deploy:
	$(MAKE) wheels
	python3 deploy/deploy.py release dist/*.whl --check $(ACCOUNT)

## What only a real AWS account can tell, for a deployed Wistia account: make verify-aws ACCOUNT=wistia
verify-aws:
	python3 deploy/verify.py $(ACCOUNT)

clean:
	rm -rf lake state.json

$(VENV): tests/requirements.txt
$(LOCALSTACK): tests/requirements-localstack.txt
$(VENV) $(LOCALSTACK):
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@
