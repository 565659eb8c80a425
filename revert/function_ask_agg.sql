-- Revert hartonomous:function_ask_agg from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP AGGREGATE llm.ask_agg(text, text);
DROP FUNCTION llm_store.ask_agg_final(text[]);
DROP FUNCTION llm_store.ask_agg_step(text[], text, text);

COMMIT;
