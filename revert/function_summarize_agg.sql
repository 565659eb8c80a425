-- Revert hartonomous:function_summarize_agg from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP AGGREGATE llm.summarize_agg(text);
DROP FUNCTION llm_store.summarize_agg_final(text[]);

COMMIT;
