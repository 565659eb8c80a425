-- Revert hartonomous:python_runtime_encoder_engine from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.encoder_engine();

COMMIT;
