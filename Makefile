.PHONY: run test lint bench bench-tap clean

VENV := .venv/.ready

## Sync a Wistia account (TAP_WISTIA_API_TOKEN) or a simulated one into ./lake.
run: $(VENV)
	cargo build --release --locked --quiet
	scripts/run.sh

## Every test: unit, property and snapshot tests, then the built programs end to end.
test: $(VENV)
	cargo build --workspace --locked
	cargo test --workspace --locked
	.venv/bin/pytest tests -n 2

## What a change must pass before it is looked at.
lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

## The target next to DuckDB on the same input, then other shapes of input.
bench: $(VENV)
	cargo build --release --locked --quiet
	.venv/bin/python bench/target.py

## How much of Wistia's allowance the tap uses, and how fast it is without one.
bench-tap: $(VENV)
	cargo build --release --locked --quiet
	.venv/bin/python bench/tap.py

clean:
	rm -rf lake state.json

$(VENV): tests/requirements.txt
	python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@
