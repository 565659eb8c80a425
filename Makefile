# `make demo` and `make test` need a Debian machine with git and make, and root or sudo. Nothing else.
.DEFAULT_GOAL := help
.PHONY: help install demo test up down psql dsn lint format render reference new pgtap bench clean

# Asked when a recipe runs: before `make install` neither may exist.
VENV = $(shell tools/where venv)
PYTHON = $(VENV)/bin/python

help: ## what there is to make
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

install:
	@tools/install

demo: up ## a private server, the bundled model in it, and SELECT generate(...)
	@$(PYTHON) tools/demo.py

test: install ## everything, from nothing, in a server of its own
	@$(PYTHON) tools/check.py

up: install ## start the private server, deploy what is not deployed
	@$(PYTHON) tools/cluster.py up

down: install ## stop the private server; its data stays
	@$(PYTHON) tools/cluster.py down

psql: up ## psql in the private server
	@$(PYTHON) tools/cluster.py psql

dsn: up ## one libpq URI of a login that may load and generate
	@$(PYTHON) tools/cluster.py dsn

lint: install ## style of Python and SQL, drift of rendered scripts
	@$(PYTHON) tools/check.py lint

format: install ## mend the style of Python and SQL where a program can
	@$(VENV)/bin/ruff check --quiet --fix .
	@$(VENV)/bin/ruff format --quiet .
	@$(VENV)/bin/sqlfluff fix --quiet --processes 0 deploy revert verify tests/pgtap

render: install ## plpython/ into deploy scripts
	@$(PYTHON) tools/render.py

reference: up ## docs/sql-reference.md from the database's comments
	@$(PYTHON) tools/sql_reference.py

new: install ## the scripts of a SQL function: make new function NAME
	@$(PYTHON) tools/new.py $(filter-out new,$(MAKECMDGOALS))

# What stands behind `new` are words, not targets.
ifeq (new,$(firstword $(MAKECMDGOALS)))
$(filter-out new,$(MAKECMDGOALS)):
	@:
endif

pgtap: up ## one file of tests/pgtap in the private server: make pgtap FILE=...
	@$(PYTHON) tools/check.py pgtap $(FILE)

bench: up ## ours through SQL against llama.cpp and ik_llama.cpp, some hours; PARTS="decode rows" for some of it
	@$(PYTHON) bench/run.py $(PARTS)

clean: install ## delete the private server and all that was loaded into it
	@$(PYTHON) tools/cluster.py remove
