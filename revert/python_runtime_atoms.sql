-- Revert hartonomous:python_runtime_atoms from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.atoms__token_map();
DROP FUNCTION llm_runtime.atoms__sql_literals();
DROP FUNCTION llm_runtime.atoms__projection();
DROP FUNCTION llm_runtime.atoms__hilbert_plane();
DROP FUNCTION llm_runtime.atoms__hilbert();
DROP FUNCTION llm_runtime.atoms__geometry();
DROP FUNCTION llm_runtime.atoms__atoms();
DROP FUNCTION llm_runtime.atoms__atom_runs();
DROP FUNCTION llm_runtime.atoms__atom_rows();

COMMIT;
