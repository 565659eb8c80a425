-- Revert hartonomous:python_runtime_hilbert_plane from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.hilbert_plane();

COMMIT;
