-- Revert hartonomous:python_runtime_encoder_forward from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm_runtime.encoder_forward();

COMMIT;
