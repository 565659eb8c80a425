-- Revert hartonomous:function_similarity from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP FUNCTION llm.similarity(bytea, bytea);
DROP FUNCTION llm.similarity(double precision[], double precision[]);
DROP FUNCTION llm_runtime.similarity(double precision[], double precision[]);
DROP FUNCTION llm.similarity(text, text, text);

COMMIT;
